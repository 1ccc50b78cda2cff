"""What readers share: architectures as text, and whose versions count when a model comes in two files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converter import limits
from converter.errors import InvalidModel, Unsupported, clean
from converter.formats.text import decode, parse_json, parse_yaml
from converter.keras.architecture import keras0
from converter.model import Provenance

NEEDS_ARCHITECTURE = "give the architecture with --architecture model.json, as model.to_json() writes it"
MAX_SHOWN = 8


class NoArchitecture(Unsupported):
    """The file holds weights alone."""


class NoConfiguration(Unsupported):
    """The file holds a model, but no configuration of Keras."""


def parse_architecture(text: str, place: str) -> Mapping[str, Any]:
    """A model's JSON: an object with `class_name` and `config`. One that was dumped twice, into a JSON text, too.

    Raises:
        InvalidModel: not JSON, or not the configuration of a model.
    """
    tree = parse_json(text, place)
    return as_architecture(parse_json(tree, place) if isinstance(tree, str) else tree, place)


def read_architecture(path: Path) -> Mapping[str, Any]:
    """The architecture in a JSON or YAML file of its own.

    Raises:
        InvalidModel: no such file, or not the configuration of a model.
        Unsupported: Python code, or a draft with "?" in it.
    """
    place = path.name
    if not path.is_file():
        raise InvalidModel("a folder without a model" if path.is_dir() else "there is no such file", where=place)
    if path.stat().st_size > limits.TEXT_BYTES:
        raise InvalidModel(f"{path.stat().st_size} bytes are too many for an architecture", where=place)
    if path.suffix == ".py":
        hint = 'there, write open("model.json", "w").write(model.to_json()), and give model.json'
        raise Unsupported("Python code, which is never run", where=place, hint=hint)
    try:
        text = decode(path.read_bytes(), place)
    except InvalidModel:
        raise InvalidModel("neither JSON nor YAML, nor a whole Keras model", where=place) from None
    if text.lstrip()[:1] in ("{", '"'):
        return filled(parse_architecture(text, place), place)
    return filled(as_architecture(parse_yaml(text, place), place), place)


def filled(architecture: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """An architecture of which nothing is left open.

    Raises:
        Unsupported: it is a draft with "?" in it.
    """
    from converter.keras.arrays.draft import unfilled

    found = [f"{name}: {key}" if name else key for name, key in unfilled(architecture)]
    if found:
        more = f" and {len(found) - MAX_SHOWN} more" if len(found) > MAX_SHOWN else ""
        raise Unsupported(
            f'a draft in which {len(found)} things are still "?": {clean(", ".join(found[:MAX_SHOWN]), 400)}{more}',
            where=place,
            hint='fill them in; the "comment" next to each says what is possible',
        )
    return architecture


def as_architecture(tree: Any, place: str) -> Mapping[str, Any]:
    """The tree itself, if it is the configuration of a model; of Keras 0.3, as Keras 1 would write it.

    Raises:
        InvalidModel: it is something else. Unsupported: a layer of Keras 0.3 that no later one computes.
    """
    if keras0.fits(tree):
        return keras0.rewritten(tree)
    if not isinstance(tree, dict) or not isinstance(tree.get("class_name"), str) or "config" not in tree:
        raise InvalidModel("not the architecture of a Keras model: no class_name and config", where=place)
    return tree


def chosen(own: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The architecture to read a file by: the one given with it, or else its own.

    Raises:
        NoArchitecture: there is neither.
    """
    architecture = own if given is None else given
    if architecture is None:
        raise NoArchitecture("the file holds weights only, no architecture", hint=NEEDS_ARCHITECTURE)
    return architecture


def provenance(
    path: Path, kind: str, version: str | None, backend: str | None, given: Mapping[str, Any] | None, sha256: str
) -> Provenance:
    """Where a model comes from. `version` and `backend` are what the file with the weights says.

    What a configuration means depends on who wrote the configuration, so an architecture given next to the file
    counts with its own version; how kernels are laid out depends on the backend that wrote the weights.
    """
    if given is not None:
        stated = given.get("keras_version")
        if isinstance(stated, str):
            version = stated
        elif "registered_name" in given and not (version or "").startswith("3."):
            version = None  # Keras 3's to_json() states none, and these weights are of another Keras
        backend = backend or (given["backend"] if isinstance(given.get("backend"), str) else None)
    return Provenance(str(path), kind, version or "", backend=backend or "", sha256=sha256)
