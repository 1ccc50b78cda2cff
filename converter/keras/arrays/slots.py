"""What arrays the layers of an architecture keep, whatever container they are stored in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from converter.errors import InvalidModel, clean
from converter.keras.building.ops import FLOATS
from converter.keras.eras.switches import Era
from converter.keras.layer_type import Variable
from converter.keras.spec import Bound, LayerSpec
from converter.model import Weight


@dataclass(frozen=True)
class Slot:
    """One array a layer expects: whose it is (path of attribute names below the bound layer) and which."""

    owner: tuple[str, ...]
    layer_name: str
    variable: Variable
    trainable: bool


def variables(spec: LayerSpec, era: Era) -> tuple[Variable, ...]:
    """The arrays a layer keeps itself; none are known for models and layers that are not understood."""
    return () if spec.row is None else spec.row.variables(spec.config, era)


def slots(spec: LayerSpec, era: Era, owner: tuple[str, ...] = (), trainable: bool = True) -> list[Slot]:
    """Every array of a layer and of what it wraps, in tree order."""
    trainable = trainable and spec.trainable
    own = [Slot(owner, spec.name, v, trainable and v.trainable) for v in variables(spec, era)]
    return own + [s for key, child in spec.children.items() for s in slots(child, era, (*owner, key), trainable)]


def stored_flat(spec: LayerSpec, era: Era) -> list[Slot]:
    """The arrays that legacy HDF5 holds: no words, none twice, and in Keras 3 none that a layer saves itself."""
    left_out = {"text", "alias", "named"} if era.major >= 3 else {"text", "alias"}
    return [slot for slot in slots(spec, era) if slot.variable.kind not in left_out]


def assemble(
    spec: LayerSpec, arrays: Mapping[tuple[tuple[str, ...], str], Weight], owner: tuple[str, ...] = ()
) -> Bound:
    """The arrays by owner and attribute name as the tree of a layer and of what it wraps."""
    own = {name: weight for (where, name), weight in arrays.items() if where == owner}
    return Bound(own, {key: assemble(child, arrays, (*owner, key)) for key, child in spec.children.items()})


def checked(variable: Variable, weight: Weight) -> Weight:
    """The weight, if it holds the kind of numbers that the layer keeps.

    Raises:
        InvalidModel: integers in place of floats.
    """
    if variable.floating and weight.dtype not in FLOATS:
        raise InvalidModel(f"{variable.name} ({clean(weight.name)}) holds {weight.dtype} values, floats are expected")
    return weight


@dataclass(frozen=True)
class Reading:
    """How the arrays of a file are to be matched with an architecture, and what there is to say of it.

    Attributes:
        given: whether the architecture was given next to the file, so that nothing proves that they belong together.
        by_name: whether layers are to be found by what the file calls them, not by their order.
        notes: one line each, for the user.
    """

    given: bool = False
    by_name: bool = False
    notes: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Something to know where the architecture was given; in one file, names are as they grew."""
        if self.given and line not in self.notes:
            self.notes.append(line)

    def crossed(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Of the layers of one model, as (its name, what the file calls it): a note where one has another's name."""
        pairs = list(pairs)
        names = {mine for mine, _ in pairs}
        found = [f"{clean(other)!r} for {clean(mine)!r}" for mine, other in pairs if other != mine and other in names]
        if found:
            self.note(
                f"the file's layers are taken in their order, as load_weights does, although names differ: {found[0]}"
                f"{f' and {len(found) - 1} more' if found[1:] else ''} (--by-name goes by the names)"
            )
