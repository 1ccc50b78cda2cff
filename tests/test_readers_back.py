"""The way back: ONNX files and state_dicts as models, and what of them is refused."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from neutral_models import Builder, feed
from onnx import helper, numpy_helper

from converter import interpret
from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.exporters.onnx import export
from converter.formats import pytorch
from converter.formats.archive import open_zip
from converter.model import Model, layers
from converter.model.activations import Activation
from converter.model.layers import Direction, Recurrent
from converter.model.prune import prune
from converter.readers import load, state_dict
from converter.readers.onnx import file as onnx_file

ACTIVATIONS = [
    Activation("tanh"), Activation("sigmoid"), Activation("linear"), Activation("hard_sigmoid", (0.2, 0.5)),
    Activation("hard_sigmoid", (1 / 6, 0.5)), Activation("relu", (0.0, float("inf"), 0.0)), Activation("softsign"),
]  # fmt: skip


def stack(kind: str, pair: bool, last: bool, activation: Activation, gate: Activation, **options: Any) -> Model:
    """A recurrent layer, in one direction or two, and a Dense one."""
    b = Builder()
    x = b.input("x", (None, None, 3))

    def cell() -> Any:
        if kind == "simple":
            return b.simple(3, 4, activation)
        return getattr(b, kind)(3, 4, activation, gate, **options)

    directions = [Direction(cell())] + ([Direction(cell(), True, True)] if pair else [])
    count = (2 if kind == "lstm" else 1) * len(directions)
    layer = Recurrent(tuple(directions), "concat" if pair else None, return_sequences=not last)
    width = 4 * len(directions)
    shape = (None, width) if last else (None, None, width)
    y, *_ = b.node("rnn", layer, [x, None, *[None] * count], shape, *[(None, 4)] * count)
    (z,) = b.node("head", layers.Dense(b.weight(width, 2), b.weight(2)), [y], (*shape[:-1], 2))
    return b.model([z], ["z"])


def assert_same(a: Model, b: Model) -> None:
    arrays = feed(a, 2, 5)
    want = interpret.run(a, arrays)[a.outputs[0].name]
    have = interpret.run(b, {b.inputs[0].name: arrays[a.inputs[0].name]})[b.outputs[0].name]
    np.testing.assert_allclose(have, want, rtol=0, atol=1e-12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["lstm", "gru", "simple"]), pair=st.booleans(), last=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS), gate=st.sampled_from(ACTIVATIONS), bias=st.booleans(), after=st.booleans(),
)  # fmt: skip
def test_our_onnx_files_come_back(
    tmp_path: Path, kind: str, pair: bool, last: bool, activation: Activation, gate: Activation, bias: bool, after: bool
) -> None:
    options = {"bias": bias, **({"reset_after": after} if kind == "gru" else {})} if kind != "simple" else {}
    model = stack(kind, pair, last, activation, gate, **options)
    export(model, tmp_path / "m.onnx")
    assert_same(model, prune(load(tmp_path / "m.onnx")))


def test_a_pair_of_directions_comes_back_as_one_layer(tmp_path: Path) -> None:
    export(stack("lstm", True, False, Activation("tanh"), Activation("sigmoid")), tmp_path / "m.onnx")
    (node,) = [n for n in load(tmp_path / "m.onnx").nodes if isinstance(n.layer, Recurrent)]
    assert node.layer.merge == "concat"


# --- as others write ONNX ---------------------------------------------------------------------------------------------


def proto(nodes: list[Any], arrays: dict[str, np.ndarray], shape: list[Any], opset: int = 13) -> bytes:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", 1, shape)], [value("y", 1, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString()


def lstm_arrays(units: int = 4, features: int = 3, count: int = 1) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0).normal
    shapes = {"W": (count, 4 * units, features), "R": (count, 4 * units, units), "B": (count, 8 * units)}
    return {name: draw(size=shape).astype(np.float32) for name, shape in shapes.items()}


def runtime(data: bytes, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    model = onnx.load_from_string(data)
    model.ir_version = 7
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def read(data: bytes, folder: Path) -> Model:
    (folder / "m.onnx").write_bytes(data)
    return prune(load(folder / "m.onnx"))


def test_states_from_shapes_and_both_biases_as_pytorch_writes(tmp_path: Path) -> None:
    arrays = {**lstm_arrays(count=2), "one": np.array(1), "dims": np.array([2]), "units": np.array([4])}
    arrays |= {"zero": np.array([0]), "tail": np.array([0, 0, -1])}
    make = helper.make_node
    zero = numpy_helper.from_array(np.zeros(1, np.float32))
    nodes = [
        make("Shape", ["x"], ["s"]), make("Gather", ["s", "one"], ["b"], axis=0),
        make("Unsqueeze", ["b", "zero"], ["b1"]), make("Concat", ["dims", "b1", "units"], ["hs"], axis=0),
        make("ConstantOfShape", ["hs"], ["h0"], value=zero),
        make("LSTM", ["x", "W", "R", "B", "", "h0", "h0"], ["Y", "h", "c"], hidden_size=4, direction="bidirectional"),
        make("Transpose", ["Y"], ["t"], perm=[0, 2, 1, 3]), make("Reshape", ["t", "tail"], ["y"]),
    ]  # fmt: skip
    data = proto(nodes, arrays, ["t", "b", 3])
    x = np.random.default_rng(1).normal(size=(5, 2, 3)).astype(np.float32)
    model = read(data, tmp_path)
    have = interpret.run(model, {"x": x})[model.outputs[0].name]
    np.testing.assert_allclose(have, runtime(data, x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [({"clip": 1.0}, "clip"), ({"input_forget": 1}, "input_forget"), ({"activations": ["Tanh", "Foo", "Tanh"]}, "Foo"),
     ({"activations": ["Sigmoid", "Tanh", "Relu"]}, "two different activations"), ({"direction": "up"}, "direction"),
     ({"activations": ["Affine", "Tanh", "Tanh"], "activation_alpha": [2.0]}, "Affine")],
)  # fmt: skip
def test_options_that_change_numbers_are_refused(attributes: dict[str, Any], message: str, tmp_path: Path) -> None:
    node = helper.make_node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=4, **attributes)
    with pytest.raises(ConversionError, match=message):
        read(proto([node], lstm_arrays(), ["t", "b", 3]), tmp_path)


def test_lengths_of_their_own_are_refused(tmp_path: Path) -> None:
    node = helper.make_node("LSTM", ["x", "W", "R", "B", "lens"], ["y"], hidden_size=4)
    arrays = {**lstm_arrays(), "lens": np.array([2, 5], np.int32)}
    with pytest.raises(Unsupported, match="sequence lengths"):
        read(proto([node], arrays, [5, 2, 3]), tmp_path)


def test_unknown_operators_are_named(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"m\.onnx: .*operator NonMaxSuppression"):
        read(proto([helper.make_node("NonMaxSuppression", ["x"], ["y"])], {}, ["t", "b", 3]), tmp_path)


# --- hostile files ----------------------------------------------------------------------------------------------------


OUTSIDE = ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "link.bin", "hard.bin", "no"]


@pytest.mark.parametrize("location", OUTSIDE)
def test_external_data_is_read_from_the_folder_alone(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"s" * 64)
    (folder / "a").mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    os.link(tmp_path / "secret.bin", folder / "hard.bin")
    with pytest.raises(InvalidModel, match="external data"):
        read(external(location, "0"), folder)


def external(location: str, offset: str) -> bytes:
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset)):
        tensor.external_data.add(key=key, value=value)
    node = helper.make_node("Add", ["x", "w"], ["y"])
    info = helper.make_tensor_value_info
    graph = helper.make_graph([node], "g", [info("x", 1, ["b", 4])], [info("y", 1, None)])
    graph.initializer.append(tensor)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32)
    (tmp_path / "w.bin").write_bytes(values.tobytes())
    model = read(external("w.bin", "8"), tmp_path)
    have = interpret.run(model, {"x": np.zeros((1, 4), np.float32)})[model.outputs[0].name]
    assert have.tolist() == [[2, 3, 4, 5]]
    for offset in ("-4", "12", "99999999999999999999", "1e3"):
        with pytest.raises(InvalidModel, match="external data"):
            read(external("w.bin", offset), tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_damaged_onnx_files_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    node = helper.make_node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=4)
    data = bytearray(proto([node], lstm_arrays(), ["t", "b", 3]))
    for at in random.integers(2, min(len(data), 200), 3):
        data[at] = random.integers(0, 256)
    (tmp_path / "m.onnx").write_bytes(bytes(data))
    try:
        onnx_file.load(tmp_path / "m.onnx")
    except ConversionError as error:
        assert "\n" not in str(error)


def torch_file(path: Path, pickled: bytes, storages: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickled)
        for key, data in storages.items():
            archive.writestr(f"m/data/{key}", data)


class _Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "PWNED"
    attacks = _Call(os.system, f"touch {mark}"), _Call(eval, f"open({str(mark)!r}, 'w')"), _Call(getattr, dict, "x")
    for attack in attacks:
        torch_file(tmp_path / "m.pt", pickle.dumps({"a": attack}), {})
        with pytest.raises(Unsupported, match=r"m\.pt: the pickle asks for"):
            load(tmp_path / "m.pt")
    assert not mark.exists()


def tensor_pickle(size: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A state_dict {"weight": tensor} as torch.save writes it, by hand (protocol 2)."""
    number = lambda n: b"J" + int(n).to_bytes(4, "little", signed=True)  # noqa: E731
    numbers = lambda ns: b"(" + b"".join(map(number, ns)) + b"t"  # noqa: E731
    text = lambda s: b"X" + len(s).to_bytes(4, "little") + s  # noqa: E731
    storage = b"(" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"0") + text(b"cpu") + number(size) + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + numbers(shape) + numbers(stride)
    tensor += b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}" + text(b"weight") + tensor + b"s."


