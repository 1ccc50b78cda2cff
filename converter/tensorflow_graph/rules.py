"""Translation of operators that need more than a row: variables, products with weights, tables, normalization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.operations import functions
from converter.keras.operations import shapes as moving
from converter.model import Value, Weight, constant, layers
from converter.tensorflow_graph import rules_complex as spectra
from converter.tensorflow_graph import rules_conv as convolutions
from converter.tensorflow_graph import rules_filling as filling
from converter.tensorflow_graph import rules_images as images
from converter.tensorflow_graph import rules_lists as lists
from converter.tensorflow_graph import rules_shapes as shapes
from converter.tensorflow_graph.definitions import FOLD_BYTES, Step
from converter.tensorflow_graph.kernels_nn import channels
from converter.tensorflow_graph.rules_spread import spread
from converter.tensorflow_graph.running import NOTHING
from converter.tensorflow_graph.sizes import Axis, Dims
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import Resource, Stored

RESOURCE = "dtype 20"


def const(t: Translating, step: Step) -> Any:
    """A constant; arrays of floats are weights of frozen graphs.

    Raises:
        Unsupported: one number declared so many times that no file holds them.
    """
    array = step.attributes["value"]
    if array.nbytes > FOLD_BYTES and not any(array.strides):
        raise Unsupported(f"a constant of shape {list(array.shape)} of one number", where=clean(step.name, 120))
    if array.dtype.kind == "f" and array.ndim and array.size > 1:
        return Stored(constant(step.name, array))
    return array


def placeholder(t: Translating, step: Step, *default: Any) -> Any:
    """An input of the model, or its default."""
    if step.name in t.feed:
        return t.feed[step.name]
    if default:
        return default[0]
    raise Unsupported(f"the signature does not say what goes into {clean(step.name, 80)}")


def variable(t: Translating, step: Step) -> Any:
    """A variable's handle."""
    if step.name not in t.resources:
        raise InvalidModel(f"nothing is stored for the variable {clean(step.name, 80)}")
    return t.resources[step.name]


def identity(t: Translating, step: Step, x: Any) -> Any:
    """x; a variable of TensorFlow 1 is read."""
    return read(t, step, x) if step.attributes.get("T") != RESOURCE else x


def read(t: Translating, step: Step, x: Any) -> Any:
    """What a variable holds."""
    return x.value if isinstance(x, Resource) else x


def assign(t: Translating, step: Step, target: Any, value: Any) -> list[Any]:
    """A variable that is written to is a state of the model.

    Raises:
        Unsupported: it is no variable.
    """
    if not isinstance(target, Resource):
        raise Unsupported(f"{step.text()} writes to what is no variable")
    target.value = t.assigned[target.name] = value
    return [target]


def matmul(t: Translating, step: Step, x: Any, y: Any, *, adjoint: bool = False) -> Any:
    """A product; with a stored matrix, a Dense layer without bias."""
    a = step.attributes
    turn_x, turn_y = (bool(a.get(key)) for key in (("adj_x", "adj_y") if adjoint else ("transpose_a", "transpose_b")))
    if not isinstance(x, Value) or not isinstance(y, Stored) or len(y.weight.shape) != 2 or turn_x:
        if not isinstance(x, Value) and not isinstance(y, Value):
            return t.folded(step, [x, y])
        return t.ops(step).matmul(t.value(step, x), t.value(step, y), turn_x, turn_y)
    rows, columns = y.weight.shape
    kernel = Stored(y.weight.map(np.transpose, (columns, rows))) if turn_y else y
    base = t.memory.flat.get(x.name)
    if base is None:
        return dense(t, step, x, kernel)
    made = dense(t, step, base, kernel)
    t.settle()
    return shapes.reshaped(t, step, made, (t.axes(x)[0], kernel.weight.shape[1]))


