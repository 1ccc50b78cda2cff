"""What the rest of `converter.keras` agrees on: the description of a layer, of a model, and of one call."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.keras.building.graph import Graph, Tensor
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.eras.switches import Era
from converter.model import Value, Weight

if TYPE_CHECKING:
    from converter.keras.layer_type import LayerType
    from converter.keras.schema import Config

T = TypeVar("T")
PREFIX = "ops."  # before the class of a Keras 3 operation, since layers have the same names (Add, Concatenate, Softmax)


@dataclass(frozen=True, eq=False)
class Opaque:
    """In place of a configuration: why the layer cannot be understood. An error only where the layer is needed."""

    problem: ConversionError


@dataclass(frozen=True, eq=False)
class LayerSpec:
    """A layer of the file: its class in Keras 3's spelling, its configuration, and the layers it wraps.

    Attributes:
        name: the layer's own name.
        class_name: Keras 3's spelling ("LSTM"); `written_as` is the file's ("CuDNNLSTM" stays itself).
        config: the validated configuration; for models a `ModelSpec`; `Opaque` where it is not understood.
        children: wrapped layers by attribute name ("layer", "forward_layer", "backward_layer", "cell", "cells/0").
        trainable: as the file says; it decides where the arrays are in old nested models.
        row: how the class is understood; None for models and where it is not.
        full_config: the configuration as the file writes it, in today's names, with what only training uses.
    """

    name: str
    class_name: str
    written_as: str
    config: Config | ModelSpec | Opaque
    children: Mapping[str, LayerSpec] = field(default_factory=dict)
    trainable: bool = True
    row: LayerType | None = None
    full_config: Mapping[str, Any] = field(default_factory=dict)


ALL = -1


@dataclass(frozen=True)
class Ref:
    """A tensor by its history: output `tensor` of call `node` of layer `layer`; ALL of them for a model's output."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True, eq=False)
class CallSpec:
    """One call of a layer as the file tells it; tensors are `Ref`s inside lists, dicts and constants."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class ModelSpec:
    """A Sequential or Functional model.

    Attributes:
        layers: in file order.
        calls: for each layer name its calls, by the node index that others use.
        inputs: names of the input layers' tensors in Keras' order.
        outputs: in Keras' order, with the names Keras gives them.
        wanted: calls whose outputs are asked for by the path of their layer (--outputs), next to `outputs`.
        listed: whether the inputs are a plain list, whose names are the keys of a dict that the model is called on; in
            dicts and nested lists they are in the order of the sorted keys.
    """

    name: str
    layers: tuple[LayerSpec, ...]
    calls: Mapping[str, Mapping[int, CallSpec]]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    output_names: tuple[str, ...]
    wanted: tuple[Ref, ...] = ()
    listed: bool = True


@dataclass(frozen=True)
class Part:
    """What of a model is wanted, and how.

    Attributes:
        outputs: layers whose outputs the model shall have instead of its own, `encoder/lstm` in a nested model;
            `lstm:1` is one of several outputs of a layer.
        inputs: likewise, what the model shall begin with; only together with `outputs`.
        stateful: recurrent layers keep their states from call to call, as inputs and outputs.
    """

    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    stateful: bool = False


@dataclass(frozen=True, eq=False)
class Bound:
    """The arrays of a layer by attribute name, and of the layers it wraps."""

    variables: Mapping[str, Weight]
    children: Mapping[str, Bound]
    _made: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once: the calls of a shared layer have the same weights, derived ones too."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def all(self) -> tuple[Weight, ...]:
        """Own arrays first, then the wrapped layers'."""
        return tuple(self.variables.values()) + tuple(w for child in self.children.values() for w in child.all())


