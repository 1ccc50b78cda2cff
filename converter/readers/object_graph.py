"""The graph of tracked objects that TensorFlow 2 stores next to the tensors, as a string tensor of the bundle.

SavedModels hold a second one, in saved_model.pb. Wherever a variable is stored, both have the same edges; this one
also has the keys. Keys and names of variables are no guide: keys take whichever path is shortest, names repeat.
Source: tensorflow/tensorflow `core/protobuf/trackable_object_graph.proto`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from converter.errors import InvalidModel
from converter.formats.protobuf import parse
from converter.formats.tensor_bundle import STRING, Bundle
from converter.keras.source import NamedWeights
from converter.model import Weight

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
# Tensors other than the model's: states of the optimizer, counters, metrics.
_NOT_THE_MODEL = ("optimizer/", "save_counter/", "keras_api/metrics/", "_optimizer/")
_SLOT = "/.OPTIMIZER_SLOT/"
_LAYER = re.compile(r"layer-\d{1,9}")
_LISTS = ("_operations", "_layers")
# States of random numbers, which are no weights, and what leads from a layer back to its neighbors.
_SEEDS = ("seed_generator", "_seed_generators", "_inbound_nodes", "_outbound_nodes")


@dataclass(frozen=True, eq=False)
class ObjectGraph:
    """The objects by number; 0 is the root."""

    bundle: Bundle = field(repr=False)
    nodes: Any = field(repr=False)

    @cached_property
    def edges(self) -> list[dict[str, int] | None]:
        """Children of each node by name, filled in when first asked for."""
        return [None] * len(self.nodes)

    def children(self, node: int) -> Mapping[str, int]:
        """Children of one node by name.

        Raises:
            InvalidModel: a child is out of range.
        """
        known = self.edges[node]
        if known is None:
            stored = self._stored_edges(node)
            known = self.edges[node] = stored | self._layers_with_weights(stored)
        return known

    def _stored_edges(self, node: int) -> dict[str, int]:
        edges = {child.local_name: child.node_id for child in self.nodes[node].children}
        if any(not 0 <= child < len(self.nodes) for child in edges.values()):
            raise InvalidModel(f"object {node} refers to objects that are not there", where=GRAPH_KEY)
        return edges

    def _layers_with_weights(self, edges: Mapping[str, int]) -> dict[str, int]:
        """The edges "layer_with_weights-N" where they were left out: by TF 1.15, of models built by their first call,
        and by Keras 3, whose models keep a list of all layers (keras/src/models/functional.py and sequential.py)."""
        layers = sorted((int(name[6:]), node) for name, node in edges.items() if _LAYER.fullmatch(name))
        kept_list = next((edges[name] for name in _LISTS if name in edges), None)
        if not layers and kept_list is not None:
            listed = self._stored_edges(kept_list).items()
            layers = sorted((int(name), node) for name, node in listed if name.isdecimal() and len(name) < 10)
        if not layers or any(name.startswith("layer_with_weights-") for name in edges):
            return {}
        kept = [node for _, node in layers if self._holds_variables(node)]
        return {f"layer_with_weights-{index}": node for index, node in enumerate(kept)}

    def _holds_variables(self, node: int) -> bool:
        """Whether a variable is at or below the node."""
        seen, waiting = {node}, [node]
        while waiting:
            node = waiting.pop()
            if self.nodes[node].attributes:
                return True
            below = {child for name, child in self._stored_edges(node).items() if name not in _SEEDS} - seen
            seen |= below
            waiting.extend(below)
        return False


@dataclass(frozen=True, eq=False)
class TrackedObject:
    """One object of the graph: `converter.keras.source.ObjectWeights`. Cycles are followed as far as asked.

    Attributes:
        path: attribute names that led here.
        tables: the words of the lookup table that the object of such a path keeps, or None: a checkpoint has none.
    """

    graph: ObjectGraph = field(repr=False)
    node: int = 0
    path: tuple[str, ...] = ()
    tables: Callable[[tuple[str, ...], bool], Weight | None] = field(default=lambda path, inverse: None, repr=False)

    def child(self, *path: str) -> TrackedObject | None:
        """The object reached along attribute names, or None."""
        node: int | None = self.node
        for name in path:
            edges = self.graph.children(node) if node is not None else {}
            node = edges.get(name, edges.get(f"_{name}"))  # Keras 3 keeps kernels as `_kernel`
        return None if node is None else replace(self, node=node, path=(*self.path, *path))

    def children(self) -> tuple[str, ...]:
        """Names of the edges that leave this object."""
        return tuple(self.graph.children(self.node))

    def variable(self) -> Weight | None:
        """The array stored for this object, if it is a variable."""
        for attribute in self.graph.nodes[self.node].attributes:
            if attribute.name == "VARIABLE_VALUE":
                return self.graph.bundle.weight(attribute.checkpoint_key, attribute.full_name)
        return None

    def vocabulary(self, inverse: bool) -> Weight | None:
        """The words of this object's lookup table, or None."""
        return self.tables(self.path, inverse)

    def variable_names(self) -> tuple[str, ...]:
        """What all variables of the file are called ("lstm/lstm_cell/kernel"), wherever this object stands."""
        attributes = (a for node in self.graph.nodes for a in node.attributes if a.name == "VARIABLE_VALUE")
        return tuple(attribute.full_name for attribute in attributes)


