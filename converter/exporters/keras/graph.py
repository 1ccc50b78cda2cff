"""A Keras 3 functional model as data: operations that refer to each other's tensors, in the order Keras gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.model import Model, Node, Shape, Value, Weight, constant, dtype_of
from converter.model.naming import free_name

HINT = "--to onnx can, or --to npz writes the weights alone"


@dataclass(frozen=True)
class Ref:
    """A tensor: output `index` of call `call` of an operation."""

    op: str
    index: int
    shape: Shape
    dtype: str
    call: int = 0


@dataclass(frozen=True, eq=False)
class OpCall:
    """What a layer or an operation is called with: nested lists of `Ref`, `Weight` (a constant) and plain values."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parents(self) -> list[Ref]:
        """The tensors read, in Keras' order: positional ones first, then keywords by name."""
        return list(_refs([self.args, [self.kwargs[key] for key in sorted(self.kwargs)]]))


@dataclass(frozen=True, eq=False)
class Op:
    """A layer, a nested model or an operation.

    Attributes:
        name: unique in the model.
        module, class_name: where Keras finds it.
        config: its arguments, without the name.
        calls: how it is called, a shared layer more than once; none of an InputLayer.
        weights: the arrays of a layer, by path below it ("cell/vars/0").
        inside: the layers of a nested model, and its outputs.
    """

    name: str
    module: str
    class_name: str
    config: Mapping[str, Any]
    calls: tuple[OpCall, ...] = ()
    weights: Mapping[str, Weight] = field(default_factory=dict)
    inside: tuple[Graph, list[Ref]] | None = None


def _refs(tree: Any) -> Iterator[Ref]:
    if isinstance(tree, Ref):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for part in tree:
            yield from _refs(part)


