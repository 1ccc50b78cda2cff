"""ONNX files as neutral models: recurrent nodes and what stands around them."""
