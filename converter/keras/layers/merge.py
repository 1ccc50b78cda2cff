"""Concatenate, Add, Subtract, Multiply, Average, Maximum, Minimum; Dot is in `dot`.

What masks do to a merge depends on the release. In Keras 1 and 2 the masks of the inputs are joined by `and`. Keras 3
before 3.4 does not see masks in a list of inputs, so they end there. Since 3.4.0 (keras-team/keras#19685) they are
joined by `or`, one unmasked input ends the mask, and Multiply, Maximum and Minimum leave masked steps out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import Ops
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType
from converter.keras.schema import Config
from converter.keras.shared.promotion import promote
from converter.keras.spec import Call
from converter.model import Value
from converter.model.layers import ElementwiseOp


def lists_end_masks(era: Era) -> bool:
    """Whether this Keras overlooks the masks of tensors that are passed as a list."""
    return bool(era.switch("merged_masks") == "lost")


OPERATORS: Mapping[str, ElementwiseOp] = {
    "Add": "add",
    "Subtract": "subtract",
    "Multiply": "multiply",
    "Average": "add",
    "Maximum": "maximum",
    "Minimum": "minimum",
}


class MergeConfig(Config, frozen=True):
    """https://keras.io/api/layers/merging_layers/"""


class ConcatenateConfig(Config, frozen=True):
    """https://keras.io/api/layers/merging_layers/concatenate/"""

    axis: int = -1


def same_rank(ops: Ops, inputs: Sequence[Value]) -> list[Value]:
    """The inputs with axes of size 1 put in after the batch, so that all have the rank of the largest."""
    rank = max(len(x.shape) for x in inputs)
    raised = []
    for x in inputs:
        while len(x.shape) < rank:
            x = ops.expand_dims(x, 1)
        raised.append(x)
    return raised


def in_one_dtype(call: Call) -> list[Tensor]:
    """The tensors that a merge is called on, in the dtype that holds all of them.

    Raises:
        Unsupported: they differ, and this Keras does not make one of them.
    """
    tensors, promotes = call.tensors, call.era.switch("merges_promote")
    if len({t.dtype for t in tensors}) < 2:
        return tensors
    if not promotes:
        raise Unsupported(f"{call.spec.class_name} of {' and '.join(t.dtype for t in tensors)}")
    dtype = reduce(promote, (t.dtype for t in tensors))
    return [Tensor(call.ops.cast(t.value, dtype), t.mask) for t in tensors]


def merge_masks(ops: Ops, tensors: Sequence[Tensor], by_or: bool) -> Value | None:
    """The mask of a merge of tensors, elementwise over [batch, time]."""
    masks = [t.mask for t in tensors]
    present = [mask for mask in masks if mask is not None]
    if not present or (by_or and len(present) < len(masks)):
        return None
    if len(present) == 1:
        return present[0]
    return ops.elementwise("or" if by_or else "and", *present)


def merge_values(ops: Ops, class_name: str, inputs: Sequence[Value]) -> Value:
    """The merge of inputs by the layer class, no matter the masks.

    Raises:
        InvalidModel: Subtract of other than two. Unsupported: Average of whole numbers, whose dtype backends decide.
    """
    if class_name == "Subtract" and len(inputs) != 2:
        raise InvalidModel(f"Subtract takes two inputs, not {len(inputs)}")
    y = inputs[0] if len(inputs) == 1 else ops.elementwise(OPERATORS[class_name], *inputs)
    return ops.with_scalar("divide", y, float(len(inputs))) if class_name == "Average" else y


def _merge(call: Call) -> tuple[Tensor, ...]:
    tensors, ops, name = in_one_dtype(call), call.ops, call.spec.class_name
    if not tensors:
        raise InvalidModel(f"{name} is called on nothing")
    by_or = call.era.switch("merged_masks") == "or"
    values = [t.value for t in tensors]
    raised = same_rank(ops, values)
    if by_or and name in MASKED and any(t.mask is not None for t in tensors):
        if raised != values:
            raise Unsupported(f"{name} of masked inputs of different ranks")
        y = MASKED[name](ops, tensors)
    else:
        y = merge_values(ops, name, raised)
    return (Tensor(y, None if lists_end_masks(call.era) else merge_masks(ops, tensors, by_or)),)


