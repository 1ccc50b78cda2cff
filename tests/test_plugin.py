"""Layers that the user supplies: converted with the plugin, refused without; one line where a plugin is broken."""

from __future__ import annotations

import pydoc
import re
from pathlib import Path
from typing import get_args, get_type_hints

import command_line
import numpy as np
import onnxruntime as ort
import pytest

from converter import Unsupported, convert, load, plugin
from converter.errors import InvalidModel, InvalidPlugin
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


SAID = {  # a change of the example -> what the message names: the line, and what would be right
    ('elementwise("add", keys, asked)', 'elementwise("ad", keys, asked)'): r"line \d+: .*no op 'ad'; there are add",
    ('ops.reduce("sum"', 'ops.reduce("sums"'): r"line \d+: .*Reduce has no op 'sums'; there are sum, mean",
    ("ops.expand_dims(", "ops.expand_dim("): r"line \d+: .*'expand_dim'; there are activate, .*expand_dims",
    ("keys, asked)", "keys, 1.0)"): r"line \d+: .*ops.constant\(0.5, dtype\), or use ops.with_scalar",
    ("keys, asked)", 'call.wrapped("W1", values)[0], asked)'): r"line \d+: .*of a Tensor take its .value",
    ('Activation("tanh")', 'Activation("tahn")'): r"line \d+: .*no activation 'tahn'; there are linear, tanh",
    ('wrapped("V"', 'wrapped("X"'): r"line \d+: .*no layer 'X' in it; there are W1, W2, V",
    ("children=bahdanau", "childs=bahdanau"): r"line \d+: .*'childs'; there are config, call, variables, children",
    ("config.units, ", "config.unit, "): r"line \d+: .*no attribute 'unit'; there are units, name",
    ("    units: Positive", "    size: Positive = 1"): r"unknown argument units=.*BahdanauConfig of the plugin",
    ('"BahdanauAttention": ', '"BahdanuAttention": '): r"LAYERS of what is given has .Simple",
    ("ops.weight(w)", "w"): r"line \d+: MatMul of Weight|line \d+: TypeError: MatMul of Weight: .*ops.weight\(w\)",
    ("matmul(x, ops.weight(w))", "matmul(ops.weight(w), x)"): r"line \d+: matrices of shapes .* cannot be multiplied",
    ("values), [1])", "values), [3])"): r"line \d+: axis 3 of a tensor with 3 axes",
    ("ops.weight(w)", "ops.weight(w.read())"): r"line \d+: .*Constant.weight of ndarray: .* by Weight\(",
    ("ops.activate(scores, TANH)", 'ops.activate(scores, "tanh")'): r"line \d+: .*an activation is Activation",
    ("ops.activate(scores, TANH)", 'ops.cast(scores, "flaot32")'): r"line \d+: .*no type 'flaot32'; there are float32",
    ("ops.activate(scores, TANH)", "ops.transpose(scores, [0, 1])"): r"line \d+: Transpose has axes .*: each axis once",
    ('need("W")', 'need("V")'): r"line \d+: the array 'V' is missing; the layer has 'W', 'b'",
}  # fmt: skip


@pytest.mark.parametrize("change", SAID, ids=range(len(SAID)))
def test_a_mistake_is_told_with_its_line_and_what_is_there(
    change: tuple[str, str], plugins: list[Path], tmp_path: Path
) -> None:
    code = EXAMPLE.read_text()
    assert change[0] in code
    (tmp_path / "own.py").write_text(code.replace(*change))
    simple = change[0] in code[code.index("def simple_attention") : code.index("def weighted_sum")]
    model = FIXTURES / ("tfk221_simple" if simple and "reduce" not in change[0] else "tfk221_bahdanau") / "model.h5"
    with pytest.raises((InvalidPlugin, Unsupported, InvalidModel), match=SAID[change]) as caught:
        load(model, plugins=[tmp_path / "own.py", plugins[1]])
    assert "\n" not in str(caught.value)
    if "line" in SAID[change]:
        assert "plugin own.py" in str(caught.value)


def test_a_shape_that_a_plugin_claims_is_checked(plugins: list[Path], tmp_path: Path) -> None:
    right = "(Tensor(weighted_sum(ops, ops.activate(scores, TANH), x)[0]),)"
    wrong = 'Tensor(ops.one(layers.Reduce("sum", (1,), True), [x], (None, 4), "float32")),'
    code = EXAMPLE.read_text().replace(right, wrong).replace("    Activation,", "    Activation,\n    layers,", 1)
    (tmp_path / "own.py").write_text(code)
    with pytest.raises(
        InvalidModel, match=r"plugin own.py, line \d+: Reduce makes shape \(None, 1, 4\) of .*, not \(None, 4\)"
    ):
        load(FIXTURES / "tfk221_simple" / "model.h5", plugins=[tmp_path / "own.py", plugins[1]])


