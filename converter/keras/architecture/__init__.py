"""How an architecture is written: dialects by version, calls of layers, plugins."""
