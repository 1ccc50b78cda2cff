"""Weights without an architecture: the chain of layers that the arrays themselves settle, if they do.

Shapes tell LSTM, GRU, SimpleRNN, Dense, Embedding, BatchNormalization and Bidirectional apart, and which layer feeds
which. What no array tells (activations, return_sequences) is assumed to be Keras' default and said in a warning.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from converter.errors import Unsupported, clean
from converter.keras.arrays.chains import orders
from converter.keras.source import FlatWeights, ObjectWeights, PathWeights, Source
from converter.model import Weight

HINT = "give the architecture with --architecture model.json, as model.to_json() writes it"
RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN"})
# Below an object of a checkpoint: where a layer keeps its arrays.
OBJECT_ARRAYS = (
    ("embeddings",), ("cell", "kernel"), ("cell", "recurrent_kernel"), ("cell", "bias"), ("kernel",),
    ("recurrent_kernel",), ("bias",), ("gamma",), ("beta",), ("moving_mean",), ("moving_variance",),
)  # fmt: skip


@dataclass(frozen=True)
class Guess:
    """One layer as its arrays describe it."""

    name: str
    class_name: str
    config: dict[str, Any]
    features: int | None  # of the input; None for integers
    units: int
    arrays: tuple[Weight, ...]


def completed(source: Source) -> Source:
    """The source with an architecture made from its arrays.

    Raises:
        Unsupported: the arrays do not settle a chain of layers.
    """
    groups, ordered = _groups(source.weights)
    guesses = [guess(name, arrays) for name, arrays in groups]
    chain = guesses if ordered else _only_chain(guesses)
    _check_chain(chain)
    keras1 = (
        any("W_" in w.name.rsplit("/", 1)[-1] for g in chain for w in g.arrays) and not source.provenance.keras_version
    )
    layers, assumed = _layers(chain)
    architecture: dict[str, Any] = {"class_name": "Sequential", "config": {"name": "model", "layers": layers}}
    version = source.provenance.keras_version or ("1.2.2" if keras1 else "3.0.0" if not ordered else "2.4.0")
    note = f"weights without an architecture, read as of Keras {version}; assumed: {'; '.join(assumed)}"
    return replace(
        source,
        architecture=architecture,
        weights=FlatWeights({g.name: g.arrays for g in chain}),
        provenance=replace(source.provenance, keras_version=version),
        warnings=(*source.warnings, note),
    )


def _refuse(what: str) -> Unsupported:
    return Unsupported(f"the file holds weights only, no architecture, and {what}", hint=HINT)


Groups = list[tuple[str, tuple[Weight, ...]]]


def _groups(weights: Any) -> tuple[Groups, bool]:
    """Layer names with their arrays, and whether they stand in the model's order."""
    if isinstance(weights, FlatWeights):
        return [(name, arrays) for name, arrays in weights.layers.items() if arrays], True
    if isinstance(weights, PathWeights):
        root = weights.group("layers") or weights.group("_layer_checkpoint_dependencies")
        if root is None:
            raise _refuse("its groups are not those of a Sequential or functional model")
        found = [(name, tuple(_below(root.group(name)))) for name in root.children()]
        return [(name, arrays) for name, arrays in found if arrays], False
    return list(_objects(weights)), True


def _below(group: PathWeights | None) -> Iterator[Weight]:
    if group is None:
        return
    yield from group.variables()
    names = sorted(group.children(), key=lambda name: (name != "forward_layer", name))
    if "layers" in names:
        raise _refuse("there are models inside the model")
    for name in names:
        yield from _below(group.group(name))


def _objects(weights: ObjectWeights) -> Iterator[tuple[str, tuple[Weight, ...]]]:
    index = 0
    while (node := weights.child(f"layer_with_weights-{index}")) is not None:
        sides = [side for side in (node.child("forward_layer"), node.child("backward_layer")) if side] or [node]
        found = [side.child(*path) for side in sides for path in OBJECT_ARRAYS]
        arrays = [child.variable() for child in found if child is not None]
        yield f"layer_{index}", tuple(w for w in arrays if w is not None)
        index += 1
    if not index and weights.children():
        raise Unsupported(
            "the file holds weights only, of a subclassed model: how its layers are joined is Python code",
            hint="rebuild it as a functional model, set its weights, and save that",
        )


def guess(name: str, arrays: Sequence[Weight]) -> Guess:
    """The layer that a group of arrays belongs to.

    Raises:
        Unsupported: no layer, or more than one, has such arrays.
    """
    shapes = [w.shape for w in arrays]
    half = len(arrays) // 2
    if len(arrays) in {4, 6, 18, 24} and shapes[:half] == shapes[half:] and len(shapes[0]) == 2:
        inner = _recurrent(name, arrays[:half])
        if inner is not None:
            config = {"layer": {"class_name": inner.class_name, "config": inner.config | {"name": f"{name}_layer"}},
                      "merge_mode": "concat"}  # fmt: skip
            return Guess(name, "Bidirectional", config, inner.features, 2 * inner.units, tuple(arrays))
    found = _recurrent(name, arrays) or _plain(name, arrays)
    if found is None:
        raise _refuse(f"the arrays of {clean(name)!r}, of shapes {shapes[:6]}, do not tell which layer they belong to")
    return found


