"""Names of arguments that several layers of Keras 1 share, with today's.

Source: `keras/legacy/interfaces.py` of 2.2.4, and `get_config` of each class in 1.0.8 and 1.2.2.
"""

from __future__ import annotations

from converter.keras.layer_type import Keras1

ORDERING = {"dim_ordering": "data_format"}
WINDOW = ORDERING | {
    "nb_filter": "filters", "filter_length": "kernel_size", "subsample_length": "strides", "subsample": "strides",
    "border_mode": "padding", "bias": "use_bias", "atrous_rate": "dilation_rate",
}  # fmt: skip
CELL = {
    "output_dim": "units", "inner_activation": "recurrent_activation", "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}  # fmt: skip

CONVOLUTION = Keras1(WINDOW)
IMAGE = Keras1(ORDERING)
UNORDERED_IMAGE = Keras1(ORDERING, writes_ordering=False)
