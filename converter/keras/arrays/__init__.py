"""Which array belongs to which layer: by name, order, path or shape."""