def object_graph(bundle: Bundle) -> TrackedObject | None:
    """The root object, or None if the bundle was written without objects (by TensorFlow 1's Saver).

    Raises:
        InvalidModel: the graph is broken.
    """
    if GRAPH_KEY not in bundle.entries:
        return None
    nodes = parse("TrackableObjectGraph", bundle.string(GRAPH_KEY)).nodes
    if not nodes:
        raise InvalidModel("the object graph is empty", where=GRAPH_KEY)
    return TrackedObject(ObjectGraph(bundle, nodes))


def named_weights(bundle: Bundle) -> dict[str, Weight]:
    """All arrays of the model by a name of their own, in the order of the file; the optimizer's are left out.

    The name is the variable's ("lstm/lstm_cell/kernel") where no other has it, else its place among the objects
    ("layer_with_weights-0/cell/kernel").

    Raises:
        InvalidModel: a tensor's data is missing, or a string is broken.
        Unsupported: a tensor holds neither numbers nor strings.
    """
    full_names = _full_names(bundle)
    counts: dict[str, int] = {}
    for name in full_names.values():
        counts[name] = counts.get(name, 0) + 1
    weights: dict[str, Weight] = {}
    for key, entry in bundle.entries.items():
        if entry.dtype == STRING:
            bundle.strings(key)  # checks them; they are no arrays
        elif not key.startswith(_NOT_THE_MODEL) and _SLOT not in key:
            full = full_names.get(key, "")
            name = full if counts.get(full) == 1 and full not in bundle.entries else key.removesuffix(_VALUE)
            weights[name] = bundle.weight(key, name)
    return weights


def saver_variables(bundle: Bundle) -> NamedWeights:
    """The variables of a bundle without objects by their names; the optimizer's, which hang on others, are left out.

    Raises:
        InvalidModel, Unsupported: as `named_weights`.
    """
    weights = named_weights(bundle)
    above = {name: name.split("/")[:-1] for name in weights}
    hung = {name for name, path in above.items() if any("/".join(path[:k]) in weights for k in range(1, len(path) + 1))}
    return NamedWeights({name: weight for name, weight in weights.items() if name not in hung})


def _full_names(bundle: Bundle) -> dict[str, str]:
    """Key -> the variable's own name, where the object graph has one."""
    root = object_graph(bundle)
    if root is None:
        return {}
    attributes = (a for node in root.graph.nodes for a in node.attributes if a.name == "VARIABLE_VALUE" and a.full_name)
    return {a.checkpoint_key: a.full_name for a in attributes}