def dense(t: Translating, step: Step, x: Value, kernel: Stored, bias: Weight | None = None) -> Value:
    """x·kernel + bias over the last axis.

    Raises:
        InvalidModel: the sizes do not fit.
    """
    rows, columns = kernel.weight.shape
    if not x.shape or x.shape[-1] not in (rows, None):
        raise InvalidModel(f"a kernel of shape {kernel.weight.shape} for an input of shape {x.shape}")
    layer = layers.Dense(kernel.weight.astype(x.dtype), None if bias is None else bias.astype(x.dtype))
    made = t.ops(step).one(layer, [x], (*x.shape[:-1], columns), x.dtype)
    if bias is None:
        t.memory.product[made.name] = (x, kernel)
    return made


def add(t: Translating, step: Step, x: Any, y: Any) -> Any:
    """A sum; a stored bias after a product with a stored matrix goes into its Dense layer."""
    if step.attributes.get("data_format", "NHWC") == "NCHW" and isinstance(x, Value):
        bias, ones = t.value(step, y), [1] * (len(x.shape) - 2)
        return t.ops(step).elementwise("add", x, t.ops(step).reshape(bias, [-1, *ones], (bias.shape[0], *ones)))
    if isinstance(x, Value) and isinstance(y, Stored) and len(y.weight.shape) == 1:
        product = t.memory.product.get(x.name)
        if product is not None and product[1].weight.shape[1:] == y.weight.shape:
            return dense(t, step, *product, y.weight)
    if not isinstance(x, Value) and not isinstance(y, Value):
        return t.folded(step, [x, y])
    return functions.binary("add")(t.ops(step), t.operand(step, x), t.operand(step, y))


def gather(t: Translating, step: Step, x: Any, indices: Any, axis: Any = None) -> Any:
    """Rows of a stored table: an Embedding."""
    x = read(t, step, x)
    lead = step.attributes.get("batch_dims", 0)
    axis = np.zeros((), np.int32) if axis is None else axis
    along = int(np.ravel(axis)[0]) if isinstance(axis, np.ndarray | np.generic) else -1
    if isinstance(x, Stored) and isinstance(indices, Value) and not along and not lead and len(x.weight.shape) == 2:
        shape = (*indices.shape, x.weight.shape[1])
        return t.ops(step).one(layers.Embedding(x.weight), [indices], shape, x.weight.dtype)
    if isinstance(x, Value) and isinstance(indices, Value) and not indices.shape and not lead:
        return t.element(step, x, along % len(x.shape), indices)
    return t.folded(step, [x, indices, axis])


def batch_norm(t: Translating, step: Step, x: Any, *weights: Any) -> list[Any]:
    """FusedBatchNorm as it infers; only y is read then.

    Raises:
        Unsupported: it trains, or its weights are computed.
    """
    if step.attributes.get("is_training", True) or not all(isinstance(w, Stored) for w in weights):
        raise Unsupported("a batch normalization that trains, or by weights that the model computes")
    value = t.value(step, x)
    axis = 1 if channels(step.attributes) == "channels_first" else len(value.shape) - 1
    gamma, beta, mean, variance = (w.weight for w in weights)
    epsilon = float(step.attributes.get("epsilon", 1e-4))
    layer = layers.BatchNormalization(axis, gamma, beta, mean, variance, epsilon)
    return [t.ops(step).one(layer, [value], value.shape, value.dtype), *weights, *weights[2:]]


def select(t: Translating, step: Step, condition: Any, x: Any, y: Any) -> Any:
    """TensorFlow 1's where: a condition of one axis picks rows."""
    if not any(isinstance(v, Value) for v in (condition, x, y)):
        return t.folded(step, [condition, x, y])
    o, chosen = t.ops(step), t.value(step, condition)
    for _ in range(len(t.value(step, x).shape) - len(chosen.shape)):
        chosen = o.expand_dims(chosen, -1)
    return o.where(chosen, t.value(step, x), t.value(step, y))


def erfc(t: Translating, step: Step, x: Any) -> Any:
    """1 - erf(x)."""
    if not isinstance(x, Value):
        return t.folded(step, [x])
    o = t.ops(step)
    return o.elementwise("subtract", o.constant(1.0, x.dtype), o.unary("erf", x))