def _full(ops: Ops, tensor: Tensor) -> Value | None:
    """A tensor's mask with an axis more, to stand against its features."""
    if tensor.mask is None:
        return None
    if len(tensor.shape) != len(tensor.mask.shape) + 1:
        raise Unsupported(f"a merge of inputs {tensor.shape} with a mask {tensor.mask.shape}")
    return ops.expand_dims(tensor.mask, -1)


def _masked_multiply(ops: Ops, tensors: Sequence[Tensor]) -> Value:
    """Masked steps count as 1; where every input is masked the product is 0 (keras/src/layers/merging/multiply.py)."""
    masks = [_full(ops, t) for t in tensors]
    factors = [
        t.value if mask is None else ops.where(mask, t.value, ops.constant(1.0, t.dtype))
        for t, mask in zip(tensors, masks, strict=True)
    ]
    y = factors[0] if len(factors) == 1 else ops.elementwise("multiply", *factors)
    present = [mask for mask in masks if mask is not None]
    if len(present) < len(masks):
        return y
    return ops.where(reduce(lambda a, b: ops.elementwise("or", a, b), present), y, ops.constant(0.0, y.dtype))


def _masked_extreme(op: ElementwiseOp) -> Callable[[Ops, Sequence[Tensor]], Value]:
    def merge(ops: Ops, tensors: Sequence[Tensor]) -> Value:
        """A masked input gives way to what was gathered before it, and the other way round (base_merge.py)."""
        y, y_mask = tensors[0].value, _full(ops, tensors[0])
        for t in tensors[1:]:
            x, mask = t.value, _full(ops, t)
            if mask is not None:
                x = ops.where(mask, x, y)
            if y_mask is not None:
                y = ops.where(y_mask, y, x)
            y_mask = ops.elementwise("or", y_mask, mask) if y_mask is not None and mask is not None else None
            y = ops.elementwise(op, y, x)
        return y

    return merge


MASKED: Mapping[str, Callable[[Ops, Sequence[Tensor]], Value]] = {
    "Multiply": _masked_multiply,
    "Maximum": _masked_extreme("maximum"),
    "Minimum": _masked_extreme("minimum"),
}


def _concatenate(call: Call) -> tuple[Tensor, ...]:
    tensors, axis = in_one_dtype(call), call.config.axis
    if not tensors:
        raise InvalidModel("Concatenate is called on nothing")
    rank = len(tensors[0].shape)
    if not -rank <= axis < rank:
        raise InvalidModel(f"Concatenate along axis {axis} of inputs with {rank} axes")
    y = call.ops.concatenate([t.value for t in tensors], axis)
    return (Tensor(y, None if lists_end_masks(call.era) else concatenated_mask(call, tensors, axis % rank)),)


def concatenated_mask(call: Call, tensors: Sequence[Tensor], axis: int) -> Value | None:
    """The mask of a concatenation along `axis`: of as many axes as its inputs, less the last one.

    Keras stretches each mask to its input, joins them along the same axis, and asks over the last one: whether all
    hold (before 3.4), whether any does (since). An input without a mask counts as unmasked.

    Raises:
        Unsupported: Keras itself would fail on it, or a mask lacks further axes.
    """
    masks = [t.mask for t in tensors if t.mask is not None]
    if not masks:
        return None
    last = len(tensors[0].shape) - 1
    if any(len(mask.shape) != last for mask in masks) or axis == 0:
        raise Unsupported("Concatenate of masked inputs along the batch, or with masks of fewer axes")
    ops, by_any = call.ops, call.era.switch("merged_masks") == "or"
    if axis < last:
        if not by_any and any(t.mask is None and t.shape[last] != 1 for t in tensors):
            raise Unsupported("Concatenate in time of an input with a mask and one without, which this Keras cannot do")
        return ops.concatenate([_unmasked(ops, t.value) if t.mask is None else t.mask for t in tensors], axis)
    if by_any and len(masks) < len(tensors):
        return _unmasked(ops, tensors[0].value)
    return masks[0] if len(masks) == 1 else ops.elementwise("or" if by_any else "and", *masks)


def _unmasked(ops: Ops, x: Value) -> Value:
    """A mask for x that holds everywhere, made from x because its sizes may be open."""
    step = ops.reduce("any", ops.cast(x, "bool"), [-1])
    return ops.elementwise("or", step, ops.unary("not", step))


TYPES: dict[str, LayerType] = {
    **{name: LayerType(MergeConfig, _merge, masking="own") for name in OPERATORS},
    "Concatenate": LayerType(ConcatenateConfig, _concatenate, masking="own"),
}
