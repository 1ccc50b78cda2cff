"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

from converter.keras.layer_type import Keras1, LayerType
from converter.keras.layers.cells import conv_cell, variables
from converter.keras.layers.recurrent import recurrent
from converter.keras.schema import DataFormat, Ints, Positive
from converter.keras.shared.keras1 import CELL, WINDOW
from converter.keras.shared.recurrent_config import GatedConfig
from converter.model.layers import ConvLSTMCell


class ConvLSTMConfig(GatedConfig, frozen=True, kw_only=True):
    """https://keras.io/api/layers/recurrent_layers/conv_lstm2d/"""

    inert: ClassVar[frozenset[str]] = GatedConfig.inert | {"rank"}

    filters: Positive
    kernel_size: Ints
    strides: Ints = 1
    padding: Literal["valid", "same"] = "valid"
    data_format: DataFormat | None = None
    dilation_rate: Ints = 1


# ConvLSTM2D.get_config in keras/layers/convolutional_recurrent.py of 1.2.2; loading such a file takes 1 too.
NOT_WRITTEN = "of Keras 1: with subsample 1, as it does not write others"

TYPES: dict[str, LayerType] = {
    f"ConvLSTM{rank}D": LayerType(
        ConvLSTMConfig, recurrent, variables(ConvLSTMCell), masking="own", cells=partial(conv_cell, rank=rank),
        input_rank=rank + 3, variables_under=("cell",), keras1=Keras1(WINDOW | CELL), note=note,
    )
    for rank, note in ((1, ""), (2, NOT_WRITTEN), (3, ""))
}  # fmt: skip
