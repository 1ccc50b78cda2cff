"""Which versions a file that names none may be of, by what it holds, and which of them compute differently.

Keras 3's to_json() names no version. What its layers are and which keys their configurations have leaves some versions
out; of those left, one stands for each run of versions that no layer of this program tells apart.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from converter.errors import ConversionError, Unsupported
from converter.keras.eras.existence import Section, anywhere, had, spans, text, versions
from converter.keras.eras.switches import SWITCHES, Era, Family
from converter.keras.source import PathWeights

Version = tuple[int, ...]
Made = TypeVar("Made")
POLICIES_ARE_OBJECTS = (3, 4, 0)  # keras/src/layers/layer.py: `dtype_policies.serialize` in place of the policy's name
NAMED_GROUPS = (3, 6, 0)  # keras/src/saving/saving_lib.py: the attribute `name` of `vars`
TF_LATER: Mapping[Version, Version] = {(2, 2, 5): (2, 2, 4), (2, 3, 1): (2, 3, 0)}  # see Era.key


def candidates(guess: Era, architecture: Mapping[str, Any], weights: object, ragged: bool | None) -> list[Era]:
    """The versions that a file may be of, in order: those of the guess's major version that could have written it.

    Evidence that leaves no version at all is of no version's making, and counts for nothing.
    """
    eras = [era for era in _all(guess, ragged) if era.major == guess.major]
    for section, item in _written(architecture):
        eras = [era for era in eras if _could_hold(section, item, era)] or eras
    if isinstance(weights, PathWeights) and guess.major == 3:
        named = _named(weights)
        eras = [era for era in eras if (era.version >= NAMED_GROUPS) == named] or eras
    return eras


def agreed(eras: Sequence[Era], make: Callable[[Era], Made], mark: Callable[[Made], Hashable]) -> Made:
    """What the file is in the last of its possible versions, if it is the same in all.

    Args:
        make: the model as an era means it.
        mark: equal for equal models.

    Raises:
        Unsupported: the versions differ. ConversionError: of `make`, if it is the same in all versions.
    """
    found: dict[Hashable, list[Sequence[Era]]] = {}
    last: Made | ConversionError | None = None
    for run in runs(eras):
        try:
            last = make(run[-1])
            key = mark(last)
        except ConversionError as problem:
            last = problem
            key = str(problem).replace(str(run[-1]), "")
        found.setdefault(key, []).append(run)
    if len(found) > 1:
        meanings = "; ".join(", ".join(_range(run) for run in same) for same in found.values())
        raise Unsupported(
            f"the file does not say which Keras wrote it, and these mean different things by it: {meanings}",
            hint="say which it was with --keras-version",
        )
    if isinstance(last, ConversionError):
        raise last
    assert last is not None
    return last


def _all(guess: Era, ragged: bool | None) -> Iterator[Era]:
    both: tuple[Family, ...] = ("keras", "tf.keras")
    for family in both if guess.major == 2 else (guess.family,):
        for key in versions(family):
            version: Any = TF_LATER.get(key, key) if family == "tf.keras" else key
            backend = guess.backend or ("tensorflow" if family == "tf.keras" else "")
            yield Era(family, version, backend, version != key, ragged if family == "tf.keras" else None)


def _written(architecture: Any) -> Iterator[tuple[Section, Mapping[str, Any]]]:
    """Every serialized layer, model and initializer."""
    waiting: list[tuple[Section, Any]] = [("layers", architecture)]
    while waiting:
        section, item = waiting.pop()
        if isinstance(item, Mapping):
            if isinstance(item.get("class_name"), str) and isinstance(item.get("config"), Mapping | list):
                yield section, item
            for key, value in item.items():
                made = isinstance(key, str) and key.endswith("_initializer")
                waiting.append(("initializers" if made else section, value))
        elif isinstance(item, list):
            waiting += [(section, below) for below in item]


def _could_hold(section: Section, item: Mapping[str, Any], era: Era) -> bool:
    """Whether a version may have written a layer or an initializer."""
    name, config = item["class_name"], item["config"]
    span = had(section, name, era)
    if span is None:  # TensorFlow before 2.3 has its initializers elsewhere
        return section == "initializers" or not anywhere(section, name)
    if not isinstance(config, Mapping) or (section == "layers" and "trainable" not in config):
        return True
    rows = spans(era.family, section, name)
    keys, known = {*config}, frozenset[str]().union(*(row.always | row.ever for row in rows))
    as_object = isinstance(config.get("dtype"), Mapping)
    policies = era.major >= 3 and section == "layers" and name != "InputLayer" and config.get("dtype") is not None
    if policies and as_object != (era.version >= POLICIES_ARE_OBJECTS):
        return False
    return span.always <= keys and keys & known <= span.always | span.ever


def _named(weights: PathWeights) -> bool:
    """Whether any group of weights bears a layer's name."""
    waiting = [weights]
    while waiting:
        group = waiting.pop()
        if group.name() is not None:
            return True
        waiting += [below for child in group.children() if (below := group.group(child)) is not None]
    return False


def runs(eras: Sequence[Era]) -> Iterator[Sequence[Era]]:
    """Versions that nothing tells apart, together."""
    run: list[Era] = []
    for era in eras:
        if run and (run[-1].family != era.family or _changes(run[-1], era)):
            yield run
            run = []
        run.append(era)
    if run:
        yield run


def _changes(before: Era, after: Era) -> bool:
    return any(
        before.key < since <= after.key
        for families in SWITCHES.values()
        for family, rows in families.items()
        if family.partition(":")[0] == after.family
        for since, _, _ in rows
    )


def _range(run: Sequence[Era]) -> str:
    return str(run[0]) if len(run) == 1 else f"{run[0]} to {text(run[-1].key)}"