class Graph:
    """Gathers the operations while rules walk over the model.

    Attributes:
        model: what is written.
        ops: by name.
        read: names of the neutral values that something reads.
        scaled: layer (and direction) -> what its gates' weights were multiplied by, where that is not 1.
        values: neutral value -> its tensor, or the array of a constant.
        sequential: whether it is written as a Sequential.
    """

    def __init__(self, model: Model, inputs: Sequence[Value] | None = None) -> None:
        """`inputs`: of a nested model; by default the model's own."""
        self.model = model
        self.ops: dict[str, Op] = {}
        self.scaled: dict[str, Sequence[float]] = {}
        self.read = {value.name for value in model.outputs}
        self.read |= {value.name for node in model.nodes for value in node.inputs if value is not None}
        self.sequential = False
        self._counts: dict[str, int] = {}
        self.values: dict[str, Ref | Weight] = {}
        self.inputs = [self._input(value) for value in (model.inputs if inputs is None else inputs)]

    def _input(self, value: Value) -> Ref:
        name = self.unique(value.name)
        config = {"batch_shape": list(value.shape), "dtype": value.dtype}
        self.ops[name] = Op(name, "keras.layers", "InputLayer", config)
        ref = Ref(name, 0, value.shape, value.dtype)
        self.values[value.name] = ref
        return ref

    def unique(self, name: str) -> str:
        """A name no other operation has; Keras allows no slash in one."""
        stem = re.sub(r"[^\w.-]+", "_", name).strip("_") or "layer"
        return free_name(stem, self.ops, self._counts)

    def tensor(self, value: Value | None) -> Any:
        """The tensor of a value, the array of a constant, or None."""
        return None if value is None else self.values[value.name]

    def op(self, class_name: str, args: tuple[Any, ...], like: Ref | Value, /, **config: Any) -> Ref:
        """An operation of keras.ops with one output, of the shape and dtype of `like`.

        Raises:
            Unsupported: it has constants alone; `folded` computes those.
        """
        if not any(True for _ in _refs(args)):
            raise Unsupported(f"{class_name} of constants alone", hint=HINT)
        module = MODULES.get(class_name, "keras.src.ops.numpy")
        name = self.unique(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).lower())
        self.ops[name] = Op(name, module, class_name, config, (OpCall(args),))
        return Ref(name, 0, like.shape, like.dtype)

    def layer(
        self, name: str, class_name: str, config: Mapping[str, Any], args: tuple[Any, ...],
        weights: Mapping[str, Weight], kwargs: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """A layer of keras.layers; returns its name."""
        if not any(True for _ in _refs([args])):
            raise Unsupported("a layer of a constant", where=name, hint=HINT)
        free = self.unique(name)
        self.ops[free] = Op(free, "keras.layers", class_name, config, (OpCall(args, kwargs or {}),), weights)
        return free

    def note_scaled(self, name: str, factors: Sequence[float]) -> None:
        """Notes that the weights of a layer are not the model's, but multiplied by these."""
        if any(factor != 1 for factor in factors):
            self.scaled[name] = list(factors)

    def ordered(self, outputs: list[Ref]) -> list[Op]:
        """The operations that outputs need, and all inputs, in the order that keras.Functional gives them.

        It matters: the archive's weights are found by counting the layers of each class (keras/src/ops/function.py,
        map_graph).
        """
        places, left = self._visited(outputs)
        depths: dict[tuple[str, int], int] = {}
        of_ops: dict[str, int] = {}
        for key in reversed(left):
            depths[key] = of_ops[key[0]] = max(depths.get(key, 0), of_ops.get(key[0], 0))
            for parent in self._parents(key):
                below = (parent.op, parent.call)
                depths[below] = max(depths.get(below, 0), depths[key] + 1)
        for ref in self.inputs:
            if ref.op not in of_ops:
                of_ops[ref.op], places[ref.op] = 0, -1
        return [self.ops[name] for name in sorted(of_ops, key=lambda n: (-of_ops[n], places[n]))]

    def _parents(self, key: tuple[str, int]) -> list[Ref]:
        calls = self.ops[key[0]].calls
        return calls[key[1]].parents if calls else []

    def _visited(self, outputs: list[Ref]) -> tuple[dict[str, int], list[tuple[str, int]]]:
        """When a search from the outputs first meets each operation, and its calls as it leaves them."""
        places: dict[str, int] = {}
        opened: set[tuple[str, int]] = set()
        left: dict[tuple[str, int], None] = {}
        for output in outputs:
            stack = [(output.op, output.call)]
            while stack:
                key = stack[-1]
                if key in opened:
                    left[key] = None
                    stack.pop()
                    continue
                opened.add(key)
                places.setdefault(key[0], len(places))
                stack += [below for ref in reversed(self._parents(key)) if (below := (ref.op, ref.call)) not in opened]
        return places, list(left)


# Operations that do not live in keras.src.ops.numpy.
MODULES: Mapping[str, str] = {
    "Cast": "keras.src.ops.core",
    **dict.fromkeys(("Logsumexp", "Rsqrt", "Erf"), "keras.src.ops.math"),
    **dict.fromkeys(
        ("Softmax", "LogSoftmax", "OneHot", "Glu", "Threshold", "HardShrink", "SoftShrink", "TanhShrink", "SparsePlus",
         "Squareplus", "Sparsemax"), "keras.src.ops.nn",
    ),
}  # fmt: skip


def folded(class_name: str, args: tuple[Any, ...], like: Value) -> Weight | None:
    """The array that an operation makes of constants alone; None where there is a tensor among them.

    keras.ops has NumPy's names.

    Raises:
        Unsupported: NumPy has no such function.
    """
    if any(True for _ in _refs(args)) or not any(isinstance(arg, Weight) for arg in args):
        return None
    function = getattr(np, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).lower(), None)
    if function is None:
        raise Unsupported(f"{class_name} of constants alone", hint=HINT)
    made = function(*(arg.read() if isinstance(arg, Weight) else arg for arg in args))
    return constant(class_name, np.asarray(made, dtype_of(like.dtype)))


@singledispatch
def rule(layer: object, graph: Graph, node: Node) -> None:
    """Writes a node whose layer is of this type.

    Raises:
        Unsupported: Keras 3 has nothing that computes exactly this.
    """
    raise Unsupported(f"{type(layer).__name__} cannot be written for Keras 3", where=node.name, hint=HINT)


def policy(node: Node, weights: Mapping[str, Weight]) -> tuple[dict[str, Any], dict[str, Weight]]:
    """The dtype policy of a layer that computes in its output's dtype, and its weights as that policy holds them."""
    computed = node.outputs[0].dtype
    stored = {weight.dtype for weight in weights.values()}
    if computed in ("float16", "bfloat16") and stored == {"float32"}:
        return {"dtype": f"mixed_{computed}"}, dict(weights)
    return {"dtype": computed}, {name: weight.astype(computed) for name, weight in weights.items()}
