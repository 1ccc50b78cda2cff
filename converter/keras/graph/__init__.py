"""From layers and their calls to neutral nodes: states and masks as edges, order, partial models."""
