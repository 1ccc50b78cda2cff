"""What layers and operations have in common: masks, windows, einsum, interpolation, recurrent directions."""
