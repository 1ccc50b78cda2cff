"""Which arguments of which layers mean in Keras 3 what they meant when a file was written."""

from __future__ import annotations

from collections.abc import Mapping

from converter.exporters.keras.training import RATES

_WINDOW = ("strides", "padding", "data_format")
_CONV = ("filters", "kernel_size", "dilation_rate", "groups", "use_bias", *_WINDOW)
_SEQUENCE = ("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask")
MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
MODES: Mapping[str, str] = {
    "sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate",
}  # fmt: skip
"""Of Merge, Keras 1's layer for all of them -> the layers that came after it."""
# By class; other classes are written as what they compute.
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "Dense": ("units", "use_bias"), "Embedding": ("input_dim", "output_dim", "mask_zero"), "Masking": ("mask_value",),
    **{f"Conv{k}D": _CONV for k in (1, 2, 3)},
    **{f"{kind}Pooling{k}D": ("pool_size", *_WINDOW) for kind in ("Max", "Average") for k in (1, 2, 3)},
    **{f"Global{kind}Pooling{k}D": ("data_format", "keepdims") for kind in ("Max", "Average") for k in (1, 2, 3)},
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU"), (*_SEQUENCE, *RATES)),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), (*_SEQUENCE, *RATES)),
    "RNN": _SEQUENCE, **dict.fromkeys(("LSTMCell", "GRUCell", "SimpleRNNCell"), RATES),
    "Bidirectional": ("merge_mode",), "TimeDistributed": (),
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "LayerNormalization": ("axis", "epsilon", "center", "scale"),
    "Dropout": ("rate", "noise_shape", "seed"), "SpatialDropout1D": ("rate", "seed"),
    "SpatialDropout2D": ("rate", "data_format", "seed"), "SpatialDropout3D": ("rate", "data_format", "seed"),
    "GaussianNoise": ("stddev", "seed"), "GaussianDropout": ("rate", "seed"),
    "AlphaDropout": ("rate", "noise_shape", "seed"), "ActivityRegularization": ("l1", "l2"),
    "Flatten": ("data_format",), "Reshape": ("target_shape",), "Permute": ("dims",), "RepeatVector": ("n",),
    "Activation": (), "LeakyReLU": ("negative_slope",), "ELU": ("alpha",), "Softmax": ("axis",),
    "ReLU": ("max_value", "negative_slope", "threshold"), "Rescaling": ("scale", "offset"),
    **{name: () for name in MERGES}, "Concatenate": ("axis",), "Dot": ("axes", "normalize"),
    "ZeroPadding1D": ("padding",), **{f"ZeroPadding{k}D": ("padding", "data_format") for k in (2, 3)},
    "Cropping1D": ("cropping",), **{f"Cropping{k}D": ("cropping", "data_format") for k in (2, 3)},
    "UpSampling1D": ("size",), "UpSampling2D": ("size", "data_format", "interpolation"),
}  # fmt: skip
# Operations as Keras 3 writes them around its layers, above all those that make a mask.
OPERATIONS = frozenset({
    "Any", "All", "Cast", "Equal", "NotEqual", "Greater", "Less", "LogicalAnd", "LogicalOr", "LogicalNot", "Where",
    "Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum", "Concatenate", "ExpandDims", "Squeeze", "GetItem",
    "Mean", "Sum", "Max", "Min", "Reshape", "Transpose", "Abs", "Negative", "Exp", "Sqrt", "Square", "Matmul", "Flip",
})  # fmt: skip
