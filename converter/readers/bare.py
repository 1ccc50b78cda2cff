"""The arrays of a file as a model without nodes: what can be inspected and written as arrays when no more is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from converter.errors import ConversionError
from converter.keras.source import FlatWeights, ObjectWeights, PathWeights
from converter.model import LayerInfo, Model, Provenance, Weight
from converter.readers import read_weights
from converter.readers.containers import find


def arrays_of(path: Path, why: ConversionError) -> Model:
    """A model that holds each array as a layer of its own, and the reason why it is no more as a warning.

    Raises:
        ConversionError: `why`, where not even the arrays can be read, or there are none.
    """
    try:
        kind, weights = find(path), read_weights(path)
    except ConversionError:
        raise why from None
    layers = tuple(
        LayerInfo(name, f"{weight.dtype} array", (weight.shape,), (weight,), "an array; --to npz writes it")
        for name, weight in named(weights)
    )
    if not layers:
        raise why
    note = f"read as arrays alone: {str(why).removeprefix(f'{path.name}: ')}"
    return Model(path.name, (), (), (), (), (), layers, Provenance(str(path), f"arrays of {kind}"), (note,))


def named(weights: FlatWeights | PathWeights | ObjectWeights) -> Iterator[tuple[str, Weight]]:
    """Every array once, by a unique name."""
    if isinstance(weights, FlatWeights):
        found = [weight for arrays in weights.layers.values() for weight in arrays]
    else:
        found = list(_below(weights)) if isinstance(weights, PathWeights) else []
    seen: dict[str, int] = {}
    for weight in found:
        count = seen[weight.name] = seen.get(weight.name, 0) + 1
        yield (weight.name if count == 1 else f"{weight.name}__{count}"), weight


def _below(group: PathWeights) -> Iterator[Weight]:
    yield from group.variables()
    for name in group.children():
        below = group.group(name)
        if below is not None:
            yield from _below(below)