def test_tensors_of_a_torch_file(tmp_path: Path) -> None:
    data = np.arange(8, dtype=np.float32).tobytes()
    torch_file(tmp_path / "m.pt", tensor_pickle(8, 2, (2, 3), (1, 2)), {"0": data})
    assert pytorch.sniff(tmp_path / "m.pt")
    assert pytorch.read(tmp_path / "m.pt")["weight"].read().tolist() == [[2, 4, 6], [3, 5, 7]]
    assert state_dict.load(tmp_path / "m.pt").nodes[0].layer.kernel.shape == (3, 2)


@pytest.mark.parametrize(
    ("size", "offset", "shape", "stride", "stored", "message"),
    [(8, 3, (2, 3), (3, 1), 32, "outside its storage"), (8, 0, (9, 9), (0, 0), 32, "repeats"),
     (8, -1, (2,), (1,), 32, "no tensor"), (8, 0, (2, 4), (4, 1), 16, "16 bytes, not 32")],
)  # fmt: skip
def test_tensors_that_do_not_fit_are_refused(
    size: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], stored: int, message: str, tmp_path: Path
) -> None:
    torch_file(tmp_path / "m.pt", tensor_pickle(size, offset, shape, stride), {"0": b"\0" * stored})
    with pytest.raises(InvalidModel, match=message):
        pytorch.read(tmp_path / "m.pt")["weight"].read()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60))
