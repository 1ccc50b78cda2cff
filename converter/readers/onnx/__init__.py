"""ONNX files as neutral models: recurrent nodes and what surrounds them."""
