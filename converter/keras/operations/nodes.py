"""Operations that models list as layers: keras.ops of Keras 3, TensorFlow's own functions in tf.keras.

Keras 3 writes a node per operation of its class; tf.keras 2.4 and later a TFOpLambda or SlicingOpLambda that names the
function; TF 1.15 to 2.3 a TensorFlowOpLayer that holds a NodeDef. None of them carries a mask on.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import Ops
from converter.keras.layer_type import LayerType
from converter.keras.operations.attributes import attribute
from converter.keras.operations.keras3 import KERAS3
from converter.keras.operations.node_defs import INERT_ATTRIBUTES, NODE_DEFS
from converter.keras.operations.rows import Op
from converter.keras.operations.tensorflow import INERT_ARGUMENTS, MODULES, SYNONYMS, TF_FUNCTIONS, UNWRITTEN
from converter.keras.operations.values import Keras3Ops
from converter.keras.schema import Config
from converter.keras.shared.biases import refuse_misplaced
from converter.keras.spec import PREFIX, Call
from converter.model import Value

_ABSENT = msgspec.UNSET


class OperationBase(Config, frozen=True):
    """What every operation of Keras 3 has."""

    @property
    def compute_dtype(self) -> None:
        """Operations compute in the dtypes of their inputs; `dtype` is what a cast makes."""
        return None

    def given(self) -> dict[str, Any]:
        """The constructor arguments that are there."""
        own = [n for n in self.__struct_fields__ if n not in Config.__struct_fields__]
        found = {n: getattr(self, n) for n in own if getattr(self, n) is not _ABSENT}
        return found if self.dtype is None else {**found, "dtype": self.dtype}


_ARGUMENTS = {name for op in KERAS3.values() for name in (*op.names.split(), *op.fixed)} - {"*", "dtype"}
# Constructor arguments of Keras 3's operations, all of them; which of them one may have, its row says.
OperationConfig: type[Any] = msgspec.defstruct(
    "OperationConfig", [(name, Any, _ABSENT) for name in sorted(_ARGUMENTS)], bases=(OperationBase,),
    frozen=True, kw_only=True, forbid_unknown_fields=True,
)  # fmt: skip


class FunctionConfig(Config, frozen=True):
    """TFOpLambda and SlicingOpLambda."""

    function: str

    @property
    def compute_dtype(self) -> None:
        """What the inputs are; TFOpLambda casts nothing."""
        return None


class NodeDefConfig(Config, frozen=True):
    """TensorFlowOpLayer: a NodeDef as JSON, and the inputs that are constants by their place."""

    node_def: dict[str, Any] | str
    constants: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def compute_dtype(self) -> None:
        """What the inputs are."""
        return None


def values(structure: Any) -> Any:
    """Tensors replaced by their values, in lists and tuples too."""
    if isinstance(structure, Tensor):
        return structure.value
    if isinstance(structure, list | tuple):
        return [values(item) for item in structure]
    return structure


def bind(op: Op, what: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    """The arguments of the function, from those of the operation by the names of its row.

    Raises:
        Unsupported: an argument that the function does not know, or that is fixed to another value.
        InvalidModel: too many arguments, or one missing.
    """
    names = op.names.split()
    signature = inspect.signature(op.function)
    own = dict(zip(names, list(signature.parameters)[1:], strict=False))
    for name in set(kwargs) - set(names):
        if name not in op.fixed or kwargs[name] != op.fixed[name]:
            raise Unsupported(f"{what} with {clean(name)}={clean(kwargs[name], 40)}")
    try:
        if "*" in names:
            before = [kwargs[name] for name in names if name in kwargs]
            return signature.bind(None, *before, *args)
        free = [name for name in names if name not in kwargs and name != "_"]
        given = {own[name]: kwargs[name] for name in names if name in kwargs}
        given.update({own[name]: value for name, value in zip(free, args, strict=False)})
        if len(args) > len(free):
            raise InvalidModel(f"{what} is called with {len(args)} arguments")
        return signature.bind(None, **given)
    except TypeError:
        raise InvalidModel(f"{what} is called with arguments it does not take") from None


def run(o: Ops, op: Op, what: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """The function applied to the arguments that the operation has in the file."""
    bound = bind(op, what, args, kwargs)
    result = op.function(o, *bound.args[1:], **bound.kwargs)
    made = result if isinstance(result, tuple) else (result,)
    return tuple(Tensor(value) for value in made)


def _keras3(call: Call) -> tuple[Tensor, ...]:
    name = call.spec.class_name.removeprefix(PREFIX)
    op = KERAS3[name]
    kwargs = {**call.config.given(), **{k: values(v) for k, v in call.kwargs.items()}}
    args = values(call.args)
    if name == "Add" and len(args) == 2:
        x, y = (a.shape if isinstance(a, Value) else np.shape(a) for a in args)
        refuse_misplaced(call, x, y)
    return run(Keras3Ops(call.graph, call.path), op, f"keras.ops.{name}", args, kwargs)


def _function(call: Call) -> tuple[Tensor, ...]:
    name = call.config.function
    module, _, short = name.rpartition(".")
    op = TF_FUNCTIONS.get(name, TF_FUNCTIONS.get(short)) if module in MODULES else None
    if name in UNWRITTEN:
        hint = "save it as a SavedModel, whose function graph holds them, or build the model with a layer in its place"
        raise Unsupported(
            f"tf.keras does not write what {clean(name)} is called on, nor can it open the file", hint=hint
        )
    if op is None:
        raise Unsupported(f"the TensorFlow function {clean(name)} is not supported")
    names = op.names.split()
    kwargs = {}
    for key, value in call.kwargs.items():
        key = SYNONYMS.get(key, key) if key not in names and key not in op.fixed else key
        if (value is not None or key == "axis") and (key in names or key not in INERT_ARGUMENTS):
            kwargs[key] = _dtype_name(values(value))
    return run(call.ops, op, f"tf.{clean(name)}", values(call.args), kwargs)


def _dtype_name(value: Any) -> Any:
    """ "tf.int32" as "int32"."""
    return value.removeprefix("tf.") if isinstance(value, str) else value


def _node_def(call: Call) -> tuple[Tensor, ...]:
    config: NodeDefConfig = call.config
    node: Any = config.node_def
    if isinstance(node, str):
        try:
            node = json.loads(node)
        except ValueError:
            raise Unsupported("a TensorFlowOpLayer whose NodeDef is no JSON") from None
    if not isinstance(node, Mapping) or not isinstance(node.get("attr", {}), Mapping):
        raise InvalidModel("a TensorFlowOpLayer whose NodeDef is no object")
    name = str(node.get("op"))
    op = NODE_DEFS.get(name)
    if op is None:
        raise Unsupported(f"the TensorFlow operation {clean(name)} is not supported")
    inputs = node_inputs(values(call.args), config.constants)
    attributes = {k: attribute(v) for k, v in (node.get("attr") or {}).items()}
    wanted = {k: v for k, v in attributes.items() if k in op.names.split() or k not in INERT_ATTRIBUTES}
    if "*" in op.names:
        return run(call.ops, op, f"tf.{clean(name)}", inputs, wanted)
    numbered = {str(k): item for k, item in enumerate(inputs)}
    return run(call.ops, op, f"tf.{clean(name)}", (), {**numbered, **wanted})


def node_inputs(tensors: Sequence[Any], constants: Mapping[str, Any]) -> list[Value | Any]:
    """Tensors in the places that constants leave free.

    Raises:
        InvalidModel: a place that is no number.
    """
    flat = [t for item in tensors for t in (item if isinstance(item, list) else [item])]
    if any(not key.isdecimal() or int(key) >= len(flat) + len(constants) for key in constants):
        raise InvalidModel("a TensorFlowOpLayer's constants have no place")
    placed = {int(key): value for key, value in constants.items()}
    rest = iter(flat)
    return [placed[k] if k in placed else next(rest) for k in range(len(flat) + len(placed))]


TYPES: dict[str, LayerType] = {
    **{PREFIX + name: LayerType(OperationConfig, _keras3, takes="operands", note="operation") for name in KERAS3},
    "TFOpLambda": LayerType(FunctionConfig, _function, takes="operands"),
    "SlicingOpLambda": LayerType(FunctionConfig, _function, takes="operands"),
    "TensorFlowOpLayer": LayerType(NodeDefConfig, _node_def, takes="operands", makes_constants=True),
}
