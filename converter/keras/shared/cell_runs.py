"""One run of a recurrent layer's cells over time: the nodes it becomes, and the shapes of what they give.

A stack of cells over one sequence is exactly a stack of layers under the same mask: each cell becomes a node. Cases:

1. Backwards, the first cell reverses the sequence and its mask. Later cells take what it gives, in the order of
   processing, so they get the mask reversed.
2. Unrolled backwards, with zeros for masked steps, Keras takes the places of the zeros from the mask that it forgot to
   reverse (`rnn` of the backend). The zeros are put in at the end, by the mask as it was given.
3. Keras 2.2 gives the first cell's h for a masked step of a stack, unless it unrolls (switch "stacked_masked_first").

Where 2 or 3 need the outputs in the order of processing, the reversal of the output waits until they are done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from converter.errors import InvalidModel, Unsupported
from converter.keras.spec import Call
from converter.model import Shape, Value
from converter.model.layers import Cell, ConvLSTMCell, Direction, MaskedOutput, Recurrent


def state_names(cell: Cell) -> tuple[str, ...]:
    """Suffixes of a cell's states."""
    return ("h", "c")[: cell.states]


def state_shapes(cell: Cell, x: Shape, config: Any) -> tuple[Shape, ...]:
    """Shapes of a cell's states over a sequence of shape `x`."""
    batch = x[1 - time_axis(config)]
    if not isinstance(cell, ConvLSTMCell):
        return ((batch, cell.units),) * cell.states
    if cell.data_format == "channels_last":
        return ((batch, *output_sizes(x[2:-1], cell), cell.filters),) * cell.states
    return ((batch, cell.filters, *output_sizes(x[3:], cell)),) * cell.states


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
class CellRun:
    """One run of a layer's cells over time."""

    cells: tuple[Cell, ...]
    config: Any  # the layer's sequence options
    reverse_input: bool
    reverse_output: bool
    return_sequences: bool
    masked_output: MaskedOutput

    @property
    def misplaces_zeros(self) -> bool:
        """Whether case 2 applies to masked inputs."""
        zeroes = self.masked_output == "zero" and self.return_sequences
        return zeroes and self.reverse_input and bool(self.config.unroll)


def run_cells(
    call: Call, run: CellRun, x: Value, mask: Value | None, states: Sequence[Value | None]
) -> tuple[Value, list[Value]]:
    """The cells one after the other, by the cases above.

    `states` are in the order of the cells, or empty. Returns y and the final states in the same order.
    """
    time = time_axis(run.config)
    misplaces = mask is not None and run.misplaces_zeros  # case 2
    looped_stack = mask is not None and not run.config.unroll and len(run.cells) > 1
    repeats_first = looped_stack and bool(call.era.switch("stacked_masked_first"))  # case 3
    waits = run.reverse_output and run.return_sequences and (misplaces or repeats_first)
    plain = replace(
        run,
        masked_output="previous" if misplaces else run.masked_output,
        reverse_output=run.reverse_output and not waits,
    )
    stack = _run_stack(call, plain, x, mask, states)
    y = stack.outputs[-1]
    if repeats_first:
        y = _repeat_first(call, plain, stack)
    if misplaces and mask is not None:
        y = _zeroed(call, y, mask)
    return call.ops.reverse(y, time) if waits else y, stack.finals


@dataclass(frozen=True)
class Stack:
    """What the cells give: each one's output, all final states in order, the mask in the order of processing."""

    outputs: list[Value]
    finals: list[Value]
    mask: Value | None


def _run_stack(call: Call, run: CellRun, x: Value, mask: Value | None, states: Sequence[Value | None]) -> Stack:
    """Case 1: a node for each cell."""
    outputs: list[Value] = []
    finals: list[Value] = []
    for place, cell in enumerate(run.cells):
        first, last = place == 0, place == len(run.cells) - 1
        given = list(states[len(finals) : len(finals) + cell.states]) or [None] * cell.states
        sequences = not last or run.return_sequences
        direction = Direction(cell, run.reverse_input and first, run.reverse_output and last)
        layer = Recurrent((direction,), None, sequences, run.masked_output, run.config.time_major)
        shapes = state_shapes(cell, x.shape, run.config)
        y = (*x.shape[:2], *shapes[0][1:]) if sequences else shapes[0]
        made = [(y, x.dtype), *((shape, x.dtype) for shape in shapes)]
        x, *after = call.graph.emit(layer, [x, mask, *given], made, call.path)
        outputs.append(x)
        finals += after
        if first and not last and run.reverse_input and mask is not None:
            mask = call.ops.reverse(mask, time_axis(run.config))
    return Stack(outputs, finals, mask)


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


def _repeat_first(call: Call, run: CellRun, stack: Stack) -> Value:
    """The last cell's output, and for masked steps the first cell's."""
    ops, y, mask = call.ops, stack.outputs[-1], stack.mask
    first_h = stack.finals[0]
    assert mask is not None
    if y.shape[-1] != first_h.shape[-1]:
        raise Unsupported("Keras 2.2 cannot run masked stacked cells of different units")
    if run.return_sequences:
        return ops.where(ops.expand_dims(mask, -1), y, stack.outputs[0])
    return ops.where(ops.slice(mask, 1, -1, None), y, first_h)