# arrays of a recurrent layer per number of arrays: (class, gates) by the ratio of recurrent_kernel's sides
_GATES = {4: "LSTM", 3: "GRU", 1: "SimpleRNN"}


def _recurrent(name: str, arrays: Sequence[Weight]) -> Guess | None:
    shapes = [w.shape for w in arrays]
    per_gate = {12: "LSTM", 9: "GRU"}.get(len(arrays))
    if per_gate and len(shapes[0]) == 2 and shapes[1] == (shapes[0][1],) * 2:
        return Guess(name, per_gate, {"units": shapes[0][1]}, shapes[0][0], shapes[0][1], tuple(arrays))
    if len(arrays) not in {2, 3} or len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1]:
        return None
    units, width = shapes[1]
    class_name = _GATES.get(width // units) if units and width % units == 0 else None
    if class_name is None:
        return None
    config: dict[str, Any] = {"units": units, "use_bias": len(arrays) == 3}
    if len(arrays) == 3:
        biases: dict[str, list[tuple[int, ...]]] = {
            "LSTM": [(4 * units,), (8 * units,)],
            "GRU": [(3 * units,), (2, 3 * units), (6 * units,)],
            "SimpleRNN": [(units,)],
        }
        if shapes[2] not in biases[class_name]:
            return None
        if class_name == "GRU":
            config["reset_after"] = shapes[2] != (3 * units,)
    return Guess(name, class_name, config, shapes[0][0], units, tuple(arrays))


def _plain(name: str, arrays: Sequence[Weight]) -> Guess | None:
    shapes = [w.shape for w in arrays]
    if len(arrays) == 2 and len(shapes[0]) == 2 and shapes[1] == (shapes[0][1],):
        return Guess(name, "Dense", {"units": shapes[0][1]}, shapes[0][0], shapes[0][1], tuple(arrays))
    if len(arrays) == 1 and len(shapes[0]) == 2:
        rows, width = shapes[0]
        if "embedding" in f"{name} {arrays[0].name}".lower():
            return Guess(name, "Embedding", {"input_dim": rows, "output_dim": width}, None, width, tuple(arrays))
        if "kernel" in arrays[0].name or name.startswith("dense"):
            return Guess(name, "Dense", {"units": width, "use_bias": False}, rows, width, tuple(arrays))
    if len(arrays) == 4 and len(set(shapes)) == 1 and len(shapes[0]) == 1:
        return Guess(name, "BatchNormalization", {}, shapes[0][0], shapes[0][0], tuple(arrays))
    return None


def _only_chain(guesses: Sequence[Guess]) -> list[Guess]:
    """The only order in which every layer's units are the next one's features.

    Raises:
        Unsupported: there is none, or more than one.
    """
    order, alone = orders([(one.features, one.units) for one in guesses])
    if not alone:
        raise _refuse("its layers fit together in several orders" if order else "its layers fit together in no order")
    return [guesses[index] for index in order]


def _check_chain(chain: Sequence[Guess]) -> None:
    if not chain:
        raise _refuse("it holds no arrays")
    for before, after in itertools.pairwise(chain):
        if after.features != before.units:
            raise _refuse(
                f"{clean(before.name)!r} gives {before.units} features, {clean(after.name)!r} needs {after.features}"
            )


def _open_reset(one: Guess, config: dict[str, Any]) -> bool:
    """Whether the layer is a GRU without a bias, whose arrays do not show reset_after."""
    gru = "GRU" in (one.class_name, one.config.get("layer", {}).get("class_name"))
    return gru and "reset_after" not in config and len(one.arrays) not in {9, 18}


def _layers(chain: Sequence[Guess]) -> tuple[list[dict[str, Any]], list[str]]:
    """Serialised layers, and what had to be assumed of each."""
    layers: list[dict[str, Any]] = []
    assumed: list[str] = []
    recurrent = [k for k, g in enumerate(chain) if g.class_name in RECURRENT | {"Bidirectional"}]
    for k, one in enumerate(chain):
        config = dict(one.config) | {"name": one.name}
        if k in recurrent:
            sequences = k != recurrent[-1]
            target = config["layer"]["config"] if one.class_name == "Bidirectional" else config
            target["return_sequences"] = sequences
            merge = ", merge_mode='concat'" if one.class_name == "Bidirectional" else ""
            unsettled = ", default reset_after" if _open_reset(one, target) else ""
            assumed.append(f"{clean(one.name)}: default activations, return_sequences={sequences}{merge}{unsettled}")
        elif one.class_name == "Dense":
            assumed.append(f"{clean(one.name)}: activation='linear'")
        elif one.class_name == "Embedding":
            assumed.append(f"{clean(one.name)}: mask_zero=False")
        elif one.class_name == "BatchNormalization":
            assumed.append(f"{clean(one.name)}: epsilon=0.001")
        layers.append({"class_name": one.class_name, "config": config})
    return layers, assumed
