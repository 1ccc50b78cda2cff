"""What is said of an operator whose inputs or attributes no rule can take: which they are, never Python's own words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from converter.errors import SURPRISES, InvalidModel, clean
from converter.readers.onnx.tensors import Const, Dims

_HINT = "if ONNX Runtime runs the file, please report it; --debug shows more"
_MOST = 6  # inputs and attributes that are named


@contextmanager
def fitting(op: str, inputs: Sequence[object], attributes: Iterable[str]) -> Iterator[None]:
    """Around the work on one operator.

    Args:
        op: its type.
        inputs: tensors of any kind that the reader knows, or arrays; None for those that are left out.
        attributes: their names.

    Raises:
        InvalidModel: in place of whatever Python and NumPy raise where these do not fit each other.
    """
    try:
        yield
    except SURPRISES as error:
        given = ", ".join(map(_said, inputs[:_MOST])) or "no inputs"
        names = ", ".join(clean(name, 30) for name in sorted(attributes)[:_MOST])
        what = f"{op} of {given}{f' with {names}' if names else ''}: these do not fit each other, or one is missing"
        raise InvalidModel(what, hint=_HINT) from error


def _said(tensor: object) -> str:
    """The shape of an input."""
    if tensor is None:
        return "nothing"
    if isinstance(tensor, Const):
        return str(list(tensor.weight.shape))
    if isinstance(tensor, Dims):
        return "a size" if tensor.scalar else f"{len(tensor.items)} sizes"
    shape = getattr(tensor, "shape", None)
    if not isinstance(shape, tuple) or not all(size is None or isinstance(size, int) for size in shape):
        return "a tensor"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
