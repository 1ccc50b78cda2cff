"""Layers that the user supplies: Python files named on the command line are run, and their LAYERS taken.

This is the only code from outside that the program runs, and only because the user names it. See `converter.plugin`.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from converter.errors import ConversionError, InvalidPlugin
from converter.keras.architecture.plugin_calls import Plugins, checked, explained
from converter.keras.building.graph import Tensor
from converter.keras.layer_type import LayerType, Variable
from converter.keras.schema import Config
from converter.keras.spec import Call
from converter.model.activations import Activation


def load_plugins(paths: Sequence[Path]) -> Plugins:
    """The layers of plugin files, by the names of `converter.keras.architecture.context.Context.plugin_for`.

    Raises:
        InvalidPlugin: a file cannot be run, has neither LAYERS nor ACTIVATIONS, or two of them explain the same thing.
    """
    found = Plugins()
    for number, path in enumerate(path.resolve() for path in paths):
        module = _module(path, number)
        activations = _activations(module, path)
        layers = _layers(module, path) if not activations or hasattr(module, "LAYERS") else {}
        for name in [*(name for name in layers if name in found), *(activations.keys() & found.activations.keys())]:
            raise InvalidPlugin(f"another plugin has {name!r}, too", where=_where(path))
        found |= {name: _guarded_row(row, name, path) for name, row in layers.items()}
        found.activations |= activations
    return found


def _activations(module: ModuleType, path: Path) -> Mapping[str, Activation]:
    activations = getattr(module, "ACTIVATIONS", {})
    if not isinstance(activations, Mapping):
        raise InvalidPlugin("ACTIVATIONS is no dict of Activations by the function's name", where=_where(path))
    for name, meant in activations.items():
        if not isinstance(name, str) or not isinstance(meant, Activation):
            raise InvalidPlugin(f"ACTIVATIONS[{name!r}] is no Activation under the name of a function",
                                where=_where(path))  # fmt: skip
    return activations


def _where(path: Path, line: int | None = None) -> str:
    return f"plugin {path.name}" + (f", line {line}" if line else "")


def _module(path: Path, number: int) -> ModuleType:
    name = f"_converter_plugin_{number}"
    spec = importlib.util.spec_from_file_location(name, path) if path.suffix == ".py" else None
    if spec is None or spec.loader is None:
        raise InvalidPlugin("not a Python file (.py)", where=_where(path))
    if not path.is_file():
        raise InvalidPlugin("there is no such file", where=_where(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where msgspec looks up the annotations of configurations
    _guarded(spec.loader.exec_module, path)(module)
    return module


def _layers(module: ModuleType, path: Path) -> Mapping[str, LayerType]:
    layers = getattr(module, "LAYERS", None)
    if not isinstance(layers, Mapping) or not layers:
        raise InvalidPlugin("defines no LAYERS, a dict of LayerTypes by class name", where=_where(path))
    for name, row in layers.items():
        if not isinstance(name, str) or not isinstance(row, LayerType):
            raise InvalidPlugin(f"LAYERS[{name!r}] is no LayerType under the name of a class", where=_where(path))
        if not (isinstance(row.config, type) and issubclass(row.config, Config)):
            raise InvalidPlugin(f"LAYERS[{name!r}].config is no subclass of Config", where=_where(path))
    return layers


def _guarded(function: Callable[..., Any], path: Path) -> Callable[..., Any]:
    """The function, whose errors come out as one line that says where in the plugin they arose."""

    def guarded(*args: Any) -> Any:
        try:
            return function(*args)
        except ConversionError as error:
            line = _line(error, path)
            raise error.at(_where(path, line)) if line else error from None
        except Exception as error:
            message = f"SyntaxError: {error.msg}" if isinstance(error, SyntaxError) else explained(error)
            raise InvalidPlugin(message, where=_where(path, _line(error, path))) from error

    return guarded


def _line(error: Exception, path: Path) -> int | None:
    """Where in the plugin an error arose."""
    if isinstance(error, SyntaxError):
        return error.lineno
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    return frames[-1].lineno if frames else None


def _guarded_row(row: LayerType, name: str, path: Path) -> LayerType:
    def returning(
        part: str, function: Callable[..., Any], fits: Callable[[Any], bool], wanted: str
    ) -> Callable[..., Any]:
        guarded = _guarded(function, path)

        def run(*args: Any) -> Any:
            result = guarded(*args)
            if not fits(result):
                raise InvalidPlugin(f"{part} of {name!r} must return {wanted}", where=_where(path))
            return result

        return run

    return replace(
        row,
        call=returning("call", _looked_at(row.call), lambda made: _all(made, Tensor), "a tuple of Tensors"),
        variables=returning("variables", row.variables, lambda made: _all(made, Variable), "a tuple of Variables"),
        children=returning("children", row.children, lambda made: isinstance(made, Mapping), "a dict of layers"),
    )


def _looked_at(call: Callable[[Call], tuple[Tensor, ...]]) -> Callable[[Call], tuple[Tensor, ...]]:
    return lambda made: call(checked(made))


def _all(made: Any, kind: type) -> bool:
    return isinstance(made, tuple) and all(isinstance(item, kind) for item in made)
