"""Every layer against Keras 3 and tf_keras over its arguments: built, saved, converted, run, compared.

LAYER_EXAMPLES sets how many sets of arguments each layer is tried with.
"""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st
from keras_compare import library
from layer_arguments import TF_KERAS, Space
from layer_spaces import SPACES as PLAIN
from layer_spaces_more import SPACES as MORE
from needing import BOTH_KERAS

from converter import interpret
from converter.errors import Unsupported
from converter.exporters.onnx import export
from converter.readers import load

pytestmark = BOTH_KERAS
SPACES = PLAIN | MORE
EXAMPLES = int(os.environ.get("LAYER_EXAMPLES", "3"))
BATCH = 3
SUFFIX = {"keras": ".keras", "tf_keras": ".h5"}


def randomize(model: Any, rng: np.random.Generator) -> None:
    """Weights of ordinary size; variances are positive."""
    weights = []
    for variable, value in zip(model.weights, model.get_weights(), strict=True):
        drawn = rng.normal(scale=0.7, size=value.shape)
        weights.append(np.abs(drawn) + 0.1 if "variance" in variable.name else drawn)
    model.set_weights(weights)


def examples(space: Space, rng: np.random.Generator, shapes: list[tuple[int, ...]]) -> list[Any]:
    if space.texts:
        return [rng.choice(np.array(space.texts, object), (BATCH, *s)) for s in shapes]
    if space.integers:
        return [rng.integers(0, space.integers, (BATCH, *s)).astype("int32") for s in shapes]
    if space.values:
        return [rng.choice(np.array(space.values, "float32"), (BATCH, *s)) for s in shapes]
    return [rng.normal(size=(BATCH, *s)).astype("float32") for s in shapes]


def made_of(keras: Any, argument: Any) -> Any:
    """Layers in place of their descriptions {"class_name": ...}."""
    if isinstance(argument, list):
        return [made_of(keras, item) for item in argument]
    if isinstance(argument, dict) and "class_name" in argument:
        return getattr(keras.layers, argument["class_name"])(**{k: v for k, v in argument.items() if k != "class_name"})
    return argument


def single(
    keras: Any,
    kind: str,
    arguments: dict[str, Any],
    shapes: list[tuple[int, ...]],
    space: Space,
    opened: frozenset[int] = frozenset(),
) -> Any:
    """A model of one layer, which leaves some axes of its inputs open. What Keras itself refuses is not tried."""
    axes = [[None if k in opened and k < len(s) - 1 else n for k, n in enumerate(s)] for s in shapes]
    inputs = [keras.layers.Input(s, dtype=space.dtype) for s in axes]
    given = inputs[0] if len(inputs) == 1 else inputs
    layer = getattr(keras.layers, kind)(**{k: made_of(keras, v) for k, v in arguments.items()})
    return keras.Model(given, layer(*inputs) if space.apart else layer(given))


