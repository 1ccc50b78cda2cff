"""The proof of TFLite files: `file` opens them in LiteRT, `cutting` cuts them up, `claims` accounts for weights.

What a proof does with them is the same as for ONNX, see `converter.verification`.
"""
