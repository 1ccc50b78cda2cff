"""The weights of two files side by side, gate by gate, and the usual mistakes by name."""
