"""Operations that are no layers: Keras 3's `ops`, TensorFlow's functions and node definitions."""
