"""Every fixture: files of genuine Keras versions give the outputs that these gave; broken ones are refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import command_line
import numpy as np
import onnxruntime as ort
import pytest

from converter import load
from converter.errors import ConversionError
from converter.exporters.onnx import export
from converter.interpret import run
from converter.model import Array, Model

ROOT = Path(__file__).parents[1] / "fixtures"
INDEX = json.loads((ROOT / "index.json").read_text())
GOOD, BROKEN = INDEX["good"], INDEX["broken"]
FILES = [
    pytest.param(name, file, id=f"{name}-{file['model']}" + ("-yaml" if "yaml" in file.get("architecture", "") else ""))
    for name, fixture in GOOD.items()
    for file in fixture["files"]
]
DTYPES = {
    "tensor(uint8)": "u1",
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int32)": "int32", "tensor(int64)": "int64",
    "tensor(bool)": "bool", "tensor(string)": "object",
}  # fmt: skip
PROCESSES = ("lambda.h5", "kernel_shape.h5", "truncated.keras", "no_shard.index", "page.h5")


def arrays(name: str, kind: str) -> list[list[Array]]:
    """The arrays of a fixture by call, in order."""
    with np.load(ROOT / "good" / name / f"{'inputs' if kind == 'in' else 'expected'}.npz") as file:
        stored = dict(file)
    calls = sorted({key.partition("_")[0] for key in stored if "_" in key}) or [""]
    prefixes = [f"{call}_{kind}" if call else kind for call in calls]
    as_text = {key: array.astype(object) if array.dtype.kind == "U" else array for key, array in stored.items()}
    ordered = sorted(stored, key=lambda key: (len(key), key))  # in2 before in10
    return [[as_text[key] for key in ordered if key.startswith(prefix)] for prefix in prefixes]


def opened(name: str, file: dict[str, str]) -> Model:
    folder = ROOT / "good" / name
    return load(folder / file["model"], folder / file["architecture"] if "architecture" in file else None)


def agree(name: str, actual: Iterator[list[Array]]) -> None:
    """Each call gives what Keras gave: to 2e-5 of the scale, 1e-2 in half precision."""
    half = "float16" in json.dumps(GOOD[name].get("options", {}))
    for have, want in zip(actual, arrays(name, "out"), strict=True):
        assert len(have) == len(want)
        for a, b in zip(have, want, strict=True):
            scale = max(1.0, float(np.abs(b).max()))
            assert a.shape == b.shape
            np.testing.assert_allclose(a.astype("f8"), b.astype("f8"), rtol=0, atol=(1e-2 if half else 2e-5) * scale)


def interpreted(name: str, model: Model, dtype: str) -> Iterator[list[Array]]:
    states: dict[str, Array] = {}
    for call in arrays(name, "in"):
        named = {value.name: array for value, array in zip(model.inputs, call, strict=True)}
        values = run(model, named, dtype=dtype, states=states)
        yield [values[value.name] for value in model.outputs]
        states = {s.input.name: values[s.output.name] for s in model.states}


def in_onnxruntime(name: str, path: Path) -> Iterator[list[Array]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    pairs = json.loads(session.get_modelmeta().custom_metadata_map.get("keras.states", "[]"))
    carried = {pair["input"]: pair["output"] for pair in pairs}
    shapes = {i.name: i.shape for i in session.get_inputs()}
    types = {i.name: i.type for i in session.get_inputs()}
    states = {state: np.zeros(shapes[state], "f4") for state in carried}
    inputs = [i for i in shapes if i not in carried]
    outputs = [o.name for o in session.get_outputs() if o.name not in carried.values()]
    wanted = outputs + list(carried.values())
    for call in arrays(name, "in"):
        feed = {i: array.astype(DTYPES[types[i]]) for i, array in zip(inputs, call, strict=True)} | states
        values = dict(zip(wanted, session.run(wanted, feed), strict=True))
        yield [values[output] for output in outputs]
        states = {state: values[output] for state, output in carried.items()}


@pytest.mark.parametrize(("name", "file"), FILES)
def test_gives_what_keras_gave(tmp_path, name, file):
    model = opened(name, file)
    for dtype in ("float64", "float32")[: 1 + (file == GOOD[name]["files"][0])]:
        agree(name, interpreted(name, model, dtype))
    export(model, tmp_path / "m.onnx", opset=GOOD[name].get("options", {}).get("opset"))
    agree(name, in_onnxruntime(name, tmp_path / "m.onnx"))


def path_of(name: str) -> Path:
    """A broken fixture; a checkpoint is named by its index."""
    return ROOT / "broken" / name


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_by_name(name):
    fixture = BROKEN[name]
    architecture = path_of(fixture["architecture"]) if "architecture" in fixture else None
    with pytest.raises(ConversionError) as caught:
        for layer in load(path_of(name), architecture).layers:  # a lazy weight shows what is wrong when it is read
            for weight in layer.weights:
                weight.read()
    message = str(caught.value)
    assert fixture["error"] in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("name", PROCESSES)
def test_the_command_line_refuses_in_one_line_and_writes_nothing(tmp_path, name):
    fixture = BROKEN[name]
    given = ["--architecture", path_of(fixture["architecture"])] if "architecture" in fixture else []
    done = command_line.run(path_of(name), "-o", tmp_path / "out.onnx", *given)
    assert done.returncode == fixture["exit_code"]
    assert fixture["error"] in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_every_fixture_is_in_the_index():
    assert {p.name for p in (ROOT / "good").iterdir()} == set(GOOD)
    indexed = {name.partition("/")[0] for name in BROKEN} - {".."}
    stored = {p.name for p in (ROOT / "broken").iterdir() if ".data-" not in p.name}
    assert stored == indexed
