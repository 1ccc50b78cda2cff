"""Einsum equations in any of NumPy's forms, made explicit."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.ops import Ops
from converter.model import Shape, Value, layers


def explicit(equation: str, ranks: Sequence[int]) -> str:
    """The equation with an output side and letters for every ellipsis ("...x,xy->...y" -> "abx,xy->aby").

    Raises:
        InvalidModel: it is malformed, or its terms do not have these ranks.
    """
    text = equation.replace(" ", "")
    if not re.fullmatch(r"[A-Za-z.,]*(->[A-Za-z.]*)?", text) or len(text) > 200:
        raise InvalidModel(f"{clean(equation)} is no einsum equation")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise InvalidModel(f"the equation {equation} has {len(terms)} terms for {len(ranks)} tensors")
    free = [c for c in string.ascii_letters if c not in text]
    widths = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    if any(w < 0 or (w > 0) > ("..." in term) for w, term in zip(widths, terms, strict=True)):
        raise InvalidModel(f"the equation {equation} does not fit tensors with {list(ranks)} axes")
    most = max(widths)
    if most > len(free):
        raise Unsupported(f"the equation {equation} needs too many letters")
    letters = "".join(free[:most])
    terms = [t.replace("...", letters[most - w :]) for t, w in zip(terms, widths, strict=True)]
    if not arrow:
        every = "".join(terms)
        right = letters + "".join(c for c in sorted(set(every)) if every.count(c) == 1 and c not in letters)
    return ",".join(terms) + "->" + right.replace("...", letters)


def einsum_shape(equation: str, shapes: Sequence[Shape]) -> Shape:
    """What an explicit equation makes of tensors of these shapes.

    Raises:
        InvalidModel: a letter stands for two sizes, or the output has one that no input has.
    """
    left, _, right = equation.partition("->")
    sizes: dict[str, int | None] = {}
    for term, shape in zip(left.split(","), shapes, strict=True):
        for letter, size in zip(term, shape, strict=True):
            known = sizes.get(letter)
            if None not in (known, size) and known != size and 1 not in (known, size):
                raise InvalidModel(f"{letter!r} is both {known} and {size} in {equation}")
            sizes[letter] = size if known in (None, 1) and size is not None else known
    if any(letter not in sizes for letter in right):
        raise InvalidModel(f"the output of {equation} has a letter that no input has")
    return tuple(sizes[letter] for letter in right)


def einsum(o: Ops, equation: str, operands: Sequence[Value]) -> Value:
    """The operator; a letter that stands for 1 in one tensor and more in another is refused.

    Raises:
        Unsupported: such broadcasting.
    """
    text = explicit(equation, [len(x.shape) for x in operands])
    shape = einsum_shape(text, [x.shape for x in operands])
    left = text.partition("->")[0].split(",")
    seen: dict[str, int] = {}
    for term, x in zip(left, operands, strict=True):
        for letter, size in zip(term, x.shape, strict=True):
            if size is not None and seen.setdefault(letter, size) != size:
                raise Unsupported(f"einsum {equation} broadcasts {letter!r}")
    return o.one(layers.Einsum(text), list(operands), shape, operands[0].dtype)
