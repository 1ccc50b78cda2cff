"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from converter.keras.layers.cells import INERT, variables
from converter.keras.layers.recurrent import SequenceConfig, recurrent
from converter.keras.schema import ActivationField, DataFormat, Ints, Positive
from converter.keras.spec import LayerType


class ConvLSTMConfig(SequenceConfig, frozen=True, kw_only=True):
    """https://keras.io/api/layers/recurrent_layers/conv_lstm2d/"""

    inert: ClassVar[frozenset[str]] = INERT | {"rank"}

    filters: Positive
    kernel_size: Ints
    strides: Ints = 1
    padding: Literal["valid", "same"] = "valid"
    data_format: DataFormat | None = None
    dilation_rate: Ints = 1
    activation: ActivationField | msgspec.UnsetType = msgspec.UNSET
    recurrent_activation: ActivationField | msgspec.UnsetType = msgspec.UNSET
    use_bias: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    consume_less: str = "cpu"


# ConvLSTM2D.get_config in keras/layers/convolutional_recurrent.py of 1.2.2; loading such a file takes 1 too.
NOT_WRITTEN = "of Keras 1: with subsample 1, as it does not write others"

TYPES: dict[str, LayerType] = {
    f"ConvLSTM{rank}D": LayerType(
        ConvLSTMConfig, recurrent, variables("ConvLSTM"), masking="own", variables_under=("cell",), note=note
    )
    for rank, note in ((1, ""), (2, NOT_WRITTEN), (3, ""))
}
