"""Layers that the user supplies: converted with the plugin, refused without; one line where a plugin is broken."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from converter import Unsupported, convert, load
from converter.errors import InvalidPlugin
from converter.interpret import run
from converter.keras.architecture.plugins import load_plugins

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "fixtures" / "plugin"
EXAMPLE = ROOT / "examples" / "plugin_attention.py"
SCALED = """
from __future__ import annotations
from converter.plugin import Call, Config, LayerType, Tensor


class ScaledConfig(Config, frozen=True):
    arguments: dict[str, float]


def scaled(call: Call) -> tuple[Tensor, ...]:
    return (Tensor(call.ops.with_scalar("multiply", call.x.value, call.config.arguments["by"])),)


LAYERS = {"Lambda:scaled": LayerType(ScaledConfig, scaled)}
"""
FILES = [
    pytest.param(folder, name, id=f"{folder.name}-{name}")
    for folder in sorted(FIXTURES.iterdir())
    for name in ("model.h5", "model.keras", "ckpt")
    if (folder / name).exists() or (folder / f"{name}.index").exists()
]


@pytest.fixture
def plugins(tmp_path: Path) -> list[Path]:
    (tmp_path / "scaled.py").write_text(SCALED)
    return [EXAMPLE, tmp_path / "scaled.py"]


def architecture(folder: Path, name: str) -> Path | None:
    return folder / "model.json" if name == "ckpt" else None


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_gives_what_keras_gave(folder: Path, name: str, plugins: list[Path], tmp_path: Path) -> None:
    done = convert(
        folder / name, tmp_path / "out.onnx", plugins=plugins, architecture=architecture(folder, name), strict=True
    )
    assert done.reports and all(report.passed for report in done.reports)
    with np.load(folder / "inputs.npz") as inputs, np.load(folder / "expected.npz") as expected:
        x, outputs = inputs["in0"], [expected[key] for key in sorted(expected)]
    session = ort.InferenceSession(done.files[0], providers=["CPUExecutionProvider"])
    reference = run(done.model, {done.model.inputs[0].name: x})
    for have, value, want in zip(session.run(None, {"x": x}), done.model.outputs, outputs, strict=True):
        np.testing.assert_allclose(have, want, rtol=0, atol=2e-6)
        np.testing.assert_allclose(reference[value.name], want, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_refused_without_it(folder: Path, name: str) -> None:
    with pytest.raises(Unsupported, match=r"layer 'attention' .*--outputs (lstm|gru), or .*--plugin"):
        load(folder / name, architecture(folder, name))


def test_a_lambda_is_named_with_its_key() -> None:
    with pytest.raises(Unsupported, match=r"layer 'scaled' .*--outputs attention, or .*--plugin .*\"Lambda:scaled\""):
        load(FIXTURES / "k3151_simple" / "model.keras", plugins=[EXAMPLE])


def test_the_registered_name_is_a_key_too(tmp_path: Path, plugins: list[Path]) -> None:
    (tmp_path / "own.py").write_text(EXAMPLE.read_text().replace('"SimpleAttention": ', '"Authors>SimpleAttention": '))
    model = load(FIXTURES / "k3151_simple" / "model.keras", plugins=[tmp_path / "own.py", plugins[1]])
    assert [info.class_name for info in model.layers][1:3] == ["SimpleAttention", "Lambda"]


def test_keras_own_layers_are_never_replaced(tmp_path: Path, plugins: list[Path]) -> None:
    (tmp_path / "own.py").write_text(EXAMPLE.read_text().replace('"BahdanauAttention": ', '"LSTM": '))
    paths = [tmp_path / "own.py", plugins[1]]
    model = load(FIXTURES / "k3151_simple" / "model.keras", plugins=paths)
    assert "Recurrent" in {type(node.layer).__name__ for node in model.nodes}


BROKEN = {
    "x = (": r"line 1: SyntaxError: '\(' was never closed",
    "import nothing_of_that_name": "line 1: ModuleNotFoundError: No module named",
    "LAYERS = []": "defines no LAYERS",
    "LAYERS = {'A': 1}": r"LAYERS\['A'\] is no LayerType",
    SCALED + "LAYERS = {'A': LayerType(int, scaled)}": r"LAYERS\['A'\].config is no subclass of Config",
    SCALED.replace("return (", "return [").replace(
        "])),)", "]))]"
    ): "call of 'Lambda:scaled' must return a tuple of Tensors",
    SCALED.replace('["by"]', '["factor"]'): r"plugin own.py, line 11: KeyError: 'factor'",
    SCALED.replace("arguments: dict[str, float]", "pass"): "unknown argument arguments=",
    SCALED.replace(
        "(ScaledConfig, scaled)", "(ScaledConfig, scaled, lambda c, e: 1 / 0)"
    ): "line 14: ZeroDivisionError",
    SCALED.replace(
        "(ScaledConfig, scaled)", "(ScaledConfig, scaled, children=lambda c, e: 0)"
    ): "children of .* a dict",
}


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_broken_plugin_gives_one_line(number: int, tmp_path: Path) -> None:
    code, message = list(BROKEN.items())[number]
    (tmp_path / "own.py").write_text(code)
    with pytest.raises((InvalidPlugin, Unsupported), match=message) as caught:
        load(FIXTURES / "tfk221_simple" / "model.h5", plugins=[EXAMPLE, tmp_path / "own.py"])
    assert "\n" not in str(caught.value)


def test_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = (")
    model = FIXTURES / "tfk221_bahdanau" / "model.h5"

    def convert_(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "converter", *map(str, words)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    done = convert_(model, "-o", tmp_path / "out.onnx", "--plugin", tmp_path / "bad.py")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "plugin bad.py, line 1" in done.stderr
    done = convert_("inspect", model, "--plugin", EXAMPLE)
    assert done.returncode == 0 and "BahdanauAttention" in done.stdout
    done = convert_(model, "-o", tmp_path / "out.onnx", "--plugin", EXAMPLE)
    assert done.returncode == 0, done.stderr
    assert convert_("verify", model, tmp_path / "out.onnx", "--plugin", EXAMPLE).returncode == 0


def test_two_plugins_for_one_layer_are_refused(tmp_path: Path) -> None:
    (tmp_path / "copy.py").write_text(EXAMPLE.read_text())
    with pytest.raises(InvalidPlugin, match="another plugin has 'SimpleAttention', too"):
        load_plugins([EXAMPLE, tmp_path / "copy.py"])
    with pytest.raises(InvalidPlugin, match="no such file"):
        load_plugins([tmp_path / "nothing.py"])
    with pytest.raises(InvalidPlugin, match="not a Python file"):
        load_plugins([ROOT / "README.md"])


@pytest.mark.corpus
def test_a_published_model(tmp_path: Path) -> None:
    folder = ROOT.parent / "shared" / "corpus" / "real" / "do_attention"
    if not folder.is_dir():
        pytest.skip("needs ../shared/corpus")
    model = load(folder / "lstm_attention_model.h5", plugins=[EXAMPLE])
    with np.load(folder / "inputs.npz") as inputs, np.load(folder / "expected.npz") as expected:
        for key in inputs:
            (have,) = run(model, {model.inputs[0].name: inputs[key]}).values()
            np.testing.assert_allclose(have, expected[key.replace("in", "out")], atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
def test_the_layer_of_the_readme(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")

    class MyAttention(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, power: float = 1.0, **more: object) -> None:
            super().__init__(**more)
            self.power = power

        def build(self, shape: tuple[int, ...]) -> None:
            self.W = self.add_weight(name="W", shape=(shape[-1], 1), initializer="normal")

        def call(self, x: object) -> object:
            weights = keras.ops.softmax(keras.ops.matmul(x, self.W) * self.power, axis=1)
            return keras.ops.sum(x * weights, axis=1)

        def get_config(self) -> dict[str, object]:
            return {**super().get_config(), "power": self.power}

    x = keras.Input((None, 3))
    y = keras.layers.TimeDistributed(keras.layers.Dense(4))(x)
    model = keras.Model(x, MyAttention(power=9.0)(keras.layers.LSTM(4, return_sequences=True)(y)))
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "docs/plugins.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "own.py").write_text(next(code for code in snippets if "MyAttention" in code))
    values = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    for name in ("model.h5", "model.keras"):
        model.save(tmp_path / name)
        read = load(tmp_path / name, plugins=[tmp_path / "own.py"])
        (have,) = run(read, {read.inputs[0].name: values}).values()
        np.testing.assert_allclose(have, np.asarray(model(values)), rtol=0, atol=1e-6)
