"""Loops of TensorFlow 1 that end row by row at `sequence_length`: native layers with a mask, or an exact Scan."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from converter import convert
from converter.interpret import run
from converter.model import Model
from converter.model.layers import GRUCell, LSTMCell, Recurrent, Scan, SimpleRNNCell

GOOD = Path(__file__).parents[1] / "fixtures/good"
NAMES = {
    "tf115_lengths": [LSTMCell, GRUCell, GRUCell],
    "tf115_sequences": [LSTMCell, LSTMCell, GRUCell, LSTMCell, SimpleRNNCell],
    "tfk221_sequences": [LSTMCell, LSTMCell, GRUCell, LSTMCell, SimpleRNNCell],
}


def layers_of(model: Model) -> list[Recurrent]:
    return [node.layer for node in model.nodes if isinstance(node.layer, Recurrent)]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Path]]:
    """Converts a fixture, once; what came of it, and the ONNX file."""
    folder = tmp_path_factory.mktemp("lengths")

    @cache
    def made(name: str) -> tuple[Any, Path]:
        path = folder / f"{name}.onnx"
        return convert(GOOD / name / "export", path), path

    return made


@pytest.mark.parametrize("name", NAMES)
def test_loops_with_lengths_become_native_layers(name: str, converted: Callable[[str], tuple[Any, Path]]) -> None:
    done, path = converted(name)
    assert done.reports[0].passed
    assert [type(layer.directions[0].cell) for layer in layers_of(done.model)] == NAMES[name]
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert "Scan" not in kinds
    assert {"LSTM", "GRU"} <= kinds


@pytest.mark.parametrize("name", ["tf115_lengths", "tf115_sequences"])
def test_rows_reversed_by_their_lengths_are_a_backward_layer(
    name: str, converted: Callable[[str], tuple[Any, Path]]
) -> None:
    model = converted(name)[0].model
    assert [layer.directions[0].reverse_input for layer in layers_of(model)].count(True) == 1


@pytest.mark.parametrize("lengths", [[0, 0, 0, 0], [6, 6, 6, 6], [0, 1, 5, 6], [3, 3, 0, 2]])
@pytest.mark.parametrize("name", NAMES)
def test_any_lengths_give_what_the_graph_gives(
    name: str, lengths: list[int], converted: Callable[[str], tuple[Any, Path]]
) -> None:
    done, path = converted(name)
    model = done.model
    assert model.origin is not None
    x = np.random.default_rng(sum(lengths)).normal(size=(4, 6, 3)).astype("f4")
    x[:, 4:] *= np.array([0, 1, 1, 0], "f4")[:, None, None]
    feed = {value.name: a.astype(value.dtype) for value, a in zip(model.inputs, (x, np.array(lengths)), strict=True)}
    wanted, made = model.origin(feed), run(model, feed)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    by_runtime = session.run(list(model.output_names), feed)
    for value, want, other in zip(model.outputs, wanted, by_runtime, strict=True):
        np.testing.assert_allclose(made[value.name], want, rtol=0, atol=1e-6)
        np.testing.assert_allclose(other, want, rtol=0, atol=2e-6)


def rnn(tf: Any, x: Any, lengths: Any, *, bound: Any = None, past: Callable[..., Any] | None = None) -> Any:
    """A loop as dynamic_rnn writes it, which ends at the largest of `bound`; a step past the end puts out `past`."""
    v1, time = tf.compat.v1, tf.shape(x)[1]
    w, u = v1.get_variable("w", [3, 4]), v1.get_variable("u", [4, 4])
    end = tf.minimum(time, tf.maximum(1, tf.reduce_max(lengths if bound is None else bound)))
    steps = tf.TensorArray(tf.float32, time).unstack(tf.transpose(x, [1, 0, 2]))
    zeros = tf.zeros([tf.shape(x)[0], 4])

    def step(t: Any, made: Any, h: Any) -> Any:
        new = tf.tanh(tf.matmul(steps.read(t), w) + tf.matmul(h, u))
        over = t >= lengths
        out = v1.where(over, zeros if past is None else past(h, new), new)
        return t + 1, made.write(t, out), v1.where(over, h, new)

    start = (0, tf.TensorArray(tf.float32, time, element_shape=[None, 4]), zeros)
    end, made, last = tf.while_loop(lambda t, *_: t < end, step, start)
    return {"y": tf.transpose(made.stack(), [1, 0, 2]), "h": last, "n": end}


CASES: dict[str, tuple[type, Callable[..., Any]]] = {
    "plain": (Recurrent, rnn),
    "static": (Recurrent, lambda tf, x, lengths: rnn(tf, tf.ensure_shape(x, [None, 6, 3]), lengths)),
    "bounded by other lengths": (Scan, lambda tf, x, lengths: rnn(tf, x, lengths, bound=lengths - 1)),
    "the state past the end": (Scan, lambda tf, x, lengths: rnn(tf, x, lengths, past=lambda h, new: h)),
    "more past the end": (Scan, lambda tf, x, lengths: rnn(tf, x, lengths, past=lambda h, new: new)),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", CASES)
def test_only_what_masks_is_a_layer(case: str, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    (kind, build), v1, graph = CASES[case], tf.compat.v1, tf.Graph()
    x = np.random.default_rng(5).normal(size=(4, 6, 3)).astype("f4")
    calls = [np.array(lengths, "i4") for lengths in ([2, 4, 0, 1], [6, 6, 1, 3], [0, 0, 0, 0])]
    with graph.as_default(), v1.Session(graph=graph) as session:
        v1.set_random_seed(3)
        given = v1.placeholder(tf.float32, [None, None, 3]), v1.placeholder(tf.int32, [None])
        made = build(tf, *given)
        session.run(v1.global_variables_initializer())
        wanted = [
            session.run([made[key] for key in sorted(made)], dict(zip(given, (x, n), strict=True))) for n in calls
        ]
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"a": given[0], "b": given[1]}, made)
    done = convert(tmp_path / "m", tmp_path / "m.onnx")
    assert done.reports[0].passed
    assert {type(n.layer) for n in done.model.nodes if isinstance(n.layer, Recurrent | Scan)} == {kind}
    for lengths, want in zip(calls, wanted, strict=True):
        values = run(done.model, dict(zip((v.name for v in done.model.inputs), (x, lengths), strict=True)))
        for value, array in zip(done.model.outputs, want, strict=True):
            np.testing.assert_allclose(values[value.name], array, rtol=0, atol=1e-6)
