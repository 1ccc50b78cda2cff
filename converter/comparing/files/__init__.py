"""Files of weights alone, one module for each kind: `sniff(path)`, cheap, and `parts(path)`, its layers."""
