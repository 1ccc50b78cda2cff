"""One run of a recurrent layer's cells over time: the nodes it becomes, and the shapes of what they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from converter.errors import InvalidModel, Unsupported
from converter.keras.spec import Call
from converter.model import Shape, Value
from converter.model.layers import Cell, ConvLSTMCell, Direction, LSTMCell, MaskedOutput, Recurrent


def state_names(cell: Cell) -> tuple[str, ...]:
    """Suffixes of a cell's states."""
    return ("h", "c") if isinstance(cell, LSTMCell | ConvLSTMCell) else ("h",)


def state_shapes(cell: Cell, x: Shape, config: Any) -> tuple[Shape, ...]:
    """Shapes of a cell's states over a sequence of shape `x`."""
    batch = x[1 - time_axis(config)]
    if not isinstance(cell, ConvLSTMCell):
        return ((batch, cell.units),) * len(state_names(cell))
    if cell.data_format == "channels_last":
        return ((batch, *output_sizes(x[2:-1], cell), cell.filters),) * 2
    return ((batch, cell.filters, *output_sizes(x[3:], cell)),) * 2


def output_sizes(spatial: Shape, cell: ConvLSTMCell) -> Shape:
    """Spatial sizes after the input convolution of a ConvLSTM.

    Raises:
        InvalidModel: the window does not fit into the input.
    """
    sizes: list[int | None] = []
    for n, window, stride, dilation in zip(spatial, cell.kernel.shape, cell.strides, cell.dilation, strict=False):
        if n is None:
            sizes.append(None)
            continue
        made = -(-n // stride) if cell.padding == "same" else (n - (window - 1) * dilation - 1) // stride + 1
        if made < 1:
            raise InvalidModel(f"a window of {window} does not fit into {n}")
        sizes.append(made)
    return tuple(sizes)


def time_axis(config: Any) -> int:
    """0 for time-major layers, else 1."""
    return 0 if config.time_major else 1


@dataclass(frozen=True)
class Pass:
    """One run of a layer's cells over time."""

    cells: tuple[Cell, ...]
    config: Any  # the layer's sequence options
    reverse_input: bool
    reverse_output: bool
    return_sequences: bool
    masked_output: MaskedOutput

    @property
    def misplaces_zeros(self) -> bool:
        """Unrolled backwards, Keras takes the zeros' places from the mask it forgot to turn round (backend `rnn`)."""
        zeroes = self.masked_output == "zero" and self.return_sequences
        return zeroes and self.reverse_input and bool(self.config.unroll)


def run_pass(
    call: Call, one: Pass, x: Value, mask: Value | None, states: Sequence[Value | None]
) -> tuple[Value, list[Value]]:
    """The cells layer by layer: a stack of cells over one sequence is exactly a stack of layers under the same mask.

    `states` are in the order of the cells, or empty. Returns y and the final states in the same order.
    """
    finals: list[Value] = []
    misplaced = mask if one.misplaces_zeros else None
    first: tuple[Value, Value] | None = None  # outputs and final h of the first cell, for Keras 2.2's masked steps
    looped = mask is not None and not one.config.unroll
    quirk = looped and len(one.cells) > 1 and call.era.switch("stacked_masked_first")
    flipped = one.reverse_output and one.return_sequences and (quirk or misplaced is not None)
    one = replace(one, masked_output="previous") if misplaced is not None else one
    one = replace(one, reverse_output=False) if flipped else one  # turned when all is done
    last_mask = mask
    for k, cell in enumerate(one.cells):
        last = k == len(one.cells) - 1
        names = state_names(cell)
        given = list(states[len(finals) : len(finals) + len(names)]) or [None] * len(names)
        sequences = not last or one.return_sequences
        direction = Direction(cell, one.reverse_input and k == 0, one.reverse_output and last)
        shapes = state_shapes(cell, x.shape, one.config)
        layer = Recurrent((direction,), None, sequences, one.masked_output, one.config.time_major)
        y = (*x.shape[:2], *shapes[0][1:]) if sequences else shapes[0]
        outputs = [(y, x.dtype), *((s, x.dtype) for s in shapes)]
        x, *after = call.graph.emit(layer, [x, mask, *given], outputs, call.path)
        finals += after
        first = first or (x, after[0])
        if k == 0 and one.reverse_input and mask is not None and not last:
            mask = last_mask = call.ops.reverse(mask, time_axis(one.config))  # later cells see the order of processing
    if quirk and first is not None and last_mask is not None:
        x = _repeat_first(call, one, x, last_mask, first)
    if misplaced is not None:
        x = _zeroed(call, x, misplaced)
    return call.ops.reverse(x, time_axis(one.config)) if flipped else x, finals


def mask_of_steps(call: Call, mask: Value | None, x: Shape, cells: Sequence[Cell]) -> Value | None:
    """The mask as [batch, time], or as [batch, time, *spatial] where it masks each place of a ConvLSTM by itself.

    Raises:
        Unsupported: it has further axes. Keras would take them for the units' (Keras 3's TimeDistributed leaves such).
    """
    if mask is None or any(_masks_places(mask.shape, x, cell) for cell in cells):
        return mask
    while len(mask.shape) > 2 and mask.shape[-1] == 1:
        mask = call.ops.squeeze(mask, -1)
    if len(mask.shape) != 2:
        raise Unsupported(f"a mask of shape {mask.shape}, where one of (batch, time) is expected")
    return mask


def _masks_places(mask: Shape, x: Shape, cell: Cell) -> bool:
    """Whether a mask, which Masking makes from the input, fits a ConvLSTM's output place by place."""
    if not isinstance(cell, ConvLSTMCell) or cell.data_format != "channels_last" or len(mask) != len(x) - 1:
        return False
    if cell.padding == "same" and all(n == 1 for n in cell.strides):
        return True
    return None not in mask[2:] and mask[2:] == output_sizes(x[2:-1], cell)


def _zeroed(call: Call, y: Value, mask: Value) -> Value:
    """y where the mask holds, else zeros."""
    for _ in range(len(y.shape) - len(mask.shape)):
        mask = call.ops.expand_dims(mask, -1)
    return call.ops.where(mask, y, call.ops.constant(0, y.dtype))


def _repeat_first(call: Call, one: Pass, y: Value, mask: Value, first: tuple[Value, Value]) -> Value:
    """Keras 2.2: a masked step of stacked cells puts out the first cell's h."""
    if y.shape[-1] != first[1].shape[-1]:
        raise Unsupported("Keras 2.2 cannot run masked stacked cells of different units")
    ops = call.ops
    if one.return_sequences:
        return ops.where(ops.expand_dims(mask, -1), y, first[0])
    return ops.where(ops.slice(mask, 1, -1, None), y, first[1])
