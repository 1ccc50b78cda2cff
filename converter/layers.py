"""The vocabulary of the neutral model: what a node can compute, one frozen struct each.

Packing of every weight is Keras 3's (gates i, f, c, o; kernels `[input, 4·units]`; convolution kernels
`[*window, input/groups, filters]`). Axes are counted with the batch as axis 0 and are never negative here.
Composite Keras layers (Attention, masks, pooling over a mask, ...) are written in the small operators at the end.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from converter.activations import LINEAR, Activation
from converter.model import Weight

# --- recurrent layers -------------------------------------------------------------------------------------------------


class LSTMCell(Struct, frozen=True, eq=False):
    """h', c' from x, h, c. kernel [input, 4·units], recurrent_kernel [units, 4·units], bias [4·units]; i, f, c, o.

    `peephole` [3·units], gates i, f, o: i and f see the old c, o sees the new one (TF1 LSTMCell(use_peepholes)).
    """

    units: int
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation: Activation
    recurrent_activation: Activation
    peephole: Weight | None = None


class GRUCell(Struct, frozen=True, eq=False):
    """h' = z·h + (1-z)·hh. kernel [input, 3·units], gates z, r, h.

    bias [3·units], or [2, 3·units] (input, recurrent) if reset_after.
    """

    units: int
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation: Activation
    recurrent_activation: Activation
    reset_after: bool


class SimpleRNNCell(Struct, frozen=True, eq=False):
    """h' = activation(x·kernel + h·recurrent_kernel + bias). kernel [input, units]."""

    units: int
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation: Activation


class ConvLSTMCell(Struct, frozen=True, eq=False):
    """An LSTM cell whose products are convolutions over `rank` spatial axes.

    kernel [*window, input, 4·filters], recurrent_kernel [*window, filters, 4·filters], bias [4·filters]; i, f, c, o.
    The input convolution uses strides, padding and dilation; the recurrent one stride 1, padding "same", no dilation.
    States are [batch, *spatial, filters] (channels_last) or [batch, filters, *spatial].
    """

    rank: int
    filters: int
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation: Activation
    recurrent_activation: Activation
    strides: tuple[int, ...]
    padding: Literal["valid", "same"]
    dilation: tuple[int, ...]
    data_format: Literal["channels_last", "channels_first"]


Cell = LSTMCell | GRUCell | SimpleRNNCell | ConvLSTMCell
MaskedOutput = Literal["previous", "state", "zero"]
Merge = Literal["concat", "sum", "mul", "ave"]


class Direction(Struct, frozen=True, eq=False):
    """One pass of a cell over time.

    `reverse_input`: steps are taken from the last to the first (mask included). `reverse_output`: the sequence of
    outputs is turned round in time afterwards. LSTM(go_backwards) is (True, False), the backward half of
    Bidirectional (True, True).
    """

    cell: Cell
    reverse_input: bool = False
    reverse_output: bool = False


class Recurrent(Struct, frozen=True, eq=False):
    """LSTM, GRU, SimpleRNN or ConvLSTM over time, in one direction or two.

    Inputs: x [batch, time, *features] ([time, batch, ...] if time_major), mask [batch, time] of bool or None (also
    [time, batch] if time_major; [batch, time, *spatial] masks each place of a ConvLSTM channels_last by itself), then
    the initial states of each direction in turn (LSTM h, c; others h), each [batch, units] or None for zeros.
    Outputs: y, or y of each direction if there are two and no merge; then the final states, ordered as the initial.
    y is the sequence [batch, time, units] if return_sequences, else the last output [batch, units].

    Masked steps leave the states as they are; their output is by `masked_output`:
      "previous": the previous output, zeros before the first unmasked step (even with an initial state);
      "state": the h carried, so the initial h before the first unmasked step (Keras <= 2.2.4 on TensorFlow);
      "zero": zeros. The last output follows the same rule: with "zero" it is zero where the last step taken is masked.
    merge: how two directions' outputs become one: concat (last axis; the channel axis for ConvLSTM channels_first),
    sum, mul, ave.
    """

    directions: tuple[Direction, ...]
    merge: Merge | None = None
    return_sequences: bool = False
    masked_output: MaskedOutput = "previous"
    time_major: bool = False


# --- layers with weights ----------------------------------------------------------------------------------------------


class Dense(Struct, frozen=True, eq=False):
    """activation(x·kernel + bias) over the last axis of x [..., input]. kernel [input, units]."""

    kernel: Weight
    bias: Weight | None
    activation: Activation = LINEAR