def converted(model: Any, arrays: list[Any], suffix: str, opset: int | None = None) -> tuple[list[Any], list[Any]]:
    """Outputs of the interpreter in float64, and of onnxruntime, for a model saved by Keras."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, f"model{suffix}")
        model.save(path)
        neutral = load(path)
        feeds = {value.name: array for value, array in zip(neutral.inputs, arrays, strict=True)}
        made = interpret.run(neutral, feeds)
        target = Path(folder, "model.onnx")
        export(neutral, target, opset=opset)
        session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
        return [made[value.name] for value in neutral.outputs], session.run(None, feeds)


def tensors(arrays: list[Any]) -> Any:
    """What a model is called on; TensorFlow alone has strings."""
    made = [import_module("tensorflow").constant(a) if a.dtype.hasobject else a for a in arrays]
    return made[0] if len(made) == 1 else made


def assert_equal(model: Any, arrays: list[Any], suffix: str, opset: int | None = None) -> None:
    truth = model(tensors(arrays), training=False)
    expected = [np.asarray(t) for t in (truth if isinstance(truth, list | tuple) else [truth])]
    for found in converted(model, arrays, suffix, opset):
        for mine, theirs in zip(found, expected, strict=True):
            assert mine.shape == theirs.shape
            if theirs.dtype.hasobject:
                assert mine.reshape(-1).tolist() == [text.decode() for text in theirs.reshape(-1).tolist()]
                continue
            scale = max(1.0, float(np.abs(theirs).max(initial=0)))
            np.testing.assert_allclose(mine, theirs, atol=5e-6 * scale, rtol=1e-5)


OPENED = st.just(frozenset()) | st.frozensets(st.integers(0, 2))  # axes behind the batch; channels stay known
CASES = [(name, kind) for kind, space in SPACES.items() for name in sorted(space.libraries)]


@pytest.mark.parametrize(("name", "kind"), CASES, ids=[f"{name}-{kind}" for name, kind in CASES])
def test_layer(name: str, kind: str) -> None:
    space, keras = SPACES[kind], library(name)
    rename = space.renamed if name == TF_KERAS else {}
    known = {k: v for k, v in space.arguments.items() if k not in space.lacks.get(name, ())}

    @seed(0)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=False, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(arguments=st.fixed_dictionaries(known), shapes=space.shapes, number=st.integers(0, 99), opened=OPENED)
    def check(arguments: dict[str, Any], shapes: list[tuple[int, ...]], number: int, opened: frozenset[int]) -> None:
        rng = np.random.default_rng(number)
        arrays = examples(space, rng, shapes)
        arguments = {rename.get(k, k): v for k, v in arguments.items()}
        try:
            model = single(keras, kind, arguments, shapes, space, opened)
            made = model(tensors(arrays))
        except Exception:  # noqa: BLE001 - whatever Keras or TensorFlow cannot do is no case
            reject()
        if 0 in made.shape:  # a window longer than an open axis, which onnxruntime refuses
            reject()
        randomize(model, rng)
        try:
            assert_equal(model, arrays, SUFFIX[name], space.opset)
        except Unsupported as problem:
            reasons = [space.refused, *(space.closed.split("|") if opened else [])]
            if not any(words and words in str(problem) for words in reasons):
                raise
            reject()

    check()


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
@pytest.mark.parametrize("kind", ["Conv1D", "DepthwiseConv1D", "MaxPooling1D", "AveragePooling1D"])
def test_windows_that_leave_gaps(name: str, kind: str) -> None:
    """Under "same" over an open time the last steps may be read by no window; then onnxruntime's pads are below 0."""
    keras, rng = library(name), np.random.default_rng(3)
    given: dict[str, Any] = {"filters": 2} if kind == "Conv1D" else {}
    for window, stride in ((1, 4), (2, 5), (1, 2)):
        size = {"pool_size" if "Pooling" in kind else "kernel_size": window}
        arguments = {**given, **size, "strides": stride, "padding": "same"}
        for time in range(stride, 2 * stride + 1):
            model = single(keras, kind, arguments, [(time, 2)], SPACES[kind], frozenset({0}))
            assert_equal(model, [rng.normal(size=(BATCH, time, 2)).astype("float32")], SUFFIX[name])


def test_strides_and_dilation_over_an_open_time() -> None:
    """Of which onnxruntime has no SAME_UPPER; tf_keras does not take the two together."""
    keras, rng = library("keras"), np.random.default_rng(4)
    arguments = {"filters": 2, "kernel_size": 3, "strides": 2, "dilation_rate": 2, "padding": "same"}
    for time in range(3, 8):
        model = single(keras, "SeparableConv1D", arguments, [(time, 2)], SPACES["SeparableConv1D"], frozenset({0}))
        assert_equal(model, [rng.normal(size=(BATCH, time, 2)).astype("float32")], SUFFIX["keras"])