def pack(t: Translating, step: Step, *xs: Any) -> Any:
    """tf.stack; a file leaves out an axis of 0."""
    if not any(isinstance(x, Value) for x in xs):
        made = t.folded(step, xs)
        if made is not None:
            return made
    stacked: Value = moving.stack(t.ops(step), [t.operand(step, x) for x in xs], int(step.attributes.get("axis", 0)))
    if len(stacked.shape) == 1:
        t.memory.packed[stacked.name] = xs
    return stacked


def extreme(bounds: str) -> Any:
    """The larger or the smaller of two, which is noted as not below, or not above, a size that it is made of."""

    def rule(t: Translating, step: Step, x: Any, y: Any) -> Any:
        made = t.folded(step, [x, y])
        if made is not None:
            return made
        sizes = [(one, other, size) for one, other in ((x, y), (y, x)) if (size := _size(one)) is not None]
        for one, other, size in sizes:  # min(n, max(n, 1)), as dynamic_rnn of TensorFlow 1 has it
            if bounds == "at_most" and isinstance(other, Value) and t.memory.at_least.get(other.name) == size:
                return one
        (made,) = t.by_row(step, [x, y])
        for _, other, size in sorted(sizes, key=lambda found: isinstance(found[0], Dims)):
            getattr(t.memory, bounds)[made.name] = size  # an open one rather than a number
            if isinstance(other, Value) and other.name in t.memory.reaches and other.name not in t.memory.at_most:
                t.memory.reaches[made.name] = t.memory.reaches[other.name]
        return made

    return rule


def _size(x: Any) -> Axis | None:
    """A single size, or whole number."""
    if isinstance(x, Dims):
        return None if x.array.ndim else x.axes()[0]
    whole = isinstance(x, np.ndarray | np.generic) and not np.ndim(x) and x.dtype.kind == "i"
    return int(x) if whole else None


def largest(t: Translating, step: Step, x: Any, axes: Any) -> Any:
    """tf.reduce_max; that of a vector reaches all of its elements."""
    if not isinstance(x, Value):
        return t.folded(step, [x, axes])
    (made,) = t.by_row(step, [x, axes])
    if len(x.shape) == 1 and not made.shape:
        t.memory.reaches[made.name] = x
    return made


RULES: Mapping[str, Callable[..., Any]] = {
    "Maximum": extreme("at_least"), "Minimum": extreme("at_most"), "Max": largest, "Pack": pack, "Erfc": erfc,
    "Const": const, "Placeholder": placeholder, "PlaceholderWithDefault": placeholder,
    **dict.fromkeys(("VarHandleOp", "VariableV2", "Variable"), variable),
    **dict.fromkeys(("Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "CheckNumerics"),
                    lambda t, step, x, *rest: identity(t, step, x)),
    "IdentityN": lambda t, step, *xs: list(xs), "ReadVariableOp": read,
    **dict.fromkeys(("AssignVariableOp", "Assign"), assign), **dict.fromkeys(NOTHING, lambda t, step, *xs: []),
    "MatMul": matmul,
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"),
                    lambda t, step, x, y: matmul(t, step, x, y, adjoint=True)),
    **dict.fromkeys(("BiasAdd", "AddV2", "Add"), add),
    **dict.fromkeys(("GatherV2", "Gather", "ResourceGather"), gather),
    "SpaceToBatchND": lambda t, step, *given: spread(step, *given),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), batch_norm), "Select": select,
    "Shape": shapes.shape, "Size": shapes.size, "Rank": shapes.rank,
    "ShapeN": lambda t, step, *xs: [shapes.shape(t, step, x) for x in xs], "Reshape": shapes.reshape,
    "Transpose": shapes.transpose, "ReverseV2": shapes.reverse,
    "ReverseSequence": shapes.reverse_sequence, "StridedSlice": filling.strided_slice,
    "ExpandDims": shapes.expand_dims, "Squeeze": shapes.squeeze, "Fill": filling.fill, "ZerosLike": filling.like(0.0),
    "OnesLike": filling.like(1.0), "Tile": filling.tile, "BroadcastTo": filling.broadcast_to, "Range": filling.numbers,
    "Cast": filling.cast, **convolutions.RULES, **lists.RULES, **spectra.RULES, **images.RULES,
}  # fmt: skip
