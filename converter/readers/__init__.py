"""Files as models: one module for each kind of container (`containers.READERS`), and what joins them.

`load` gives the neutral model, `read_source` what the file says before it is understood.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.limits import GRAPH_SECONDS
from converter.model.sizes import OPEN, Sizes
from converter.readers.containers import OTHERS, READERS, find, reader
from converter.watchdog import reading

if TYPE_CHECKING:
    from converter.keras.layer_type import LayerType
    from converter.keras.source import FlatWeights, ObjectWeights, PathWeights, Source
    from converter.keras.spec import Part
    from converter.model import Model
    from converter.readers.common import NoArchitecture


def read_source(path: Path, architecture_path: Path | None = None) -> Source:
    """What a file says of a model, and with which weights.

    Args:
        path: a file, a folder, or the prefix of a checkpoint.
        architecture_path: JSON, YAML or a whole model, for files that hold weights only; it replaces the file's own.

    Raises:
        ConversionError: the file cannot be read; the message names it.
    """
    architecture = None if architecture_path is None else _given(architecture_path)
    try:
        kind = find(path)
        with reading(kind, path, READERS[kind].seconds):
            return reader(kind).read(path, architecture)
    except ConversionError as error:
        raise error.at(path.name) from error
    except OSError as error:
        raise InvalidModel(f"cannot be read: {error.strerror or error}", where=path.name) from error


def _given(path: Path) -> Mapping[str, Any]:
    """The architecture in a text, or of a whole model, whose weights are left alone.

    Raises:
        ConversionError: as `read_source`.
    """
    from converter.readers.common import NoArchitecture, read_architecture

    kind = next((kind for kind in READERS if reader(kind).sniff(path)), None)
    if kind is None:
        return read_architecture(path)
    try:
        source = reader(kind).read(path, None)
    except NoArchitecture:
        raise Unsupported("no architecture, as it holds weights only", where=f"--architecture {path.name}") from None
    except ConversionError as error:
        raise error.at(path.name) from error
    versions_known = {"keras_version": source.provenance.keras_version, "backend": source.provenance.backend}
    return {**{key: value for key, value in versions_known.items() if value}, **source.architecture}


def read_weights(path: Path) -> FlatWeights | PathWeights | ObjectWeights:
    """The arrays of a file of any readable kind, whether or not it holds an architecture.

    Raises:
        ConversionError: the file cannot be read; the message names it.
    """
    try:
        kind = find(path)
        with reading(kind, path, READERS[kind].seconds):
            return reader(kind).read_weights(path)
    except ConversionError as error:
        raise error.at(path.name) from error
    except OSError as error:
        raise InvalidModel(f"cannot be read: {error.strerror or error}", where=path.name) from error


def load(
    path: Path,
    architecture: Path | None = None,
    part: Part | None = None,
    plugins: Mapping[str, LayerType] | None = None,
    route: str = "",
    signature: str = "",
    by_name: bool = False,
    keras_version: str = "",
    sizes: Sizes = OPEN,
) -> Model:
    """The neutral model of a Keras file, of an ONNX file or of a PyTorch state_dict.

    A SavedModel whose Keras configuration is missing or cannot be converted is read by its function graph.

    Args:
        path: a file, a folder, or the prefix of a checkpoint.
        architecture: JSON, YAML or a whole model, for files that hold weights only; it replaces the file's own.
        part: what of the model is wanted; by default all of it.
        plugins: layers that the user supplies, see `converter.plugin`.
        route: "keras" or "graph", to read a SavedModel by the one alone; "" for the first that serves.
        signature: of a SavedModel, to be read by its function graph.
        by_name: match arrays with layers by what the file calls them, not by their order.
        keras_version: what counts in place of the version that the file says, or does not say.
        sizes: of the inputs, where the user fixes them.

    Raises:
        ConversionError: the file is broken, or cannot be converted exactly.
    """
    from converter.formats import graph_def

    if graph_def.sniff(path):
        from converter.readers import frozen_graph

        if part and part.stateful:
            raise Unsupported("a frozen graph keeps no states from call to call", where=path.name)
        ends, begins = (part.outputs, part.inputs) if part else ((), ())
        return _loaded(partial(frozen_graph.load, outputs=ends, inputs=begins), path, "graph", GRAPH_SECONDS)
    if route == "graph" or signature:
        return _by_graph(path, signature, sizes)
    try:
        return _by_architecture(path, architecture, part, plugins, by_name, keras_version, sizes)
    except Unsupported as why:
        if route or architecture or part or not reader("saved_model").sniff(path):
            raise
        return _by_graph(path, "", sizes, why)


def _by_graph(path: Path, signature: str, sizes: Sizes, why: Unsupported | None = None) -> Model:
    """A SavedModel by its function graph.

    Args:
        why: the reason why it is not read by its Keras configuration, where there is one.
    """
    if find(path) != "saved_model":
        raise Unsupported("only a SavedModel has a function graph", where=path.name)
    from converter.readers.common import NoConfiguration
    from converter.readers.function_graph import load as load_graph

    if sizes != OPEN and (why is None or isinstance(why, NoConfiguration)):
        raise Unsupported("sizes can be fixed where the model is read by its Keras configuration", where=path.name)
    if sizes != OPEN and why is not None:
        raise why

    try:
        with reading("graph", path, GRAPH_SECONDS):
            return load_graph(path, signature)
    except Unsupported as neither:
        if why is None:
            raise
        if isinstance(why, NoConfiguration):
            raise Unsupported(neither.what, where=neither.where, hint=neither.hint or why.hint) from neither
        if neither.what == why.what:
            raise why from None
        raise type(why)(
            f"{why.what}; nor by its function graph: {neither}", where=why.where, hint=why.hint
        ) from neither


def _by_architecture(
    path: Path,
    architecture: Path | None,
    part: Part | None,
    plugins: Mapping[str, LayerType] | None,
    by_name: bool,
    keras_version: str,
    sizes: Sizes,
) -> Model:
    for format_name, (kind, other) in () if architecture or part or sizes != OPEN else OTHERS.items():
        if importlib.import_module(format_name).sniff(path):
            return _loaded(importlib.import_module(other.module).load, path, kind, other.seconds)
    from converter.keras import build
    from converter.readers.common import NoArchitecture

    try:
        source = replace(read_source(path, architecture), given=architecture is not None, by_name=by_name)
    except NoArchitecture as error:
        raise _weights_alone(path, error) from None
    if keras_version:
        source = replace(source, provenance=replace(source.provenance, keras_version=keras_version))
    try:
        return build(source, part, plugins, sizes)
    except ConversionError as error:
        raise error.at(path.name) from error


def survey(
    path: Path, architecture: Path | None, plugins: Mapping[str, LayerType] | None = None, by_name: bool = False
) -> Model:
    """A model of which some layers cannot be converted, to be looked at: see `converter.keras.overview`.

    Raises:
        ConversionError: it cannot be read at all.
    """
    from converter.keras.overview import overview

    return overview(replace(read_source(path, architecture), given=architecture is not None, by_name=by_name), plugins)


def read_draft(path: Path) -> dict[str, Any]:
    """An architecture for a file that holds weights alone, to be filled in: see `converter.keras.arrays.draft`.

    Raises:
        ConversionError: the file cannot be read, or holds no layers.
    """
    from converter.keras.arrays.draft import draft
    from converter.readers.common import NoArchitecture, NoConfiguration

    try:
        read_source(path)
    except (NoArchitecture, NoConfiguration):
        pass
    else:
        raise Unsupported("the file holds its architecture: it needs no draft", where=path.name)
    try:
        return draft(reader(find(path)).read(path, {"class_name": "Sequential", "config": []}))
    except ConversionError as error:
        raise error.at(path.name) from error
    except OSError as error:
        raise InvalidModel(f"cannot be read: {error.strerror or error}", where=path.name) from error


def _weights_alone(path: Path, error: NoArchitecture) -> Unsupported:
    """Weights are no model: what they tell, what they do not, and what to do."""
    from converter.keras.arrays.draft import summary

    try:
        known = summary(read_draft(path))
    except ConversionError:
        return error
    hint = f'give one with --architecture, or begin one: "convert draft {path} -o model.json"'
    return Unsupported(f"weights without an architecture: {known}", where=path.name, hint=hint)


def _loaded(load_it: Callable[[Path], Model], path: Path, kind: str, seconds: int) -> Model:
    try:
        with reading(kind, path, seconds):
            return load_it(path)
    except ConversionError as error:
        raise error.at(path.name) from error
    except OSError as error:
        raise InvalidModel(f"cannot be read: {error.strerror or error}", where=path.name) from error