def test_arrays_against_their_names_are_shown(plugins: list[Path], tmp_path: Path) -> None:
    """The file calls them att_weight and att_bias; the plugin calls the first one bias, with the prefix or without."""
    model = FIXTURES / "tfk221_simple" / "model.h5"
    for start in ("att_", ""):
        code = EXAMPLE.read_text()
        for function in ("Variable", "call.need"):
            pair = f'{function}("{start}bias"), {function}("{start}weight")'
            code = code.replace(f'{function}("W"), {function}("b")', pair)
        (tmp_path / "own.py").write_text(code)
        (warning,) = load(model, plugins=[tmp_path / "own.py", plugins[1]]).warnings
        assert f"('{start}bias' is 'att_weight', '{start}weight' is 'att_bias')" in warning
    assert load(model, plugins=plugins).warnings == ()


def test_a_plugin_that_explains_nothing_is_told(plugins: list[Path]) -> None:
    model = load(Path(ROOT / "fixtures/good/tf215_stack/model.h5"), plugins=plugins)
    (warning,) = model.warnings
    assert "'SimpleAttention', 'BahdanauAttention', 'Lambda:scaled'" in warning and "Dense, Dropout" in warning


def test_the_documentation_lists_every_operation() -> None:
    text = pydoc.render_doc(plugin, renderer=pydoc.plaintext)
    assert plugin.__doc__ is not None
    words = set(re.findall(r"[A-Za-z_0-9]+", plugin.__doc__))
    operations = {name for name in dir(plugin.Ops) if not name.startswith("_")} - {"graph", "path"}
    nodes = {kind.__name__ for kind in get_args(plugin.layers.Layer)}
    ops = get_args(plugin.layers.ElementwiseOp) + get_args(plugin.layers.UnaryOp)
    reductions = get_args(get_type_hints(plugin.layers.Reduce)["op"])
    assert {*operations, *nodes, *ops, *reductions, *plugin.__all__} - words <= {
        "Activation", "ActivationField", "Count", "Era", "InvalidModel", "Positive", "Shape", "Unsupported", "Value",
        "Weight", "activation_of", "Ops", "Call",
    }  # fmt: skip
    assert all(name in text for name in plugin.__all__)


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_class_that_extends_lstm(library: str, tmp_path: Path) -> None:
    keras = pytest.importorskip(library)
    layers = keras.layers

    class TracedLSTM(layers.LSTM):  # type: ignore[misc]
        pass

    class ScaledLSTM(layers.LSTM):  # type: ignore[misc]
        def __init__(self, units: int, scale: float = 1.0, **more: object) -> None:
            super().__init__(units, **more)
            self.scale = scale

        def call(self, sequences: object, initial_state: object = None, mask: object = None, training: object = None):
            y = super().call(sequences, initial_state=initial_state, mask=mask, training=training)
            return y * self.scale

        def get_config(self) -> dict[str, object]:
            return {**super().get_config(), "scale": self.scale}

    x = layers.Input((5, 3))
    y = TracedLSTM(4, return_sequences=True)(layers.Masking()(x))
    model = keras.Model(x, layers.Dense(2)(ScaledLSTM(4, scale=0.5)(y)))
    values = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    values[1, 3:] = 0
    for name in ("model.h5", "model.keras"):
        model.save(tmp_path / name)
        done = convert(tmp_path / name, tmp_path / f"{name}.onnx", plugins=[ROOT / "examples/plugin_extends_lstm.py"])
        assert done.reports[0].passed
        (have,) = run(done.model, {done.model.inputs[0].name: values}).values()
        np.testing.assert_allclose(have, np.asarray(model(values)), rtol=0, atol=1e-6)


def test_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = (")
    model = FIXTURES / "tfk221_bahdanau" / "model.h5"
    done = command_line.run(model, "-o", tmp_path / "out.onnx", "--plugin", tmp_path / "bad.py")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "plugin bad.py, line 1" in done.stderr
    done = command_line.run("inspect", model, "--plugin", EXAMPLE)
    assert done.returncode == 0 and "BahdanauAttention" in done.stdout
    done = command_line.run(model, "-o", tmp_path / "out.onnx", "--plugin", EXAMPLE)
    assert done.returncode == 0, done.stderr
    assert command_line.run("verify", model, tmp_path / "out.onnx", "--plugin", EXAMPLE).returncode == 0


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
