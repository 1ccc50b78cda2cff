"""Strings: LabelEncoder for lookups; what ONNX has no operator for is split and joined again, from opset 20 on."""

from __future__ import annotations

import onnx
from onnx import helper

from converter.errors import Unsupported
from converter.exporters.onnx.graph import Graph, Tensor, element_type, value_info
from converter.exporters.onnx.lower import Inputs, Outputs, lower, present, rank
from converter.model import Node
from converter.model.layers import NO_INDEX, Lookup, LowerCase, RemoveCharacters, SplitWords

SPLITS_SINCE = 20  # StringSplit, StringConcat
BLANKS = "\t\n\v\f\r"  # with " " itself all that TensorFlow splits at; onnxruntime splits at " " only


@lower.register
def lookup(layer: Lookup, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_LabelEncoder.html, a hash table."""
    kinds = [("strings", "string") if isinstance(side[0], str) else ("int64s", "int64")
             for side in (layer.keys, layer.values)]  # fmt: skip
    (key, _), (value, dtype) = kinds
    default = layer.default if layer.default is not None else "" if dtype == "string" else NO_INDEX
    attributes = {f"keys_{key}": layer.keys, f"values_{value}": layer.values, f"default_{value[:-1]}": default}
    return (graph.op("LabelEncoder", present(inputs[0]), dtype=dtype, **attributes),)


@lower.register
def lower_case(layer: LowerCase, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """StringNormalizer takes one axis. Of the locale "C", which every system has, only ASCII letters have a case.

    Before onnxruntime 1.18, a text of a single character beyond U+FFFF becomes "Conversion Error"; no other does.
    """
    x = present(inputs[0])
    flat = graph.reshape(x, [-1])
    lowered = graph.op("StringNormalizer", flat, case_change_action="LOWER", is_case_sensitive=1, locale="C")
    return (graph.op("Reshape", lowered, graph.op("Shape", x, dtype="int64")),)


@lower.register
def remove_characters(layer: RemoveCharacters, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Split at each of them, the pieces joined again."""
    x = present(inputs[0])
    for character in layer.characters:
        x = _replaced(graph, x, rank(node), character, "")
    return (x,)


@lower.register
def split_words(layer: SplitWords, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """StringSplit, after all white space has become blanks."""
    x = present(inputs[0])
    for character in BLANKS:
        x = _replaced(graph, x, rank(node), character, " ")
    return (_split(graph, x, None),)


def _split(graph: Graph, x: Tensor, delimiter: str | None) -> Tensor:
    """https://onnx.ai/onnx/operators/onnx__StringSplit.html: a new last axis, filled up with empty strings."""
    if graph.store.opset < SPLITS_SINCE:
        raise Unsupported("text can be taken apart from opset 20 on only", hint="convert with --opset 20")
    words = graph.ops("StringSplit", [x], ["string", "int64"], delimiter=delimiter)[0]
    return present(words)


def _replaced(graph: Graph, x: Tensor, axes: int, character: str, by: str) -> Tensor:
    """x with `by` for each `character`; by " " it gets blanks at both ends too, how many depends on the batch.

    A Loop joins the pieces: in onnxruntime (1.32) StringConcat adds to what its output's memory holds, and a Scan gives
    it memory that was used before.
    """
    pieces = _split(graph, x, character)
    start = graph.op("Expand", _text(graph, ""), graph.op("Shape", x, dtype="int64"))
    body = graph.body()
    step, going, joined = body.input("step", "int64"), body.input("going", "bool"), body.input("joined", "string")
    piece = body.op("Gather", pieces, step, axis=axes)
    made = body.op("StringConcat", joined, body.op("StringConcat", _text(body, by), piece) if by else piece)
    shapes: dict[Tensor, tuple[None, ...]] = {joined: (None,) * axes, made: (None,) * axes}
    inputs, outputs = ([value_info(each.name, each.dtype, shapes.get(each, ())) for each in side]
                       for side in ((step, going, joined), (body.op("Identity", going), made)))  # fmt: skip
    proto = helper.make_graph(body.nodes, graph.store.unique(f"{graph.store.layer}/join"), inputs, outputs)
    return graph.op("Loop", graph.size(pieces, axes), None, start, dtype="string", body=proto)


def _text(graph: Graph, text: str) -> Tensor:
    """A 0-d constant."""
    value = onnx.TensorProto(data_type=element_type("string"), string_data=[text.encode()])
    return graph.op("Constant", dtype="string", value=value)
