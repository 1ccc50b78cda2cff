"""What a reader hands over: an architecture as Keras wrote it, and its weights as the container stores them.

Four ways of storing exist, each a class here; `converter.keras.arrays.binding` matches them with the layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from converter.model import Provenance, Weight


@dataclass(frozen=True)
class FlatWeights:
    """Legacy HDF5 and tfjs: a flat list of arrays for each top-level layer.

    Attributes:
        layers: name of the top-level layer -> its arrays, in file order, each under its own name. A nested model's
            arrays stand flat under the model's name, trainable ones first.
    """

    layers: Mapping[str, tuple[Weight, ...]]


@dataclass(frozen=True)
class NamedWeights:
    """TensorFlow 1's Saver and `simple_save`: variables by their full names ("lstm/kernel"), in no order."""

    arrays: Mapping[str, Weight]

    def variable_names(self) -> tuple[str, ...]:
        """What the variables are called."""
        return tuple(self.arrays)


@runtime_checkable
class PathWeights(Protocol):
    """Keras 3 `.weights.h5` (and Keras 2.12+): groups named after attributes and classes, arrays numbered."""

    def group(self, *path: str) -> PathWeights | None:
        """The group below this one along `path`, or None."""

    def children(self) -> tuple[str, ...]:
        """Names of the groups directly below."""

    def variables(self) -> tuple[Weight, ...]:
        """The arrays of `vars` in this group, in numeric order; empty if there are none."""

    def array(self, name: str) -> Weight | None:
        """The array of that name in `vars`, as layers write that save their arrays themselves, or None."""

    def vocabulary(self) -> Weight | None:
        """The words kept next to the arrays for this group, by index; None where there are none."""

    def name(self) -> str | None:
        """The layer name that Keras 3.6+ writes as attribute `name` of `vars`, or None."""


class ObjectWeights(Protocol):
    """Checkpoints and SavedModels: a graph of tracked objects, walked by attribute name."""

    @property
    def node(self) -> int:
        """The number of the object; the same object is reached along several ways."""

    def child(self, *path: str) -> ObjectWeights | None:
        """The object reached along attribute names ("cell", "forward_layer", "layer_with_weights-0"), or None."""

    def children(self) -> tuple[str, ...]:
        """Names of the edges that leave this object."""

    def variable(self) -> Weight | None:
        """The array stored for this object, if it is a variable."""

    def vocabulary(self, inverse: bool) -> Weight | None:
        """The words of this object's lookup table, by index (None for those that are no words), where they are kept.

        `inverse`: the table leads from indices to words.
        """

    def variable_names(self) -> tuple[str, ...]:
        """What all variables of the file are called ("lstm/lstm_cell/kernel"), wherever this object stands."""


Weights = FlatWeights | NamedWeights | PathWeights | ObjectWeights


@dataclass(frozen=True)
class Source:
    """All that a file says of a model.

    Attributes:
        architecture: the parsed JSON {"class_name": ..., "config": ...} of a model.
        weights: the arrays, or None where the file holds none.
        provenance: path, format and versions; `keras_version` as written ("" if absent).
        warnings: what the user should know of the file, one line each.
        given: whether the architecture was given next to the file.
        by_name: whether the layers are to be found by what the file calls them, not by their order.
    """

    architecture: Mapping[str, Any]
    weights: Weights | None
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    given: bool = False
    by_name: bool = False