class Embedding(Struct, frozen=True, eq=False):
    """Rows of table [input_dim, output_dim] picked by integer x [...] -> [..., output_dim]."""

    table: Weight


class Conv(Struct, frozen=True, eq=False):
    """Convolution (cross-correlation) over `rank` spatial axes. kernel [*window, input/groups, filters].

    "same" pads as TensorFlow does (the odd one after), "causal" (rank 1) pads (window-1)·dilation before.
    """

    rank: int
    kernel: Weight
    bias: Weight | None
    strides: tuple[int, ...]
    padding: Literal["valid", "same", "causal"]
    dilation: tuple[int, ...]
    groups: int = 1
    data_format: Literal["channels_last", "channels_first"] = "channels_last"
    activation: Activation = LINEAR


class ConvTranspose(Struct, frozen=True, eq=False):
    """The gradient of Conv with respect to its input. kernel [*window, filters, input].

    output_padding as in Keras, or None.
    """

    rank: int
    kernel: Weight
    bias: Weight | None
    strides: tuple[int, ...]
    padding: Literal["valid", "same"]
    output_padding: tuple[int, ...] | None
    dilation: tuple[int, ...]
    data_format: Literal["channels_last", "channels_first"] = "channels_last"
    activation: Activation = LINEAR


class Pool(Struct, frozen=True, eq=False):
    """Maximum or average over windows; an average under "same" padding does not count the padding."""

    rank: int
    kind: Literal["max", "average"]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Literal["valid", "same"]
    data_format: Literal["channels_last", "channels_first"] = "channels_last"


class BatchNormalization(Struct, frozen=True, eq=False):
    """gamma·(x - mean)/sqrt(variance + epsilon) + beta along one axis; each weight [x.shape[axis]]."""

    axis: int
    gamma: Weight | None
    beta: Weight | None
    mean: Weight
    variance: Weight
    epsilon: float


class LayerNormalization(Struct, frozen=True, eq=False):
    """x normalised over `axes` by its own mean and variance; gamma, beta of the shape of those axes.

    `rms`: no mean subtracted.
    """

    axes: tuple[int, ...]
    gamma: Weight | None
    beta: Weight | None
    epsilon: float
    rms: bool = False


# --- shapes and small operators ---------------------------------------------------------------------------------------


class Activate(Struct, frozen=True):
    """activation(x), elementwise but for softmax and its kin, which work along activation's "axis" (never negative)."""

    activation: Activation


class Reshape(Struct, frozen=True):
    """To `target`, which counts the batch: -1 for at most one inferred size, 0 for "as the input has on this axis"."""

    target: tuple[int, ...]


class FoldTime(Struct, frozen=True):
    """[batch, time, ...] -> [batch·time, ...], where sizes are not known beforehand."""


class UnfoldTime(Struct, frozen=True):
    """Inputs y [batch·time, *rest] and like [batch, time, ...]: y as [batch, time, *rest]."""


class Transpose(Struct, frozen=True):
    """Axes reordered: output axis k is input axis `axes[k]`."""

    axes: tuple[int, ...]


class Concatenate(Struct, frozen=True):
    """All inputs joined along `axis`."""

    axis: int


class ExpandDims(Struct, frozen=True):
    """New axes of size 1 at these positions of the output."""

    axes: tuple[int, ...]


class Squeeze(Struct, frozen=True):
    """These axes, each of size 1, removed."""

    axes: tuple[int, ...]


class Repeat(Struct, frozen=True):
    """Each element repeated `times` times in place along `axis` (np.repeat)."""

    axis: int
    times: int


class Tile(Struct, frozen=True):
    """The whole input repeated: `times` per axis (np.tile)."""

    times: tuple[int, ...]


class Pad(Struct, frozen=True):
    """`value` added before and after each axis: pads[axis] = (before, after). Negative numbers are not allowed."""

    pads: tuple[tuple[int, int], ...]
    value: float = 0.0
    mode: Literal["constant", "reflect", "edge"] = "constant"


class Slice(Struct, frozen=True):
    """x[start:stop:step] along some axes, with Python's meaning; None as in Python. step may be negative."""

    axes: tuple[int, ...]
    starts: tuple[int | None, ...]
    stops: tuple[int | None, ...]
    steps: tuple[int, ...]