def test_any_pickle_is_read_or_refused(tmp_path: Path, data: bytes) -> None:
    torch_file(tmp_path / "m.pt", data, {})
    with pytest.raises(ConversionError):
        state_dict.load(tmp_path / "m.pt")


def test_layers_whose_order_cannot_be_told_are_refused(tmp_path: Path) -> None:
    from converter.formats import safetensors
    from converter.model import constant

    square = np.ones((4, 4), np.float32)
    arrays = {f"{n}.weight": constant(n, square) for n in ("b", "a")}
    arrays["c.weight"] = constant("c", np.ones((4, 3), np.float32))
    safetensors.write(tmp_path / "m.safetensors", arrays, {})
    with pytest.raises(Unsupported, match="more than one order"):
        state_dict.load(tmp_path / "m.safetensors")


def test_other_zip_files_are_no_state_dicts(tmp_path: Path) -> None:
    for content in (b"PK\3\4 broken", b"", b"PK"):
        (tmp_path / "m.pt").write_bytes(content)
        assert not pytorch.sniff(tmp_path / "m.pt")
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("config.json", "{}")
        (tmp_path / "m.pt").write_bytes(buffer.getvalue())
    assert open_zip(tmp_path / "m.pt").names() == {"config.json"}
    assert not pytorch.sniff(tmp_path / "m.pt")
