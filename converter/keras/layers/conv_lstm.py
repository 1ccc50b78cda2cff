"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from converter.activations import TANH
from converter.errors import InvalidModel, Unsupported
from converter.keras.era import Era
from converter.keras.graph import Tensor
from converter.keras.layers.cells import INERT, KERAS1_GATES, variables
from converter.keras.layers.recurrent import arguments, masked_output, state_shapes
from converter.keras.schema import ActivationField, Config, DataFormat, Ints, Positive, activation_of, each
from converter.keras.spec import Bound, Call, LayerType
from converter.layers import ConvLSTMCell, Direction, Recurrent
from converter.model import Array, Shape, Value, Weight, join


class ConvLSTMConfig(Config, frozen=True):
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
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    time_major: bool = False
    zero_output_for_mask: bool = False


def _arrays(bound: Bound, era: Era, dtype: str, rank: int) -> tuple[Weight, Weight, Weight | None]:
    """kernel, recurrent_kernel, bias; Keras 1 kept one array per gate, and Theano's are turned round in space."""
    have = {name: weight.astype(dtype) for name, weight in bound.variables.items()}
    if "W_i" in have:
        order = KERAS1_GATES["LSTM"][1]
        joined = {part: join(part, tuple(have[f"{part}_{gate}"] for gate in order), axis=-1) for part in "WUb"}
        have = {"kernel": joined["W"], "recurrent_kernel": joined["U"], "bias": joined["b"]}
    kernel, recurrent, bias = have["kernel"], have["recurrent_kernel"], have.get("bias")
    if era.backend == "theano":
        window = tuple(range(rank))

        def flip(array: Array) -> Array:
            return array[tuple(slice(None, None, -1) for _ in window)]

        kernel, recurrent = kernel.map(flip, kernel.shape), recurrent.map(flip, recurrent.shape)
    return kernel, recurrent, bias


def _cell(call: Call, rank: int, channels: int | None) -> ConvLSTMCell:
    config: ConvLSTMConfig = call.config
    window = each(config.kernel_size, rank, "kernel_size")
    kernel, recurrent, bias = _arrays(call.bound, call.era, call.dtype, rank)
    call.check(kernel, "kernel", *window, channels, 4 * config.filters)
    call.check(recurrent, "recurrent_kernel", *window, config.filters, 4 * config.filters)
    call.check(bias, "bias", 4 * config.filters)
    default = call.era.switch("convlstm_recurrent_activation")
    gate = default if config.recurrent_activation is msgspec.UNSET else config.recurrent_activation
    output = TANH if config.activation is msgspec.UNSET else activation_of(config.activation, call.era)
    return ConvLSTMCell(
        rank, config.filters, kernel, recurrent, bias, output, activation_of(gate, call.era),
        each(config.strides, rank, "strides"), config.padding, each(config.dilation_rate, rank, "dilation_rate"),
        config.data_format or "channels_last",
    )  # fmt: skip


def output_sizes(spatial: Shape, cell: ConvLSTMCell) -> Shape:
    """Spatial sizes after the input convolution."""
    sizes: list[int | None] = []
    for n, window, stride, dilation in zip(spatial, cell.kernel.shape, cell.strides, cell.dilation, strict=False):
        if n is None:
            sizes.append(None)
        elif cell.padding == "same":
            sizes.append(-(-n // stride))
        else:
            sizes.append((n - (window - 1) * dilation - 1) // stride + 1)
            if sizes[-1] is None or sizes[-1] < 1:
                raise InvalidModel(f"a window of {window} does not fit into {n}")
    return tuple(sizes)


def _conv_lstm(rank: int) -> Any:
    def call_layer(call: Call) -> tuple[Tensor, ...]:
        config: ConvLSTMConfig = call.config
        given = arguments(call)
        x = given.x.value
        if len(x.shape) != rank + 3:
            raise InvalidModel(f"needs an input of rank {rank + 3}, got shape {x.shape}")
        if config.time_major:
            raise Unsupported("ConvLSTM with time_major")
        last = config.data_format != "channels_first"
        spatial, channels = (x.shape[2:-1], x.shape[-1]) if last else (x.shape[3:], x.shape[2])
        cell = _cell(call, rank, channels)
        sizes = output_sizes(spatial, cell)
        shapes = state_shapes(cell, x.shape[0], sizes)
        states = _states(call, given.states, shapes)
        y_shape = (x.shape[0], x.shape[1], *shapes[0][1:]) if config.return_sequences else shapes[0]
        layer = Recurrent((Direction(cell, config.go_backwards),), None, config.return_sequences,
                          masked_output(call, config.zero_output_for_mask))  # fmt: skip
        outputs = [(y_shape, call.dtype), *((s, call.dtype) for s in shapes)]
        y, *finals = call.graph.emit(layer, [x, given.mask, *(states or (None, None))], outputs, call.path)
        if config.stateful:
            call.graph.carried(call.path, states, finals)
        output = Tensor(y, given.carried_mask if config.return_sequences else None)
        return (output, *(Tensor(s) for s in finals)) if config.return_state else (output,)

    return call_layer


def _states(call: Call, given: tuple[Value, ...], shapes: tuple[Shape, ...]) -> tuple[Value, ...]:
    if given and call.config.stateful:
        raise Unsupported("a stateful layer that is also called with initial_state")
    if given and len(given) != 2:
        raise InvalidModel(f"{len(given)} initial states are passed, 2 expected")
    return call.graph.carry(call.path, ("h", "c"), shapes, call.dtype) if call.config.stateful else given


TYPES: dict[str, LayerType] = {
    f"ConvLSTM{rank}D": LayerType(
        ConvLSTMConfig, _conv_lstm(rank), variables("ConvLSTM"), masking="own", variables_under=("cell",)
    )
    for rank in (1, 2, 3)
}
