"""The words of lookup layers in a SavedModel: constants of its graph that the table's initializer captures.

layer -> `lookup_table` -> `_initialize`, a function whose bound inputs are the table, its keys and its values. Nothing
is run: the two constants are read where they are in the graph. Source, in tensorflow/tensorflow:
`python/ops/lookup_ops.py` (KeyValueTensorInitializer), `core/protobuf/saved_object_graph.proto`,
`core/framework/tensor.proto`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from converter import limits
from converter.errors import InvalidModel, Unsupported
from converter.formats.protobuf import parse
from converter.formats.tensor_bundle import STRING
from converter.model import Weight
from converter.readers.vocabulary import text_weight

INT64 = 9  # of types.proto

PLACE = "saved_model.pb"
# Where a layer keeps its table: itself, or, a TextVectorization, in the layer inside, which older ones call otherwise.
HOLDERS = ((), ("_lookup_layer",), ("_index_lookup_layer",))


def words_at(graph: Any, path: tuple[str, ...], inverse: bool) -> Weight | None:
    """The words of the table that the object at `path` keeps, each at its index; None before the first one.

    Args:
        graph: a MetaGraphDef.
        path: attribute names from the root on.
        inverse: whether the table leads from indices to words.

    Raises:
        InvalidModel: the table is broken.
        Unsupported: it is filled from a file.
    """
    objects = graph.object_graph_def.nodes
    reached = (_reached(objects, (*path, *holder, "lookup_table")) for holder in HOLDERS)
    table = next((found for found in reached if found is not None), None)
    filler = None if table is None else _reached(objects, ("_initialize",), table)
    if table is None or filler is None:
        return None
    bound = {entry.key: entry.value.bound_inputs for entry in graph.object_graph_def.concrete_functions}
    names = objects[filler].function.concrete_functions
    inputs = list(bound.get(names[0], ())) if names else []
    if not inputs:
        return None  # never filled: the layer was not adapted
    constants = [objects[k].constant.operation if 0 <= k < len(objects) else "" for k in inputs[1:]]
    if len(constants) != 2 or inputs[0] != table or not all(constants):
        raise Unsupported("a vocabulary read from a file next to the model", hint="give the layer its words as a list")
    listed = parse("GraphDef", graph.graph_def).node
    words, indices = (_constant(listed, name) for name in (constants[::-1] if inverse else constants))
    return text_weight("/".join(path), _ordered(indices, words))


def _reached(objects: Any, path: tuple[str, ...], node: int = 0) -> int | None:
    """The object at the end of a path of attribute names."""
    for name in path:
        found = next((child.node_id for child in objects[node].children if child.local_name == name), None)
        if found is None or not 0 <= found < len(objects):
            return None
        node = found
    return node


def _constant(nodes: Any, name: str) -> list[int] | list[str]:
    """The values of the constant of that name, of one axis."""
    for node in nodes:
        if node.name == name and node.op == "Const":
            tensor = next((entry.value.tensor for entry in node.attr if entry.key == "value"), None)
            if tensor is not None:
                return _values(tensor)
    raise InvalidModel("a table is filled by what is no constant", where=PLACE)


def _values(tensor: Any) -> list[int] | list[str]:
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    count = math.prod(shape)
    if tensor.dtype not in (STRING, INT64):
        raise Unsupported(f"a vocabulary of TensorFlow's type {tensor.dtype}, not of text or int64", where=PLACE)
    if len(shape) != 1 or not 0 < count <= limits.WORDS:
        raise InvalidModel(f"a vocabulary of shape {shape}", where=PLACE)
    listed: list[Any] = list(tensor.string_val if tensor.dtype == STRING else tensor.int64_val)
    if tensor.dtype == INT64 and tensor.tensor_content:
        if len(tensor.tensor_content) != 8 * count:
            raise InvalidModel("a table whose size is not its shape's", where=PLACE)
        listed = np.frombuffer(tensor.tensor_content, "<i8").tolist()
    if not 0 < len(listed) <= count:
        raise InvalidModel("a table whose size is not its shape's", where=PLACE)
    listed += listed[-1:] * (count - len(listed))  # equal values at the end are written once
    try:
        return [item.decode("utf-8") for item in listed] if tensor.dtype == STRING else listed
    except UnicodeDecodeError:
        raise InvalidModel("a word that is not UTF-8 text", where=PLACE) from None


def _ordered(indices: list[Any], words: list[Any]) -> list[str | None]:
    first = indices[0]
    if not isinstance(first, int) or not 0 <= first <= limits.WORDS or indices != [*range(first, first + len(words))]:
        raise InvalidModel("the indices of a table do not count up by one", where=PLACE)
    return [None] * first + [str(word) for word in words]
