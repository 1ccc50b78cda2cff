"""Loops that match no known cell: what a Scan computes, that its proof finds what is wrong, what targets make of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from neutral_models import Builder

from converter import compare, convert, interpret, load
from converter.errors import ConversionError, Unsupported
from converter.exporters.onnx import export
from converter.model import Model, Node, Value, constant, layers
from converter.model.activations import TANH
from converter.model.layers import Scan
from converter.verification import Report, verify

GOOD = Path(__file__).parents[1] / "fixtures/good"
OWN = [GOOD / "k3151_owncells/export", GOOD / "tfk221_owncells/savedmodel", GOOD / "k3151_loops/export",
       GOOD / "tf115_loops/export"]  # fmt: skip
UNITS = 4


def scan_model(dtype: str = "float32") -> tuple[Model, dict[str, np.ndarray]]:
    """h' = tanh(x·W + h·U + k), s' = s + h; y = h'·s': two states, a weight in each Dense, k read by every step."""

    def values(*names: str, width: int = UNITS) -> tuple[Value, ...]:
        return tuple(Value(name, (None, width), dtype) for name in names)

    b = Builder()
    x, k = b.input("x", (None, None, 3), dtype), b.input("k", (None, UNITS), dtype)
    shapes = {"w": (3, UNITS), "u": (UNITS, UNITS), "b": (UNITS,)}
    arrays = {name: b.random.normal(0, 0.5, shape).astype("f4") for name, shape in shapes.items()}
    w, u, bias = (constant(name, array).astype(dtype) for name, array in arrays.items())
    h, s, k_in, h_new, s_new, y = values("h", "s", "k_in", "h_new", "s_new", "y")
    (x_t,) = values("x_t", width=3)
    a, c, d, e = values("a", "c", "d", "e")
    nodes = (
        Node("body/a", layers.Dense(w, bias), (x_t,), (a,), "rnn"),
        Node("body/c", layers.Dense(u, None), (h,), (c,), "rnn"),
        Node("body/d", layers.Elementwise("add"), (a, c), (d,), "rnn"),
        Node("body/e", layers.Elementwise("add"), (d, k_in), (e,), "rnn"),
        Node("body/h", layers.Activate(TANH), (e,), (h_new,), "rnn"),
        Node("body/s", layers.Elementwise("add"), (s, h), (s_new,), "rnn"),
        Node("body/y", layers.Elementwise("multiply"), (h_new, s_new), (y,), "rnn"),
    )
    layer = Scan(2, 1, (h, s, x_t, k_in), nodes, (h_new, s_new, y))
    (turned,) = b.node("turn", layers.Transpose((1, 0, 2)), [x], (None, None, 3), dtype=dtype)
    shapes = (None, UNITS), (None, UNITS), (None, None, UNITS)
    made = b.node("rnn", layer, [k, k, turned, k], *shapes, dtype=dtype)
    return b.model(list(made)), arrays


def spoiled(folder: Path, change: Callable[[onnx.ModelProto], None]) -> Report:
    model, _ = scan_model()
    path = folder / "m.onnx"
    export(model, path)
    proto = onnx.load(path)
    change(proto)
    onnx.save(proto, path)
    return verify(model, path)


def body(proto: onnx.ModelProto) -> onnx.GraphProto:
    (scan,) = (node for node in proto.graph.node if node.op_type == "Scan")
    return next(a.g for a in scan.attribute if a.name == "body")


def test_steps_follow_each_other() -> None:
    model, arrays = scan_model()
    rng = np.random.default_rng(1)
    x, k = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, UNITS))
    h, s, ys = k, k, []
    for t in range(5):
        h, s = np.tanh(x[:, t] @ arrays["w"] + arrays["b"] + h @ arrays["u"] + k), s + h
        ys.append(h * s)
    made = interpret.run(model, {"x": x, "k": k})
    for value, want in zip(model.outputs, (h, s, np.stack(ys)), strict=True):
        np.testing.assert_allclose(made[value.name], want, rtol=1e-12)


def test_a_right_file_is_proved_node_by_node(tmp_path: Path) -> None:
    report = spoiled(tmp_path, lambda proto: None)
    assert report.passed, report.failures
    assert {one.name for one in report.nodes} == {"turn", "rnn", *(f"body/{name}" for name in "acdehsy")}
    assert {name for one in report.weights for name in one.sources} == {"w", "u", "b"}


def swap(graph: onnx.GraphProto, a: str, b: str) -> None:
    for node in graph.node:
        node.input[:] = [b if name == a else a if name == b else name for name in node.input]


def scale(name: str) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        tensor = next(t for t in proto.graph.initializer if t.name == name)
        array = onnx.numpy_helper.to_array(tensor).copy()
        array.reshape(-1)[-1] = np.nextafter(array.reshape(-1)[-1], np.float32(9))
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))

    return change


def operator(kind: str, other: str) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        next(node for node in body(proto).node if node.op_type == kind).op_type = other

    return change


def frozen(proto: onnx.ModelProto) -> None:
    """The second state never changes."""
    graph = body(proto)
    graph.node.append(onnx.helper.make_node("Identity", [graph.input[1].name], ["stays"], "rnn/stays"))
    graph.output[1].name = "stays"


def backwards(proto: onnx.ModelProto) -> None:
    (scan,) = (node for node in proto.graph.node if node.op_type == "Scan")
    scan.attribute.append(onnx.helper.make_attribute("scan_input_directions", [1]))


@pytest.mark.parametrize(
    "change",
    [
        *(scale(f"body/{name}") for name in ("a/kernel", "a/bias", "c/kernel")), operator("Tanh", "Erf"),
        operator("Mul", "Add"), operator("Add", "Sub"), frozen, backwards,
        lambda proto: swap(body(proto), body(proto).input[0].name, body(proto).input[1].name),
    ],
)  # fmt: skip
def test_a_wrong_body_is_found(change: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    assert not spoiled(tmp_path, change).passed


@pytest.mark.parametrize("folder", OWN, ids=lambda folder: folder.parent.name)
def test_loops_become_scans_that_are_proved(folder: Path, tmp_path: Path) -> None:
    (report,) = convert(folder, tmp_path / "m.onnx").reports
    assert report.passed
    scans = [node for node in onnx.load(tmp_path / "m.onnx").graph.node if node.op_type == "Scan"]
    counts = {"k3151_owncells": 2, "tfk221_owncells": 3, "k3151_loops": 4, "tf115_loops": 3}
    assert len(scans) == counts[folder.parent.name]


@pytest.mark.parametrize(("folder", "count"), [(OWN[0], 2), (OWN[2], 4)], ids=["owncells", "loops"])
def test_own_files_are_read_back(folder: Path, count: int, tmp_path: Path) -> None:
    model = load(folder)
    export(model, tmp_path / "m.onnx")
    again = load(tmp_path / "m.onnx")
    assert sum(isinstance(node.layer, Scan) for node in again.nodes) == count
    x = np.load(folder.parent / "inputs.npz")["in0"]
    one, other = (interpret.run(m, {m.inputs[0].name: x}) for m in (model, again))
    for a, b in zip(model.outputs, again.outputs, strict=True):
        np.testing.assert_allclose(other[b.name], one[a.name], rtol=0, atol=1e-12)


def test_arithmetic_with_open_sizes_is_read_back(tmp_path: Path) -> None:
    model = load(OWN[3])
    export(model, tmp_path / "m.onnx")
    again = load(tmp_path / "m.onnx")
    given = np.load(OWN[3].parent / "inputs.npz")
    x = {value.name: given[f"in{k}"] for k, value in enumerate(model.inputs)}
    one, other = (interpret.run(m, x) for m in (model, again))
    for a, b in zip(model.outputs, again.outputs, strict=True):
        np.testing.assert_allclose(other[b.name], one[a.name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_other_types_are_proved(dtype: str, tmp_path: Path) -> None:
    model, _ = scan_model(dtype)
    export(model, tmp_path / "m.onnx")
    report = verify(model, tmp_path / "m.onnx")
    assert report.passed, report.failures


def test_weights_alone_hold_those_of_bodies(tmp_path: Path) -> None:
    convert(OWN[0], tmp_path / "m.safetensors", to="safetensors")
    assert compare(OWN[0], tmp_path / "m.safetensors").equal
    a, b = load(OWN[0]), load(tmp_path / "m.safetensors")
    x = np.load(OWN[0].parent / "inputs.npz")["in0"]
    one, other = (list(interpret.run(m, {m.inputs[0].name: x}).values()) for m in (a, b))
    assert all(np.array_equal(p, q) for p, q in zip(one, other, strict=True))


@pytest.mark.parametrize("target", ["keras", "torch", "tflite"])
def test_other_targets_refuse(target: str, tmp_path: Path) -> None:
    model, _ = scan_model()
    from converter.exporters import EXPORTERS

    with pytest.raises(ConversionError, match="Scan"):
        EXPORTERS[target].export(model, tmp_path / "m")


def test_a_scan_within_a_scan_is_refused(tmp_path: Path) -> None:
    model, _ = scan_model()
    outer = next(node for node in model.nodes if isinstance(node.layer, Scan))
    y, x = Value("all", (None, None, UNITS), "float32"), model.inputs[0]
    layer = Scan(0, 1, (model.inputs[0],), (outer,), (outer.outputs[0],))
    node = Node("outer", layer, (x,), (y,), "outer")
    with pytest.raises(Unsupported, match="within"):
        export(Model("m", model.inputs, (y,), ("y",), (node,), (), (), model.source), tmp_path / "m.onnx")
