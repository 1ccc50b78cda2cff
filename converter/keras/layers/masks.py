"""The masks a layer is called with."""

from __future__ import annotations

from converter.errors import Unsupported
from converter.keras.graph import Tensor
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


def call_mask(call: Call) -> Value | None:
    """The mask of a layer of one input: the one given by keyword, else the one its input carries."""
    mask = explicit_mask(call)
    if mask is not None or not call.tensors:
        return mask
    carried = call.tensors[0].mask
    return None if carried is None else call.ops.cast(carried, "bool")
