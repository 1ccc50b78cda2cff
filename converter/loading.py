"""How a file is read as a neutral model, and what is read of one that cannot be converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from converter.errors import SURPRISES, ConversionError, InvalidPlugin, Unsupported, walled

if TYPE_CHECKING:
    from converter.keras.layer_type import LayerType
    from converter.model import Model
    from converter.model.sizes import Sizes
    from converter.readers.function_graph import Served


@dataclass(frozen=True)
class Reading:
    """How a file is read; each field as `converter.api.load` explains it."""

    architecture: str | Path | None = None
    outputs: tuple[str, ...] = ()
    plugins: tuple[str | Path, ...] = ()
    route: str = ""
    signature: str = ""
    by_name: bool = False
    keras_version: str = ""
    begin: tuple[str, ...] = ()
    stateful: bool = False
    sizes: Sizes | None = None

    @property
    def where(self) -> Path | None:
        """The file of the architecture."""
        return Path(self.architecture) if self.architecture else None

    @property
    def rows(self) -> Mapping[str, LayerType]:
        """The layers that plugins explain; they are run."""
        if not self.plugins:
            return {}
        from converter.keras.architecture.plugins import load_plugins

        return load_plugins([Path(plugin) for plugin in self.plugins])


@walled
def model_of(path: Path, reading: Reading) -> Model:
    """The neutral model of a file. Raises as `converter.api.load` says."""
    from converter import readers
    from converter.keras.spec import Part
    from converter.model.prune import prune
    from converter.model.sizes import OPEN

    wanted = Part(reading.outputs, reading.begin, reading.stateful)
    how = (reading.route, reading.signature, reading.by_name, reading.keras_version, reading.sizes or OPEN)
    model = prune(readers.load(path, reading.where, None if wanted == Part() else wanted, reading.rows, *how))
    if reading.plugins:
        _check_shapes(model, ", ".join(Path(plugin).name for plugin in reading.plugins))
    return model


def served(path: Path, reading: Reading) -> Served | None:
    """What the function graph of a SavedModel computes; None where more than the file was asked for, or without one."""
    from converter.model.sizes import OPEN
    from converter.readers import containers

    if replace(reading, sizes=None) != Reading() or reading.sizes not in (None, OPEN):
        return None
    try:  # an ONNX or PyTorch file is no container of Keras
        if containers.find(path) != "saved_model":
            return None
        from converter.readers import function_graph

        return function_graph.served(path)
    except (ConversionError, OSError, MemoryError, *SURPRISES):  # a graph that is not asked for
        return None


def _check_shapes(model: Model, plugin: str) -> None:
    """Runs a model with layers of a plugin once: values must have the shapes that it said when it emitted them.

    Raises:
        InvalidPlugin: one has another shape.
    """
    from converter.verification.calls import NothingFits, usable_cases

    try:
        usable_cases(model, 0)
    except NothingFits as error:
        why = f"{error.__cause__} (the shape given to emit, or to reshape)"
        raise InvalidPlugin(why, where=f"plugin {plugin}") from error


@walled
def check_graph(model: Model, source: Path, reading: Reading, progress: Callable[[str], None]) -> None:
    """Compares a model with the function graph that it was recovered from, or that is next to its configuration.

    Raises:
        InvalidModel, Unsupported: they differ.
    """
    from converter import limits
    from converter.verification.origin import check_configuration, check_origin

    size = sum(weight.nbytes for layer in model.layers for weight in layer.weights)
    if model.origin is not None:
        progress("running the graph")
        check_origin(model)
    elif size <= limits.WITNESS_BYTES and (graph := served(source, reading)) is not None:
        progress("running the graph")
        check_configuration(model, graph)


def model_or_arrays(path: Path, reading: Reading) -> Model:
    """As `model_of`, but a model that cannot be converted comes as its arrays alone, with a warning that says why."""
    from converter.readers.bare import arrays_of

    try:
        return model_of(path, reading)
    except Unsupported as why:
        return arrays_of(path, why)


@walled
def model_or_survey(path: Path, reading: Reading) -> Model:
    """As `model_of`, but of a model that cannot be converted come all layers, with a warning for each that is refused.

    It has no outputs then. Where the architecture cannot be read come its arrays alone, as of `model_or_arrays`.
    """
    from converter import readers
    from converter.readers.bare import arrays_of

    try:
        return model_of(path, reading)
    except Unsupported as why:
        try:
            return readers.survey(path, reading.where, reading.rows, reading.by_name)
        except ConversionError:
            return arrays_of(path, why)
