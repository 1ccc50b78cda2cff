"""Configurations of recurrent layers and of their cells, which are those of the layers without a sequence's options."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from converter.keras.schema import ActivationField, Config, Positive


class SequenceConfig(Config, frozen=True):
    """The options of every recurrent layer: https://keras.io/api/layers/recurrent_layers/rnn/"""

    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    time_major: bool = False
    zero_output_for_mask: bool = False
    num_constants: int | None = None


class RNNConfig(SequenceConfig, frozen=True, kw_only=True):
    """https://keras.io/api/layers/recurrent_layers/rnn/"""

    cell: dict[str, Any] | list[dict[str, Any]]


class GatedConfig(SequenceConfig, frozen=True):
    """What LSTM, GRU, SimpleRNN and the ConvLSTMs share; arguments that are not written have the era's defaults."""

    inert: ClassVar[frozenset[str]] = frozenset(
        {"unit_forget_bias", "implementation", "use_cudnn", "seed", "return_runtime"}
    )

    activation: ActivationField | msgspec.UnsetType = msgspec.UNSET
    recurrent_activation: ActivationField | msgspec.UnsetType = msgspec.UNSET
    use_bias: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    consume_less: str = "cpu"


class LSTMConfig(GatedConfig, frozen=True, kw_only=True):
    """https://keras.io/api/layers/recurrent_layers/lstm/ and .../simple_rnn/"""

    units: Positive
    input_length: int | None = None


class GRUConfig(LSTMConfig, frozen=True):
    """https://keras.io/api/layers/recurrent_layers/gru/"""

    reset_after: bool | msgspec.UnsetType = msgspec.UNSET


_NOT_OF_CELLS = frozenset(SequenceConfig.__struct_fields__) - frozenset(Config.__struct_fields__) | {"input_length"}


class LSTMCellConfig(LSTMConfig, frozen=True):
    """https://keras.io/api/layers/recurrent_layers/lstm_cell/ and .../simple_rnn_cell/"""

    absent: ClassVar[frozenset[str]] = _NOT_OF_CELLS


class GRUCellConfig(GRUConfig, frozen=True):
    """https://keras.io/api/layers/recurrent_layers/gru_cell/"""

    absent: ClassVar[frozenset[str]] = _NOT_OF_CELLS
