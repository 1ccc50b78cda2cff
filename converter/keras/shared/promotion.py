"""The dtype that Keras 3 computes in where operands have different ones."""

from __future__ import annotations

from converter.errors import Unsupported, clean

# keras/src/backend/common/dtypes.py: a pair becomes the one further right, but for those below, which become a third.
ORDER = (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float16", "bfloat16", "float32", "float64",
)  # fmt: skip
THIRD = {
    frozenset(("uint8", "int8")): "int16", frozenset(("uint16", "int8")): "int32",
    frozenset(("uint16", "int16")): "int32", frozenset(("uint32", "int8")): "int64",
    frozenset(("uint32", "int16")): "int64", frozenset(("uint32", "int32")): "int64",
    frozenset(("float16", "bfloat16")): "float32",
}  # fmt: skip


def promote(a: str, b: str) -> str:
    """The dtype that holds both.

    Raises:
        Unsupported: a dtype that is not in `ORDER`.
    """
    if a == b:
        return a
    third = THIRD.get(frozenset((a, b)))
    if third is not None:
        return third
    if a not in ORDER or b not in ORDER:
        raise Unsupported(f"an operation on {clean(a)} and {clean(b)}")
    return max(a, b, key=ORDER.index)
