"""Every operation against Keras 3 over its arguments: built, saved, converted, run, compared, dtypes included.

OP_EXAMPLES sets how many sets of arguments each operation is tried with.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from inspect import signature
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st
from op_spaces import SPACES
from op_spaces_node import NODES
from op_spaces_tf import FUNCTIONS
from op_values import Case, In, values
from test_layers import SUFFIX, converted, library, pytestmark

from converter.api import load
from converter.errors import InvalidModel, Unsupported
from converter.keras.operations.attributes import attribute
from converter.keras.operations.keras3 import KERAS3
from converter.keras.operations.node_defs import NODE_DEFS
from converter.keras.operations.tensorflow import MODULES as TF_MODULES
from converter.keras.operations.tensorflow import TF_FUNCTIONS

__all__ = ["pytestmark"]  # the marks of test_layers hold here too
EXAMPLES = int(os.environ.get("OP_EXAMPLES", "1"))
MODULES = ("numpy", "nn", "math", "core", "linalg")


def placed(structure: Any, put: Callable[[In], Any]) -> Any:
    """The arguments with something put in the places of the inputs."""
    if isinstance(structure, In):
        return put(structure)
    if isinstance(structure, list | tuple):
        return type(structure)(placed(item, put) for item in structure)
    return structure


def model_of(keras: Any, case: Case, apply: Callable[..., Any]) -> tuple[Any, list[In]]:
    """A model of one operation; what Keras itself refuses is not tried."""
    found: list[In] = []
    tensors: list[Any] = []

    def put(given: In) -> Any:
        shape = (None, *given.shape[1:]) if case.open and len(given.shape) > 1 else given.shape
        found.append(given)
        tensors.append(keras.layers.Input(shape, dtype=given.dtype))
        return tensors[-1]

    made = apply(*placed(case.args, put))
    return keras.Model(tensors, list(made) if isinstance(made, list | tuple) else made), found


def assert_same(model: Any, arrays: list[Any], suffix: str, exact: bool) -> None:
    """The reference in float64 and onnxruntime give what Keras gives; tiny numbers are compared by their digits."""
    truth = model(arrays if len(arrays) > 1 else arrays[0])
    expected = [np.asarray(t) for t in (truth if isinstance(truth, list | tuple) else [truth])]
    reference, onnx = converted(model, arrays, suffix)
    for theirs, run in zip(expected, onnx, strict=True):
        assert run.dtype == theirs.dtype
    for found in (reference, onnx):
        for mine, theirs in zip(found, expected, strict=True):
            assert mine.shape == theirs.shape
            half = theirs.dtype == np.float16
            finite = np.abs(theirs[np.isfinite(theirs)].astype("float64"))
            scale = 1e-12 if exact else max(1.0, float(finite.max(initial=0)))
            with np.errstate(all="ignore"):
                np.testing.assert_allclose(
                    mine, theirs, atol=(2e-3 if half else 5e-6) * scale, rtol=5e-3 if half else 1e-5
                )


def compared(space: Any, build: Callable[[Case], tuple[Any, list[In]]], suffix: str) -> None:
    """Cases of a space, each compared; at least one of them must be something that Keras can do."""
    done: list[int] = []

    @seed(0)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=False, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @given(case=space, number=st.integers(0, 99))
    def check(case: Case, number: int) -> None:
        try:
            model, inputs = build(case)
            rng = np.random.default_rng(number)
            arrays = [values(given, rng) for given in inputs]
            model(arrays if len(arrays) > 1 else arrays[0])
        except Exception:  # noqa: BLE001 - whatever Keras or TensorFlow cannot do is no case
            reject()
        assert_same(model, arrays, suffix, any(given.kind == "tiny" for given in inputs))
        done.append(1)

    check()
    assert done


def operation(keras: Any, name: str) -> Any:
    """The class of an operation."""
    modules = [import_module(f"keras.src.ops.{module}") for module in MODULES]
    return next(getattr(module, name) for module in modules if hasattr(module, name))


def test_every_operation_has_a_space() -> None:
    assert set(SPACES) == set(KERAS3)


@pytest.mark.parametrize("name", SPACES)
def test_keras3(name: str) -> None:
    keras = library("keras")
    kind = operation(keras, name)
    compared(
        SPACES[name], lambda case: model_of(keras, case, lambda *args: kind(**case.config)(*args)), SUFFIX["keras"]
    )


# Rows that today's TensorFlow does not write, by the row that they repeat.
OLD_NAMES = {"divide": "truediv", "floordiv": "floor_div", "mod": "floormod", "swish": "silu"}


def test_every_function_has_a_space() -> None:
    rows = {name for name in TF_FUNCTIONS if name not in OLD_NAMES}
    assert set(FUNCTIONS) == rows


def test_functions_exist() -> None:
    """In the modules of which we take them."""
    tf = library("tensorflow")
    modules = [attrgetter(module)(tf) if module else tf for module in TF_MODULES]
    assert [name for name in TF_FUNCTIONS if not any(hasattr(m, name.rpartition(".")[2]) for m in modules)] == []


@pytest.mark.parametrize("name", OLD_NAMES)
def test_old_names(name: str) -> None:
    assert TF_FUNCTIONS[name].function is TF_FUNCTIONS[OLD_NAMES[name]].function


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tensorflow(name: str) -> None:
    keras, tf = library("tf_keras"), library("tensorflow")
    written: set[str] = set()

    def build(case: Case) -> tuple[Any, list[In]]:
        model, inputs = model_of(keras, case, lambda *args: FUNCTIONS[name].apply(tf, case, *args))
        for layer in model.layers:
            function = str(layer.get_config().get("function"))
            written.update({function, function.rpartition(".")[2]})
        return model, inputs

    compared(FUNCTIONS[name].cases, build, SUFFIX["tf_keras"])
    assert name in written


def node_layer(node: Any, tensors: dict[str, Any]) -> Any:
    """A TensorFlowOpLayer of an operation of a graph, called on the Keras tensors that stand for its inputs."""
    from google.protobuf.json_format import MessageToDict

    tf, base = library("tensorflow"), library("tf_keras.src.engine.base_layer")
    constants = {k: tf.get_static_value(given) for k, given in enumerate(node.inputs) if given.op.type == "Const"}
    layer = base.TensorFlowOpLayer(MessageToDict(node.node_def), name=f"{node.name}_node", constants=constants)
    given = [tensors[x.name] for x in node.inputs if x.op.type != "Const"]
    made = layer(given if len(given) > 1 else given[0])
    tensors.update({x.name: y for x, y in zip(node.outputs, made if isinstance(made, list) else [made], strict=True)})
    return made


def node_model(case: Case, name: str) -> tuple[Any, list[In]]:
    """A model of a TensorFlowOpLayer, whose NodeDef TensorFlow itself makes of the raw operation."""
    keras, tf = library("tf_keras"), library("tensorflow")
    raw = getattr(tf.raw_ops, name)
    places: dict[str, In] = {}

    def put(given: In) -> Any:
        made = tf.compat.v1.placeholder(given.dtype, (None, *given.shape))
        places[made.name] = given
        return made

    with tf.Graph().as_default():
        made = raw(**dict(zip(signature(raw).parameters, placed(case.args, put), strict=False)), **case.config)
        node = (made[0] if isinstance(made, list | tuple) else made).op
    case = replace(case, args=tuple(places.values()))
    return model_of(keras, case, lambda *x: node_layer(node, dict(zip(places, x, strict=True))))


def test_every_node_has_a_space() -> None:
    assert set(NODES) | {"Fill", "Range", "Const"} == set(NODE_DEFS)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "int8", "uint8", "bool"])
@pytest.mark.parametrize("whole", [[[1, 0, 1], [0, 1, 1]], [[1, 1, 1], [1, 1, 1]], 1, [], [[[2]]]])
def test_arrays_of_nodes(whole: Any, dtype: str) -> None:
    """Of a Const, in each of the ways in which TensorFlow writes it."""
    from google.protobuf.json_format import MessageToDict

    tf = library("tensorflow")
    array = np.asarray(whole, dtype)
    for one in (array, np.broadcast_to(array[..., :1], array.shape) if array.ndim else array):
        given = MessageToDict(tf.compat.v1.AttrValue(tensor=tf.make_tensor_proto(one)))
        made = attribute(given)
        assert made.dtype == dtype
        np.testing.assert_array_equal(made, one)
        if one.size > 1:
            with pytest.raises(InvalidModel, match="do not fill"):
                attribute({"tensor": {**given["tensor"], "tensorShape": {"dim": [{"size": "-2"}]}}})


@pytest.mark.parametrize("function", [
    lambda tf, x, y: tf.einsum("bij,bkj->bik", x, y), lambda tf, x, y: x == y, lambda tf, x, y: x != y,
])  # fmt: skip
def test_functions_whose_operands_tf_keras_does_not_write(function: Callable[..., Any], tmp_path: Path) -> None:
    keras = library("tf_keras")
    x, y = keras.Input((3, 2)), keras.Input((3, 2))
    keras.Model([x, y], function(library("tensorflow"), x, y)).save(tmp_path / "model.h5")
    with pytest.raises((TypeError, ValueError), match=r"einsum|positional"):
        keras.models.load_model(tmp_path / "model.h5")
    with pytest.raises(Unsupported, match=r"tf.keras does not write what .* is called on"):
        load(tmp_path / "model.h5")


def test_nodes_of_sizes() -> None:
    """What models make of their batch and time: as many rows of a number, as many steps."""
    keras, tf = library("tf_keras"), library("tensorflow")
    inputs, raw = keras.layers.Input((None, 3)), tf.raw_ops
    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder("float32", (None, None, 3))
        shape = raw.Shape(input=x)
        batch, time = (
            raw.StridedSlice(input=shape, begin=[k], end=[k + 1], strides=[1], shrink_axis_mask=1) for k in range(2)
        )
        dims = raw.Pack(values=[batch, 2], axis=0)
        made = [raw.Fill(dims=dims, value=1.5), raw.Range(start=0, limit=time, delta=1)]
    tensors = {x.name: inputs}
    outputs = [node_layer(y.op, tensors) for y in (shape, batch, time, dims, *made)][-2:]
    array = np.zeros((2, 5, 3), "float32")
    assert_same(keras.Model(inputs, outputs), [array], SUFFIX["tf_keras"], exact=False)


@pytest.mark.parametrize("name", NODES)
def test_node(name: str) -> None:
    compared(NODES[name], lambda case: node_model(case, name), SUFFIX["tf_keras"])
