"""Which stored tensor the graph's own restore operation puts into each variable, slices included.

The way of TensorFlow Serving and of TensorFlow 1: RestoreV2 -> Identity -> AssignVariableOp. Source:
tensorflow/tensorflow `core/ops/io_ops.cc`, `python/checkpoint/functional_saver.py`, `core/framework/tensor_slice.cc`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from converter.errors import ConversionError, InvalidModel, clean
from converter.model import Weight
from converter.tensorflow_graph.definitions import Body, Library, Step
from converter.tensorflow_graph.running import CALLS
from converter.tensorflow_graph.walking import Walk

_SLICE = re.compile(r"(\d{1,12} )+((-|\d{1,12},\d{1,12})(:|$))+")


@dataclass(frozen=True)
class Stored:
    """A tensor of the checkpoint, or a part of it.

    Attributes:
        key: in the checkpoint.
        starts, sizes: of the part along each axis; empty for the whole tensor, a size None to the end.
    """

    key: str
    starts: tuple[int, ...] = ()
    sizes: tuple[int | None, ...] = ()

    def of(self, weight: Weight) -> Weight:
        """The part of the tensor that is stored under the key.

        Raises:
            InvalidModel: it does not lie inside.
        """
        if not self.starts:
            return weight
        if len(self.starts) != len(weight.shape):
            raise InvalidModel("a part of another rank than the tensor's", where=self.key)
        ends = [a + n if n is not None else size
                for a, n, size in zip(self.starts, self.sizes, weight.shape, strict=True)]  # fmt: skip
        if any(not 0 <= a <= b <= size for a, b, size in zip(self.starts, ends, weight.shape, strict=True)):
            raise InvalidModel("a part that reaches beyond the tensor", where=self.key)
        key = tuple(slice(a, b) for a, b in zip(self.starts, ends, strict=True))
        shape = tuple(b - a for a, b in zip(self.starts, ends, strict=True))
        return weight.map(lambda values: values[key], shape)


def restored(library: Library, operation: str) -> dict[str, Stored]:
    """Variable of the main graph -> what the restore operation of that name puts into it."""
    name = operation.partition(":")[0].removeprefix("^")
    if name not in library.main:
        return {}
    domain = _Restoring(library)
    Walk(domain).call(Body("restore", library.main, {}, (), (name,)), [])
    return domain.found


class _Restoring:
    """Steps as far as restoring needs them; all else is None."""

    def __init__(self, library: Library) -> None:
        self.library, self.found = library, dict[str, Stored]()

    def step(self, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
        if step.op in CALLS:
            return walk.call(self.library.called(step), inputs)
        if step.op in ("VarHandleOp", "VariableV2", "Variable"):
            return [step]
        if step.op == "RestoreV2":
            return _parts(inputs[1], inputs[2])
        if step.op in ("AssignVariableOp", "Assign") and isinstance(inputs[0], Step):
            if isinstance(inputs[1], Stored):
                self.found[inputs[0].name] = inputs[1]
            return [inputs[0]]
        if step.op == "Identity":
            return [inputs[0]]
        try:
            return [step.attributes["value"]] if step.op == "Const" else [None] * 4096
        except ConversionError:
            return [None]


def _parts(names: Any, slices: Any) -> list[Stored]:
    if names is None or slices is None or len(names) != len(slices):
        raise InvalidModel("the graph restores tensors that it does not name")
    found = []
    for name, text in zip(names.tolist(), slices.tolist(), strict=True):
        key, spec = name.decode("utf-8", "replace"), text.decode("utf-8", "replace")
        found.append(Stored(key, *_slice(spec)) if spec else Stored(key))
    return found


def _slice(text: str) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
    """ "30 24 0,10:-": the whole shape, then start and length of each axis, or "-" for all of it."""
    if not _SLICE.fullmatch(text):
        raise InvalidModel(f"{clean(text, 60)} is no slice")
    parts = [None if part == "-" else part.split(",") for part in text.rpartition(" ")[2].split(":")]
    return tuple(0 if p is None else int(p[0]) for p in parts), tuple(None if p is None else int(p[1]) for p in parts)
