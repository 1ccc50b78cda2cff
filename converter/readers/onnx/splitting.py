"""Text as our own exports take it apart (exporters/onnx/text.py), read back as the layers that it stands for.

ONNX splits at one character, or at blanks; a Loop joins the pieces again, by nothing or with blanks. Each part of that
is recognized as it stands there. What differs from it is refused by name: the same operators could mean anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from converter.errors import InvalidModel, Unsupported, clean
from converter.model import Value, layers
from converter.readers.onnx.counted import Dim
from converter.readers.onnx.origins import same
from converter.readers.onnx.pieces import Blanked, Pieces, Texts
from converter.readers.onnx.shapes import own_sizes, sizes_of
from converter.readers.onnx.tensors import Const, Tensor, Val
from converter.readers.onnx.values import Builder, Call

WHITE_SPACE = frozenset("\t\n\v\f\r")  # that Keras splits words at, besides blanks
_STRING = 8  # TensorProto.DataType
_DOMAINS = ("", "ai.onnx")
_OURS = "only text that is taken apart as our own exports do it is read"


def taken_apart(builder: Builder, call: Call) -> list[Tensor] | None:
    """What an operator makes of pieces of text, or of a text of the file; None where it has none.

    Raises:
        Unsupported: it does something else with them than our exports do.
    """
    rule = _RECOGNIZERS.get(call.op)
    return rule(builder, call) if rule is not None else None


def _string_split(builder: Builder, call: Call) -> list[Tensor]:
    """Pieces and how many of each text; words where all other white space has become blanks.

    https://onnx.ai/onnx/operators/onnx__StringSplit.html. Without a delimiter ONNX Runtime splits at blanks alone.

    Raises:
        Unsupported: a delimiter of more than one character, maxsplit, or words of texts as they came.
    """
    given, delimiter = call.tensor(0), call.string("delimiter", "")
    text = given if isinstance(given, Blanked) else builder.value(given, call.name)
    if isinstance(text, Value) and text.dtype != "string":
        raise InvalidModel(f"StringSplit of {text.dtype}")
    if "maxsplit" in call.attributes:
        raise Unsupported("StringSplit with maxsplit", hint=_OURS)
    if len(delimiter) > 1 or not delimiter.isascii():
        raise Unsupported(f"StringSplit at {clean(delimiter, 20)!r}, not at one ASCII character", hint=_OURS)
    if delimiter:
        return [Pieces(text, delimiter), Pieces(text, delimiter, "counts")]
    if not isinstance(text, Blanked) or text.characters != WHITE_SPACE:
        raise Unsupported("StringSplit at blanks alone, where Keras splits at all white space", hint=_OURS)
    x = text.value
    (words,) = builder.node(call.name, layers.SplitWords(), (x,), (*x.shape, None), dtype="string")
    return [Val(words), Pieces(text, None, "counts")]


@sizes_of.register
def _(tensor: Blanked) -> tuple[Dim, ...]:
    return own_sizes(Val(tensor.value))


@sizes_of.register
def _(tensor: Texts) -> tuple[Dim, ...]:
    return tensor.shape


def _constant(builder: Builder, call: Call) -> list[Tensor] | None:
    tensor = call.attributes["value"].t if "value" in call.attributes else None
    return None if tensor is None or tensor.data_type != _STRING else [_text(tensor)]


def _text(tensor: Any) -> Texts:
    """A tensor of one text."""
    if tensor.dims or len(tensor.string_data) != 1:
        raise Unsupported("an array of texts", hint=_OURS)
    return Texts(tensor.string_data[0].decode())


def _shape(builder: Builder, call: Call) -> list[Tensor] | None:
    pieces = call.tensor(0)
    if not isinstance(pieces, Pieces) or pieces.what != "pieces" or {"start", "end"} & set(call.attributes):
        return None
    return [replace(pieces, what="shape")]


def _gather(builder: Builder, call: Call) -> list[Tensor] | None:
    pieces, index = call.tensor(0), call.tensor(1)
    if not isinstance(pieces, Pieces) or pieces.what != "shape":
        return None
    number = index.array.item() if isinstance(index, Const) and index.weight.shape == () else None
    if number not in (pieces.rank, -1) or call.integer("axis", 0) != 0:
        raise Unsupported("the shape of pieces of text in another use than counting these", hint=_OURS)
    return [replace(pieces, what="most")]


def _expand(builder: Builder, call: Call) -> list[Tensor] | None:
    text, shape = call.tensor(0), builder.dims(call.tensor(1))
    if not isinstance(text, Texts) or text.shape or shape is None:
        return None
    return [replace(text, shape=shape)]


def _reshape(builder: Builder, call: Call) -> list[Tensor] | None:
    """Lower case of texts of one axis, which StringNormalizer asks for, in the shape that they had before."""
    lowered, target = call.tensor(0), builder.dims(call.tensor(1))
    made = builder.producer(lowered.value) if isinstance(lowered, Val) else None
    if made is None or made.layer != layers.LowerCase() or made.inputs[0] is None or target is None:
        return None
    before = builder.producer(made.inputs[0])
    x = before.inputs[0] if before is not None and isinstance(before.layer, layers.Reshape) else None
    if x is None or len(made.inputs[0].shape) != 1 or not _alike(builder, target, own_sizes(Val(x))):
        return None
    return [Val(builder.node(call.name, layers.LowerCase(), (x,), x.shape)[0])]


def _alike(builder: Builder, shape: Sequence[Dim], other: Sequence[Dim]) -> bool:
    """Whether two shapes are the same, whatever the model is given."""
    return len(shape) == len(other) and all(same(builder, a, b) for a, b in zip(shape, other, strict=True))


@dataclass(frozen=True)
class _Piece:
    """The piece of this round, with a text before it."""

    before: str = ""


@dataclass(frozen=True)
class _Variable:
    """Of a Loop: the number of the round, whether it goes on, what is joined; `more` is what a round adds to it."""

    place: int
    more: _Piece | None = None


_STEP, _GOING, _JOINED = (_Variable(place) for place in range(3))


def _loop(builder: Builder, call: Call) -> list[Tensor] | None:
    """Joins all pieces of each text, in order: the texts without the character they were split at, or with blanks.

    Where another text has more pieces, empty ones are joined: those with blanks before them put blanks at the end.
    """
    pieces = call.tensor(0) if call.has(0) else None
    if not isinstance(pieces, Pieces):
        return None
    before = _added(builder, call, pieces)
    text, character = pieces.text, pieces.at
    if before not in ("", " ") or character is None or (isinstance(text, Blanked) and not before):
        raise Unsupported(f"pieces of text joined with {clean(before, 20)!r}", hint=_OURS)
    if before:
        value, blanks = (text.value, text.characters) if isinstance(text, Blanked) else (text, frozenset[str]())
        return [Blanked(value, blanks | {character})]
    assert isinstance(text, Value)
    return [_without(builder, call, text, character)]


def _without(builder: Builder, call: Call, x: Value, character: str) -> Val:
    """The texts without a character, and without those that were removed just before."""
    node, removed = builder.producer(x), ""
    if node is not None and isinstance(node.layer, layers.RemoveCharacters) and node.inputs[0] is not None:
        x, removed = node.inputs[0], node.layer.characters
    layer = layers.RemoveCharacters(removed + character * (character not in removed))
    return Val(builder.node(call.name, layer, (x,), x.shape)[0])


def _added(builder: Builder, call: Call, pieces: Pieces) -> str:
    """What a Loop puts before each piece.

    Raises:
        InvalidModel: it has no body. Unsupported: it does anything else than joining all pieces.
    """
    if "body" not in call.attributes:
        raise InvalidModel("Loop without a body")
    graph, text = call.attributes["body"].g, pieces.text
    value = text.value if isinstance(text, Blanked) else text
    start, sizes = call.tensor(2) if call.has(2) else None, own_sizes(Val(value))
    if not isinstance(start, Texts) or start.text or not _alike(builder, start.shape, sizes):
        raise Unsupported("pieces of text joined to something else than empty texts", hint=_OURS)
    counts = len(call.inputs), len(graph.input), len(graph.output), len(graph.initializer)
    if pieces.what != "most" or call.has(1) or counts != (3, 3, 2, 0):
        raise Unsupported("Loop over pieces of text of this form", hint=_OURS)
    known: dict[str, Any] = dict(zip((info.name for info in graph.input), (_STEP, _GOING, _JOINED), strict=True))
    for node in graph.node:
        _follow(builder, node, known, pieces)
    going, joined = (known.get(info.name) for info in graph.output)
    if going != _GOING or not isinstance(joined, _Variable) or joined.more is None:
        raise Unsupported("Loop over pieces of text that does not join them all", hint=_OURS)
    return joined.more.before


def _follow(builder: Builder, node: Any, known: dict[str, Any], pieces: Pieces) -> None:
    """Notes what one operator of the body makes."""
    rule = _STEPS.get(node.op_type) if node.domain in _DOMAINS else None
    given = [known.get(name, builder.tensors.get(name)) for name in node.input]
    made = rule(node, given, pieces) if rule is not None and len(node.output) == 1 else None
    if made is None or node.output[0] in known:
        raise Unsupported(f"operator {clean(node.op_type, 40)} in a Loop over pieces of text", hint=_OURS)
    known[node.output[0]] = made


def _taken(node: Any, given: list[Any], pieces: Pieces) -> _Piece | None:
    """The piece whose number is that of the round."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    whole = given == [replace(pieces, what="pieces"), _STEP]
    return _Piece() if whole and axis in (pieces.rank, -1) else None


def _appended(node: Any, given: list[Any], pieces: Pieces) -> _Piece | _Variable | None:
    """A text and a piece, or what was joined and both."""
    if len(given) != 2 or not isinstance(given[1], _Piece):
        return None
    if given[0] == _JOINED:
        return replace(_JOINED, more=given[1])
    text = given[0]
    return _Piece(text.text + given[1].before) if isinstance(text, Texts) and not text.shape else None


_STEPS: Mapping[str, Callable[[Any, list[Any], Pieces], Any]] = {
    "Identity": lambda node, given, pieces: given[0] if len(given) == 1 else None,
    "Constant": lambda node, given, pieces: next((_text(a.t) for a in node.attribute if a.name == "value"), None),
    "Gather": _taken,
    "StringConcat": _appended,
}
_RECOGNIZERS: Mapping[str, Callable[[Builder, Call], list[Tensor] | None]] = {
    "Constant": _constant, "Shape": _shape, "Gather": _gather, "Expand": _expand, "Reshape": _reshape, "Loop": _loop,
}  # fmt: skip
RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {"StringSplit": _string_split}
