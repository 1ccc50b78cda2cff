"""The masks a layer is called with, and those it passes on."""

from __future__ import annotations

from collections.abc import Sequence

from converter.errors import Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.spec import Call, flatten
from converter.model import Value


def explicit_mask(call: Call, name: str = "mask") -> Value | None:
    """A mask given by keyword, as bool; None where there is none.

    Raises:
        Unsupported: the keyword holds something that is neither a tensor nor None.
    """
    given = call.kwargs.get(name)
    if given is None:
        return None
    if not isinstance(given, Tensor):
        raise Unsupported(f"{name}= of {call.spec.class_name} is no single tensor")
    return call.ops.cast(given.value, "bool")


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