Apply = Callable[[LayerSpec, tuple[Any, ...], Mapping[str, Any], Bound, str], tuple[Tensor, ...]]


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer while the graph is built.

    Attributes:
        args: positional arguments: Tensors, lists and dicts of them, constants.
        kwargs: keyword arguments, likewise; "training" is already gone.
        apply: calls a wrapped layer on tensors: (spec, args, kwargs, bound, path) -> outputs.
    """

    spec: LayerSpec
    path: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    bound: Bound
    era: Era
    graph: Graph
    apply: Apply

    @property
    def config(self) -> Any:
        """The layer's configuration struct."""
        return self.spec.config

    @property
    def ops(self) -> Ops:
        """Emits small operators on this layer's behalf."""
        return Ops(self.graph, self.path)

    @property
    def x(self) -> Tensor:
        """The only tensor the layer is called on.

        Raises:
            Unsupported: it is called on none or on several.
        """
        found = self.tensors
        if len(found) != 1:
            raise Unsupported(f"{self.spec.class_name} is called on {len(found)} tensors, one is expected")
        return found[0]

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors of the positional arguments, flattened (dicts by sorted key, as Keras does)."""
        return flatten(self.args)

    @property
    def dtype(self) -> str:
        """The dtype the layer computes in: by its policy, else that of its first floating input, else float32."""
        policy = self.config.compute_dtype
        if policy is not None:
            return str(policy)
        return next((t.dtype for t in self.tensors if t.dtype in FLOATS), "float32")

    def weight(self, name: str) -> Weight | None:
        """An array by attribute name, in the compute dtype; None where the layer has none of that name."""
        found = self.bound.variables.get(name)
        dtype = self.dtype
        return None if found is None else self.bound.once((name, dtype), lambda: found.astype(dtype))

    def need(self, name: str) -> Weight:
        """An array that must be there."""
        found = self.weight(name)
        if found is None:
            there = ", ".join(map(repr, self.bound.variables))
            raise InvalidModel(f"the array {name!r} is missing" + (f"; the layer has {there}" if there else ""))
        return found

    def check(self, weight: Weight | None, name: str, *shape: int | None) -> None:
        """See `check_shape`."""
        check_shape(weight, name, *shape)

    def wrapped(self, name: str, *args: Any) -> tuple[Tensor, ...]:
        """Call the layer that this one keeps under an attribute name, on tensors or lists of them.

        Raises:
            InvalidModel: it keeps none of that name.
        """
        if name not in self.spec.children:
            raise InvalidModel(f"there is no layer {name!r} in it; there are {', '.join(self.spec.children) or 'none'}")
        inner = self.spec.children[name]
        return self.apply(inner, args, {}, self.bound.children[name], f"{self.path}/{inner.name}")

    def emit(self, layer: Any, inputs: list[Value | None], shape: tuple[int | None, ...], dtype: str = "") -> Value:
        """Emit the layer's main node: one output, in the compute dtype unless said otherwise."""
        return self.ops.one(layer, inputs, shape, dtype or self.dtype)


def check_shape(weight: Weight | None, name: str, *shape: int | None) -> None:
    """Refuse a weight whose shape is not `shape` (None matches any size).

    Raises:
        InvalidModel: naming the array, its shape and the one expected.
    """
    if weight is None:
        return
    fits = len(weight.shape) == len(shape) and all(
        want is None or have == want for have, want in zip(weight.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise InvalidModel(f"{name} has shape {weight.shape}, expected ({wanted})")


def flatten(structure: Any) -> list[Tensor]:
    """Every Tensor in nested lists, tuples and dicts (by sorted key)."""
    if isinstance(structure, Tensor):
        return [structure]
    if isinstance(structure, Mapping):
        return [t for key in sorted(structure) for t in flatten(structure[key])]
    if isinstance(structure, list | tuple):
        return [t for item in structure for t in flatten(item)]
    return []


class Keywords(Mapping[str, Any]):
    """Keyword arguments of a call, which remembers those that were looked at."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self._asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def overlooked(self) -> list[str]:
        """Those that say something and that nobody looked at."""
        return [k for k, v in self._values.items() if k not in self._asked and v is not None and v is not False]
