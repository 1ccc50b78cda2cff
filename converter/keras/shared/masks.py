"""The masks a layer is called with, and those it passes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converter.errors import Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import Ops
from converter.keras.eras.switches import Era
from converter.keras.shared.constants import constant
from converter.keras.spec import Call, flatten
from converter.model import Value


def explicit_mask(call: Call, name: str = "mask") -> Value | None:
    """A mask given by keyword, as bool; None where there is none.

    Raises:
        Unsupported: the keyword holds something that is neither a tensor, a constant nor None.
    """
    return given_mask(call, call.kwargs.get(name), name)


def given_mask(call: Call, given: Any, name: str) -> Value | None:
    """A mask, tensor or constant, as bool. A constant one [batch, ...] of several rows fixes the batch.

    Raises:
        Unsupported: it is neither a tensor nor truth values nor None.
    """
    if given is None:
        return None
    if flatten(given) and not isinstance(given, Tensor):
        raise Unsupported(f"{name}= of {call.spec.class_name} is no single tensor")
    if isinstance(given, Tensor):
        return call.ops.cast(given.value, "bool")
    mask = call.ops.cast(constant(call.ops, given).value, "bool")
    axes, rows = len(mask.shape), mask.shape[0] if mask.shape else None
    if axes < 2:
        raise Unsupported(f"{name}= of {call.spec.class_name} is constant, and not for each row and step")
    if rows is not None and rows > 1 and (axes > 2 or name != "attention_mask"):
        call.graph.fix_batch(rows)
    return for_all_rows(call.ops, call.tensors[0].value, mask) if name == "mask" and rows == 1 else mask


def for_all_rows(ops: Ops, x: Value, mask: Value) -> Value:
    """A mask of one row as one of as many rows as x has, [batch, time, ...]."""
    step = ops.cast(x, "bool")
    if len(x.shape) > len(mask.shape):
        step = ops.reduce("any", step, range(len(mask.shape), len(x.shape)))
    return ops.elementwise("and", ops.elementwise("or", step, ops.unary("not", step)), mask)


def carried_mask(call: Call) -> Value | None:
    """The mask that a layer which passes masks on gives its outputs."""
    given = explicit_mask(call)
    if given is not None and call.era.switch("explicit_mask_carried"):
        return given
    first = flatten(call.args)
    return first[0].mask if first else None


def passed_mask(call: Call) -> Value | None:
    """The mask of a layer that passes on its input's.

    Raises:
        Unsupported: see `refuse_lost`.
    """
    if call.spec.row is not None and call.spec.row.returns_input(call.config):
        refuse_lost(call.era, call.tensors, "passes a layer that gives back its input")
    return carried_mask(call)


def refuse_lost(era: Era, tensors: Sequence[Tensor], what: str) -> None:
    """Refuse masks where TensorFlow before 1.14 loses some of them, by side effects of its graph.

    Raises:
        Unsupported: one of the tensors has a mask, and the file is, or could be, of such a version.
    """
    kept = era.switch("masks_kept")
    if not (era.ragged if kept is None else kept) and any(t.mask is not None for t in tensors):
        hint = "files of 1.14 and 1.15 look the same; saved again with TensorFlow 2, the model keeps its masks"
        raise Unsupported(f"a mask {what}, where TensorFlow before 1.14 can lose it", hint=hint)


def call_mask(call: Call) -> Value | None:
    """The mask of a layer of one input: the one given by keyword, else the one its input carries."""
    mask = explicit_mask(call)
    if mask is not None or not call.tensors:
        return mask
    carried = call.tensors[0].mask
    return None if carried is None else call.ops.cast(carried, "bool")
