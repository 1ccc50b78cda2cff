"""SavedModels by their function graphs: against genuine Keras, against the Keras route, and against broken ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converter import convert, load
from converter.interpret import run
from converter.model import Model
from converter.model.layers import Conv, Recurrent, Scan
from converter.tensorflow_graph.kernels import run_kernel

GOOD = Path(__file__).parent.parent / "fixtures" / "good"
SIGNED = sorted(path.parent for path in GOOD.glob("*/*/saved_model.pb") if "notraces" not in path.parent.name)
CONFIGURED = [
    f for f in SIGNED if f.name != "export" and "owncells" not in f.parent.name
]  # and no class of an author's


def recurrent(model: Model) -> int:
    return sum(isinstance(node.layer, Recurrent | Scan) for node in model.nodes)


def arrays_of(folder: Path, name: str) -> dict[str, np.ndarray]:
    """Of the first call."""
    arrays = np.load(folder.parent / name)
    return {key.removeprefix("call0_"): arrays[key] for key in arrays if "call" not in key or "call0_" in key}


def outputs(model: Model, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    feed = {value.name: arrays[f"in{k}"] for k, value in enumerate(model.inputs)}
    made = run(model, feed)
    return [made[value.name] for value in model.outputs]


@pytest.mark.parametrize("folder", SIGNED, ids=lambda folder: folder.parent.name)
def test_graphs_give_what_keras_gave(folder: Path) -> None:
    model = load(folder, route="graph")
    assert recurrent(model)
    wanted = arrays_of(folder, "expected.npz")
    for k, array in enumerate(outputs(model, arrays_of(folder, "inputs.npz"))):
        np.testing.assert_allclose(array, wanted[f"out{k}"], rtol=0, atol=2e-6)


@pytest.mark.parametrize("folder", CONFIGURED, ids=lambda folder: folder.parent.name)
def test_both_routes_agree(folder: Path) -> None:
    arrays = arrays_of(folder, "inputs.npz")
    one, other = (load(folder, route=route) for route in ("keras", "graph"))
    assert recurrent(one) == recurrent(other)
    for a, b in zip(outputs(one, arrays), outputs(other, arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("time", [6, 7, 12])
def test_gaps_along_an_open_time_are_dilations(time: int) -> None:
    model = load(GOOD / "k3151_dilated/export", route="graph")
    assert [node.layer.dilation for node in model.nodes if isinstance(node.layer, Conv)] == [(1, 2), (1, 3), (1, 2)]
    assert model.origin is not None
    x = {
        model.inputs[0].name: np.random.default_rng(time).normal(size=(2, time, model.inputs[0].shape[2])).astype("f4")
    }
    np.testing.assert_allclose(run(model, x)[model.outputs[0].name], model.origin(x)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("block", [(2,), (3,), (2, 3)])
def test_what_is_spread_is_gathered_again(block: tuple[int, ...]) -> None:
    x = np.arange(2 * 5 * 4 * 3).reshape(2, 5, 4, 3)
    blocks = np.array(block, np.int32)
    rest = [-size % d for size, d in zip(x.shape[1:], block, strict=False)]
    pads = np.array([[0, n] for n in rest], np.int32)
    (spread,) = run_kernel("SpaceToBatchND", {}, [x, blocks, pads])
    assert spread.shape[0] == 2 * np.prod(block)
    np.testing.assert_array_equal(spread[:2, :, 0], x[:, :: block[0], 0][: len(spread)])
    (gathered,) = run_kernel("BatchToSpaceND", {}, [spread, blocks, pads])
    np.testing.assert_array_equal(gathered, x)


@pytest.mark.tensorflow
def test_attributes_that_are_left_out_are_tensorflows_defaults(tmp_path: Path) -> None:
    """`tf.saved_model.save` leaves out every attribute that has its default: alpha, axis, output_type, ..."""
    tf = pytest.importorskip("tensorflow")

    def f(x: object) -> object:
        stacked = tf.reduce_sum(tf.stack([tf.nn.leaky_relu(x), x], axis=0), 0)
        return stacked + tf.one_hot(tf.argmax(x, -1), 3) + tf.cumsum(x, 1)

    module = tf.Module()
    module.f = tf.function(f, input_signature=[tf.TensorSpec([None, 4, 3], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.f)
    done = convert(tmp_path / "m", tmp_path / "m.onnx")
    assert done.reports[0].passed
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    (have,) = run(done.model, {done.model.inputs[0].name: x}).values()
    np.testing.assert_allclose(have, f(x).numpy(), rtol=0, atol=1e-6)
