"""Dot: a product of two inputs over one axis of each, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import Ops
from converter.keras.layer_type import LayerType
from converter.keras.layers.merge import in_one_dtype
from converter.keras.schema import Config, Ints
from converter.keras.spec import Call
from converter.model import Shape, Value

# Before it batch_dot multiplied matrices over all leading axes (keras/backend/tensorflow_backend.py of 2.2.4).


class DotConfig(Config, frozen=True):
    """https://keras.io/api/layers/merging_layers/dot/"""

    axes: Ints
    normalize: bool = False


def dot_axes(axes: Ints, x: Shape, y: Shape) -> tuple[int, int]:
    """One axis of each input, counted from the front.

    Raises:
        InvalidModel: not two axes, or they do not fit.
    """
    given = [axes, axes] if isinstance(axes, int) else list(axes)
    if len(given) != 2:
        raise InvalidModel(f"Dot takes an axis of each of its two inputs, got {axes}")
    for axis, shape in zip(given, (x, y), strict=True):
        if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
            raise InvalidModel(f"Dot over axis {axis} of an input of shape {shape}")
    a, b = given[0] % len(x), given[1] % len(y)
    if None not in (x[a], y[b]) and x[a] != y[b]:
        raise InvalidModel(f"Dot over axes of different sizes: {x[a]} and {y[b]}")
    return a, b


def batch_dot(ops: Ops, x: Value, y: Value, a: int, b: int) -> Value:
    """x [batch, i.., k, ..] times y [batch, .., k, j..] -> [batch, i.., j..]; [batch, 1] where nothing else is left."""
    rest_x = [n for n in range(1, len(x.shape)) if n != a]
    rest_y = [n for n in range(1, len(y.shape)) if n != b]
    left = _matrix(ops, x, [0, *rest_x, a], len(rest_x), contracted_last=True)
    right = _matrix(ops, y, [0, b, *rest_y], len(rest_y), contracted_last=False)
    product = ops.matmul(left, right)
    sizes = [x.shape[n] for n in rest_x] + [y.shape[n] for n in rest_y] or [1]
    shape = (product.shape[0], *sizes)
    if len(rest_x) == 1 and len(rest_y) == 1:
        return product
    if len(rest_x) <= 1 and len(rest_y) <= 1:  # one or both of the matrices were vectors
        return ops.squeeze(product, 1 if not rest_x else 2)
    unknown = [k for k, n in enumerate(sizes, 1) if n is None]
    if len(unknown) > 1:
        raise Unsupported(f"Dot of inputs {x.shape} and {y.shape}: too many open sizes")
    return ops.reshape(product, [0, *(-1 if n is None else n for n in sizes)], shape)


def _matrix(ops: Ops, x: Value, order: list[int], rest: int, *, contracted_last: bool) -> Value:
    """x with its axes in `order`, and all but the batch and the contracted one folded into one."""
    if order != sorted(order):
        x = ops.transpose(x, order)
    if rest == 1:
        return x
    if rest == 0:
        return ops.expand_dims(x, 1 if contracted_last else 2)
    folded = x.shape[1:-1] if contracted_last else x.shape[2:]
    size: int | None = 1
    for n in folded:
        size = None if n is None or size is None else size * n
    k = x.shape[-1] if contracted_last else x.shape[1]
    if k is None:
        raise Unsupported(f"Dot over an open axis of an input of shape {x.shape}")
    if contracted_last:
        return ops.reshape(x, [0, -1, k], (x.shape[0], size, k))
    return ops.reshape(x, [0, k, -1], (x.shape[0], k, size))


def l2_normalize(call: Call, x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """x / sqrt(max(sum(x²), epsilon)) over axes."""
    ops = call.ops
    squares = ops.reduce("sum", ops.unary("square", x), axes, keepdims=True)
    return ops.elementwise("multiply", x, ops.unary("rsqrt", ops.with_scalar("maximum", squares, epsilon)))


def _dot(call: Call) -> tuple[Tensor, ...]:
    found = in_one_dtype(call)
    if len(found) != 2:
        raise InvalidModel(f"Dot takes two inputs, not {len(found)}")
    x, y = found[0].value, found[1].value
    if max(len(x.shape), len(y.shape)) > 3 and not call.era.switch("dot_takes_any_rank"):
        raise Unsupported(f"Dot of inputs {x.shape} and {y.shape}: {call.era} means something else by it")
    a, b = dot_axes(call.config.axes, x.shape, y.shape)
    if call.config.normalize:
        epsilon = call.era.switch("dot_norm_epsilon")
        x, y = l2_normalize(call, x, [a], epsilon), l2_normalize(call, y, [b], epsilon)
    return (Tensor(batch_dot(call.ops, x, y, a, b)),)


TYPES: dict[str, LayerType] = {"Dot": LayerType(DotConfig, _dot, note="more than three axes: since 2.4")}