class Gather(Struct, frozen=True):
    """Inputs x, indices: np.take(x, indices, axis)."""

    axis: int


class TakeAlong(Struct, frozen=True):
    """Inputs x, indices of as many axes: np.take_along_axis(x, indices, axis); other axes have the same sizes."""

    axis: int


class GatherND(Struct, frozen=True):
    """Inputs x, indices [*lead, ..., depth]: x[lead][index] for each; the first `batch_axes` axes go together."""

    batch_axes: int = 0


class ArgSort(Struct, frozen=True):
    """Where the elements stand that come first in order along `axis`, int64; equal ones in the order they stand in.

    `count`: how many of them, None for all.
    """

    axis: int
    descending: bool = False
    count: int | None = None


class Size(Struct, frozen=True):
    """The size of one axis, a scalar of int64."""

    axis: int


class Range(Struct, frozen=True):
    """0, 1, ... below the input, a scalar of int64."""


class Cast(Struct, frozen=True):
    """To `dtype`, as NumPy casts (truncation towards zero, non-zero to True)."""

    dtype: str


class Constant(Struct, frozen=True, eq=False):
    """No inputs; one output with the weight's values."""

    weight: Weight


ElementwiseOp = Literal[
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "mod", "floor_divide",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "and", "or", "xor", "arctan2",
]  # fmt: skip


class Elementwise(Struct, frozen=True):
    """`op` of two or more inputs from left to right, broadcast as NumPy does."""

    op: ElementwiseOp


UnaryOp = Literal[
    "abs", "negative", "exp", "log", "sqrt", "rsqrt", "square", "sin", "cos", "tan", "sign", "floor", "ceil",
    "round", "reciprocal", "not", "erf", "isnan", "sinh", "cosh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh",
    "arctanh", "expm1", "log1p",
]  # fmt: skip


class Unary(Struct, frozen=True):
    """`op` of one input, elementwise."""

    op: UnaryOp


class Where(Struct, frozen=True):
    """Inputs condition, a, b: a where condition holds, else b; broadcast."""


class Reduce(Struct, frozen=True):
    """`op` over `axes`. "any" and "all" take and give bool; "argmax", "argmin" (one axis) give int64."""

    op: Literal["sum", "mean", "max", "min", "prod", "any", "all", "argmax", "argmin", "logsumexp"]
    axes: tuple[int, ...]
    keepdims: bool = False


class CumSum(Struct, frozen=True):
    """Cumulative sum along one axis."""

    axis: int


class MatMul(Struct, frozen=True):
    """np.matmul of two inputs (after swapping the last two axes of either, if asked)."""

    transpose_a: bool = False
    transpose_b: bool = False


class Einsum(Struct, frozen=True):
    """np.einsum(equation, *inputs); explicit form ("abc,cd->abd"), no ellipsis."""

    equation: str


class OneHot(Struct, frozen=True):
    """Integer x -> [..., depth] of the output's dtype; zeros where x is out of range."""

    depth: int


# --- text -------------------------------------------------------------------------------------------------------------


# What an exporter gives where a Lookup has no default: an index that no table has, even once cast to int32.
NO_INDEX = -(2**31)


class Lookup(Struct, frozen=True, eq=False):
    """For each element of x, int64 or string, the value that stands beside it among `keys`, which differ.

    `default` for what is no key; None where the model has no meaning for such an element. Keys are all numbers or all
    text, and so are values.
    """

    keys: tuple[int | str, ...]
    values: tuple[int | str, ...]
    default: int | str | None


class LowerCase(Struct, frozen=True):
    """A to Z as a to z in strings; no other letter changes."""


class RemoveCharacters(Struct, frozen=True):
    """Strings without these ASCII characters."""

    characters: str


class SplitWords(Struct, frozen=True):
    """Strings [...] -> words [..., most words of any]: between ASCII white space; "" where there are fewer."""


Layer = (
    Recurrent | Dense | Embedding | Conv | ConvTranspose | Pool | BatchNormalization | LayerNormalization
    | Activate | Reshape | FoldTime | UnfoldTime | Transpose | Concatenate | ExpandDims | Squeeze | Repeat | Tile
    | Pad | Slice | Gather | Cast | Constant | Elementwise | Unary | Where | Reduce | CumSum | MatMul | Einsum
    | OneHot | TakeAlong | GatherND | ArgSort | Size | Range | Lookup | LowerCase | RemoveCharacters | SplitWords
)  # fmt: skip
