"""Keras LSTM models without TensorFlow."""
