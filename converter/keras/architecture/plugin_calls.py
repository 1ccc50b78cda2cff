"""What a plugin does, checked where it does it: every mistake is named with the names that would be right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from types import ModuleType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from msgspec import Struct

from converter.keras.architecture.plugin_shapes import check
from converter.keras.building.graph import Graph, Tensor
from converter.keras.layer_type import LayerType
from converter.keras.spec import Bound, Call, LayerSpec, ModelSpec
from converter.model import Shape, Value, Weight
from converter.model.activations import Activation

WRAPPED = {
    Weight: "a Weight is made a value by ops.weight(w)",
    Tensor: "of a Tensor take its .value",
    str: 'an activation is Activation("tanh"), with its parameters',
    float: "a number is made a value by ops.constant(0.5, dtype), or use ops.with_scalar",
}
OTHER = "an array is made a value by ops.constant(array, dtype)"


@dataclass
class CheckedGraph:
    """A graph that looks at what a plugin emits."""

    graph: Graph

    def emit(
        self, layer: Any, inputs: Sequence[Value | None], outputs: Sequence[tuple[Shape, str]], path: str
    ) -> tuple[Value, ...]:
        """As `Graph.emit`.

        Raises:
            TypeError, InvalidModel: see `plugin_shapes.check`; an input is no value.
            ValueError: a field has none of the values that it may have.
        """
        for value in inputs:
            if not isinstance(value, Value | None):
                raise TypeError(f"{type(layer).__name__} of {type(value).__name__}: {wrapping(value)}")
        for name, allowed in _choices(type(layer)).items():
            if (said := getattr(layer, name)) not in allowed:
                raise ValueError(f"{type(layer).__name__} has no {name} {said!r}; there are {', '.join(allowed)}")
        check(layer, [() if value is None else value.shape for value in inputs], outputs)
        return self.graph.emit(layer, inputs, outputs, path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.graph, name)


def wrapping(value: Any) -> str:
    """How what is no value becomes one."""
    return next((how for kind, how in WRAPPED.items() if isinstance(value, kind | int)), OTHER)


def _choices(kind: type) -> Mapping[str, tuple[str, ...]]:
    """The fields of a node that take one of a few words."""
    hints = get_type_hints(kind)
    return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}


def checked(call: Call) -> Call:
    """The call with a graph that looks at what is emitted; layers that it wraps are not looked at."""
    return Call(call.spec, call.path, call.args, call.kwargs, call.bound, call.era,
                cast(Graph, CheckedGraph(call.graph)), call.apply)  # fmt: skip


def explained(error: Exception) -> str:
    """What went wrong in a plugin, and which names would be right."""
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, AttributeError) and error.obj is not None:
        if isinstance(error.obj, Weight | float | int | str) and error.name not in ("config",):
            return f"{message}; {wrapping(error.obj)}"
        return f"{message}; there are {', '.join(_public(error.obj))}"
    if isinstance(error, TypeError) and "LayerType" in str(error):
        return f"{message}; there are {', '.join(LayerType.__dataclass_fields__)}"
    return message


def _public(thing: Any) -> Iterable[str]:
    """The names of an object, of a configuration its fields, of a module what it offers."""
    if isinstance(thing, Struct):
        return thing.__struct_fields__
    if isinstance(thing, ModuleType):
        names: Iterable[str] = getattr(thing, "__all__", dir(thing))
        return names
    return [name for name in dir(thing) if not name.startswith("_")]


class Plugins(dict[str, LayerType]):
    """The layers that plugins explain, by the names of `Context.plugin_for`.

    Attributes:
        activations: the functions that they explain, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.activations: dict[str, Activation] = {}


def notes(root: LayerSpec, bound: Bound, plugins: Mapping[str, LayerType]) -> tuple[str, ...]:
    """Warnings: plugins that explain no layer of the model, and arrays paired against their own names."""
    found = list(_explained_by(root, bound, plugins))
    if plugins and not found:
        classes = sorted({spec.written_as for spec in _leaves(root)})
        keys = ", ".join(repr(key) for key in plugins)
        return (f"LAYERS explains {keys}, and no such layer is looked up: the model's are {', '.join(classes)}",)
    return tuple(line for spec, arrays in found if (line := _crossed(spec, arrays)))


def _leaves(spec: LayerSpec) -> Iterable[LayerSpec]:
    inner = [leaf for child in spec.children.values() for leaf in _leaves(child)]
    return inner if isinstance(spec.config, ModelSpec) else [spec, *inner]


def _explained_by(
    spec: LayerSpec, bound: Bound, plugins: Mapping[str, LayerType]
) -> Iterable[tuple[LayerSpec, Mapping[str, Weight]]]:
    if any(spec.row is row for row in plugins.values()):
        yield spec, bound.variables
    for key, child in spec.children.items():
        if key in bound.children:
            yield from _explained_by(child, bound.children[key], plugins)


def _crossed(spec: LayerSpec, arrays: Mapping[str, Weight]) -> str:
    """Where an array of a plugin is, by the order of the file, one that the file calls like another array of it.

    The name alone counts, or what remains of "att_W" and "att_b" without "att_": '{}_W'.format(self.name) was usual.
    """
    stored = {name: weight.name.rpartition("/")[2].partition(":")[0] for name, weight in arrays.items()}
    start = commonprefix(list(stored.values())).rfind("_") + 1  # noqa: RUF071 - of names, not of paths
    if all(name in (own, own[start:]) or arrays.keys().isdisjoint((own, own[start:])) for name, own in stored.items()):
        return ""
    pairs = ", ".join(f"{name!r} is {own!r}" for name, own in stored.items())
    message = f"layer {spec.name!r}: arrays are taken in their order, against the names in the file ({pairs})"
    return f"{message}; if that is wrong, list the variables in the order of add_weight"
