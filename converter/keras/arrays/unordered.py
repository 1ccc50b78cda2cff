"""Arrays without an order: those of a sub-classed model by its attributes, those of TensorFlow 1 by their names.

Such a file is no model of Keras that any `load_weights` would take for the architecture. A layer gets the arrays that
are called like it; failing that, the arrays say themselves where they belong, if only one way fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

from converter.errors import ConversionError, InvalidModel, Unsupported, listed
from converter.gates import ORDERS
from converter.keras.arrays.slots import Reading, assemble, checked, slots
from converter.keras.eras.switches import Era
from converter.keras.source import NamedWeights
from converter.keras.spec import Bound, LayerSpec, ModelSpec
from converter.model import Weight

MAX_OPTIONS = 24  # ways to give out the arrays that are tried on the graph
MAX_DEPTH = 8  # of attributes below the model's own
_AROUND_A_KIND = re.compile(r"^(CuDNN|Conv|Peephole)|(\dD)?(Cell)?$")  # CuDNNLSTM, ConvLSTM2D, LSTMCell: LSTM

Node = TypeVar("Node")


@dataclass(frozen=True)
class Holder:
    """What keeps the arrays of one layer in the file.

    Attributes:
        place: the attributes that lead to it, "enc" or "blocks/0"; "" where they are not of the author's choosing.
        fits: the layers of the architecture that have such arrays, with these arrays.
    """

    place: str
    fits: Mapping[str, Bound]


def holders_below(
    root: Node, below: Callable[[Node], Iterator[tuple[str, Node]]], fits: Callable[[Node], Mapping[str, Bound]]
) -> list[Holder]:
    """Everything at or below the attributes of a model that has the arrays of a layer, the outermost only."""
    found: list[Holder] = []
    waiting: list[tuple[tuple[str, ...], Node]] = [((name,), node) for name, node in below(root)]
    while waiting:
        place, node = waiting.pop(0)
        here = fits(node)
        if here:
            found.append(Holder("" if place[0] == "layers" else "/".join(place), here))
        elif len(place) < MAX_DEPTH:
            waiting += [((*place, name), inner) for name, inner in below(node)]
    return found


def fitting(layers: Sequence[LayerSpec], bind: Callable[[LayerSpec], Bound]) -> dict[str, Bound]:
    """The layers to which something gives all their arrays."""
    found: dict[str, Bound] = {}
    for layer in layers:
        try:
            bound = bind(layer)
        except ConversionError:
            continue
        if bound.all() and _as_wide(layer, bound):
            found[layer.name] = bound
    return found


def _as_wide(layer: LayerSpec, bound: Bound) -> bool:
    """Whether a layer and those it wraps have the widths that their configurations say; True where they say none."""
    units = next((n for key in ("units", "filters", "output_dim") if (n := getattr(layer.config, key, None))), None)
    first = next((w for key in ("kernel", "embeddings") if (w := bound.variables.get(key)) is not None), None)
    # The gates of a recurrent layer lie side by side; any other has one column per unit.
    gates = len(ORDERS.get(_AROUND_A_KIND.sub("", layer.class_name), "c"))
    if units is not None and first is not None and first.shape[-1:] != (units * gates,):
        return False
    return all(_as_wide(child, bound.children[key]) for key, child in layer.children.items() if key in bound.children)


def options(
    model: LayerSpec, layers: Sequence[LayerSpec], found: Sequence[Holder], reading: Reading, *, same_model: bool
) -> list[Bound]:
    """The ways to give the arrays to the layers: one where names settle it, else all that the widths allow.

    `same_model`: the architecture's layers are those of the file. Two models may each call their first LSTM "lstm".

    Raises:
        InvalidModel: a layer's arrays are not there. Unsupported: too many ways to try.
    """
    fits = {layer.name: [holder for holder in found if layer.name in holder.fits] for layer in layers}
    missing = [name for name, holders in fits.items() if not holders]
    if missing:
        places = listed(holder.place for holder in found)
        raise InvalidModel(f"nothing in the file has the arrays of {listed(missing)}; it has those of {places}")
    automatic = [layer.name for layer in layers if len(fits[layer.name]) > 1 and _is_automatic(layer)]
    for named in (_is_placed, _is_called) if same_model or not automatic else (_is_placed,):
        picked = {name: [h for h in holders if named(h, name)] for name, holders in fits.items()}
        if all(len(holders) == 1 for holders in picked.values()):
            _surplus(found, len(layers), reading)
            return [_joined(model, {name: holders[0] for name, holders in picked.items()})]
    if len(found) > len(layers):
        raise Unsupported(
            f"the file has arrays of {len(found)} layers, the architecture of {len(layers)}; names do not tell which",
            hint=RENAME,
        )
    ways = list(islice(_matchings([], list(fits.items())), MAX_OPTIONS + 1))
    if len(ways) > MAX_OPTIONS:
        raise ambiguous()
    if not ways:
        places = listed(holder.place for holder in found)
        raise InvalidModel(f"the arrays of {places} cannot be given out so that each of {listed(fits)} has its own")
    return [_joined(model, dict(way)) for way in ways]


RENAME = "call the layers of the architecture as the attributes of the model, or as its variables are called"


def ambiguous() -> Unsupported:
    """The refusal of arrays that fit the layers in several ways."""
    return Unsupported("the arrays fit the layers of the architecture in several ways", hint=RENAME)


def _is_placed(holder: Holder, name: str) -> bool:
    return holder.place == name


def _is_automatic(layer: LayerSpec) -> bool:
    """Whether Keras may have made the name: "lstm_1" of an LSTM."""
    return re.sub(r"_\d+$", "", layer.name).replace("_", "") == layer.written_as.lower()


def _is_called(holder: Holder, name: str) -> bool:
    return all(name in weight.name.split("/")[:-1] for weight in holder.fits[name].all())


def _surplus(found: Sequence[Holder], used: int, reading: Reading) -> None:
    if len(found) > used:
        reading.note(f"the file has arrays of {len(found)} layers, of which the architecture has {used}")


def _joined(model: LayerSpec, chosen: Mapping[str, Holder]) -> Bound:
    children = {}
    for name, layer in model.children.items():
        if name in chosen:
            children[name] = chosen[name].fits[name]
        else:
            children[name] = _joined(layer, chosen) if isinstance(layer.config, ModelSpec) else assemble(layer, {})
    return Bound({}, children)


Way = list[tuple[str, Holder]]


def _matchings(done: Way, rest: list[tuple[str, list[Holder]]]) -> Iterator[Way]:
    """Every way to give each layer a holder of its own."""
    if not rest:
        yield done
        return
    name, holders = rest[0]
    for holder in holders:
        if all(holder is not taken for _, taken in done):
            yield from _matchings([*done, (name, holder)], rest[1:])


# --- names of variables -----------------------------------------------------------------------------------------------


def bind_named(model: LayerSpec, weights: NamedWeights, era: Era, reading: Reading) -> list[Bound]:
    """The ways to give variables ("lstm_1/kernel", "bidirectional/forward_lstm/kernel") to the layers of a model.

    Raises:
        ConversionError: as `options`.
    """
    layers = [layer for layer in _leaves(model) if slots(layer, era)]
    names = {layer.name for layer in layers}
    if len(names) != len(layers):
        raise Unsupported("layers of nested models are called alike, and only names tell their variables apart")
    groups: dict[str, list[Weight]] = {}
    shared = {name.split("/")[0] for name in weights.arrays}
    for name, weight in weights.arrays.items():
        parts = name.split("/")[:-1]
        place = next((part for part in parts if part in names), "/".join(parts[: 1 if len(shared) > 1 else 2]))
        groups.setdefault(place, []).append(weight)
    found = [Holder(place, fitting(layers, partial(_by_variable, arrays=arrays, era=era)))
             for place, arrays in groups.items()]  # fmt: skip
    return options(model, layers, [holder for holder in found if holder.fits], reading, same_model=True)


def _leaves(model: LayerSpec) -> Iterator[LayerSpec]:
    """The layers of a model and of those inside it."""
    for layer in model.children.values():
        yield from _leaves(layer) if isinstance(layer.config, ModelSpec) else (layer,)


def _by_variable(layer: LayerSpec, arrays: Sequence[Weight], era: Era) -> Bound:
    """The arrays of one layer by what its variables are called.

    Raises:
        InvalidModel: they are not the arrays of such a layer.
    """
    expected = [slot for slot in slots(layer, era) if slot.variable.kind not in {"text", "alias"}]
    given: dict[tuple[tuple[str, ...], str], Weight] = {}
    for kind in {slot.variable.name for slot in expected}:
        wanted = [slot for slot in expected if slot.variable.name == kind]
        have = sorted((w for w in arrays if _kind(w.name) == kind), key=lambda w: _turn(w.name))
        if len(have) != len(wanted):
            raise InvalidModel(f"{len(have)} variables called {kind}, {len(wanted)} expected")
        given |= {(s.owner, kind): checked(s.variable, w) for s, w in zip(wanted, have, strict=True)}
    if len(given) != len(arrays):
        raise InvalidModel(f"{len(arrays)} variables, {len(given)} expected")
    return assemble(layer, given)


def _kind(name: str) -> str:
    """ "kernel" of "lstm_1/lstm_cell/kernel_1:0"."""
    return re.sub(r"(_\d+)?(:\d+)?$", "", name.split("/")[-1])


def _turn(name: str) -> list[tuple[bool, list[tuple[str, int]]]]:
    """What sorts the variables of a layer: forward before backward, cells and repeated names by their numbers."""
    return [
        (part.startswith("backward_"), [(text, int(number or 0)) for text, number in re.findall(r"(\D+)(\d*)", part)])
        for part in name.split("/")
    ]
