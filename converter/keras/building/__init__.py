"""What rules build with: the graph of neutral nodes, and operators on its values."""
