"""Modules that `--to torch` writes, in PyTorch itself: run, scripted, exported and quantized."""

from __future__ import annotations

import dataclasses
import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from converter import api, interpret
from converter.exporters import EXPORTERS
from converter.model import Model
from converter.model.activations import Activation
from converter.model.layers import Recurrent

torch = pytest.importorskip("torch", reason="needs PyTorch")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
CASES = [
    "k122_conv", "k224_acts", "k224_bi", "k224_embed", "k224_encdec", "k224_maskbi", "k224_statemask", "k231_gru",
    "k3151_stack", "tf115_peephole", "tf215_convlstm", "tf215_maskbi", "tf215_scan",
]  # fmt: skip


def read(name: str) -> Model:
    case = GOOD / name
    return api.load(case / "model.h5" if (case / "model.h5").exists() else case / "model.keras")


def written(name: str, folder: Path, model: Model | None = None) -> Any:
    EXPORTERS["torch"].export(model or read(name), folder / "m.safetensors")
    spec = importlib.util.spec_from_file_location(f"m_{name}", folder / "m_torch.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def data(name: str) -> tuple[list[Any], list[np.ndarray]]:
    """The inputs of the first call, and what Keras computed of them."""
    given, want = np.load(GOOD / name / "inputs.npz"), np.load(GOOD / name / "expected.npz")
    before = "call0_" if any(key.startswith("call0_") for key in given.files) else ""
    count, made = (
        sum(key.startswith(f"{before}{side}") for key in z.files) for z, side in ((given, "in"), (want, "out"))
    )
    inputs = [torch.from_numpy(given[f"{before}in{k}"]) for k in range(count)]
    return inputs, [want[f"{before}out{k}"] for k in range(made)]


def many(made: Any) -> list[Any]:
    return list(made) if isinstance(made, tuple) else [made]


@pytest.mark.parametrize("name", CASES)
def test_it_computes_what_keras_did_also_as_a_script(name: str, tmp_path: Path) -> None:
    model = written(name, tmp_path)
    inputs, wanted = data(name)
    with torch.no_grad():
        for run in (model, torch.jit.script(model)):
            made = many(run(*inputs))
            for want, have in zip(wanted, made, strict=False):  # carried states come after the outputs
                np.testing.assert_allclose(have.numpy(), want, rtol=0, atol=2e-5 * max(1, np.abs(want).max(initial=0)))


@pytest.mark.parametrize("name", ["k224_acts", "k231_gru", "k3151_stack", "tf115_peephole"])
def test_it_can_be_exported(name: str, tmp_path: Path) -> None:
    model = written(name, tmp_path)
    inputs, _ = data(name)
    program = torch.export.export(model, tuple(inputs)).module()
    with torch.no_grad():
        for want, have in zip(many(model(*inputs)), many(program(*inputs)), strict=True):
            np.testing.assert_allclose(have.numpy(), want.numpy(), rtol=0, atol=1e-6)


def test_it_can_be_quantized(tmp_path: Path) -> None:
    model = written("k3151_stack", tmp_path)
    inputs, (want, *_) = data("k3151_stack")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        small = torch.ao.quantization.quantize_dynamic(model, {torch.nn.LSTM, torch.nn.Linear}, dtype=torch.qint8)
        made = many(small(*inputs))[0]
    assert any("quantized" in type(part).__module__ for part in small.modules())
    np.testing.assert_allclose(made.numpy(), want, rtol=0, atol=0.05)


def test_one_layer_takes_its_own_keys(tmp_path: Path) -> None:
    """The file of a model that is one layer loads into the module and into the bare torch.nn layer alike."""
    from neutral_models import Builder, lstm_model
    from safetensors.torch import load_file

    EXPORTERS["torch"].export(lstm_model(Builder()), tmp_path / "m.safetensors")
    state = load_file(tmp_path / "m.safetensors")
    torch.nn.LSTM(3, 4, batch_first=True).load_state_dict(state)
    spec = importlib.util.spec_from_file_location("m_one", tmp_path / "m_torch.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.Model().load_state_dict(state)


def test_the_proof_runs_it(tmp_path: Path) -> None:
    done = api.convert(GOOD / "k224_statemask" / "model.h5", tmp_path / "m.safetensors", to="torch", against="torch")
    assert [report.passed for report in done.reports] == [True, True]
    assert done.reports[1].runtime == f"PyTorch {torch.__version__}"
    module = tmp_path / "m_torch.py"
    module.write_text(module.read_text().replace("return ", "return 1.01 * ", 1))
    assert not api.verify(GOOD / "k224_statemask" / "model.h5", tmp_path / "m.safetensors", against="torch").passed
    module.write_text("import os")
    with pytest.raises(FileExistsError):
        api.verify(GOOD / "k224_statemask" / "model.h5", tmp_path / "m.safetensors", against="torch")


def test_a_convolutional_cell_takes_softmax_over_its_channels(tmp_path: Path) -> None:
    """It went along the width: channels are at place 1 in PyTorch, last in Keras."""
    model, nodes = read("tf215_convlstm"), []
    for node in model.nodes:
        if isinstance(node.layer, Recurrent):
            cells = [replace(one.cell, activation=Activation("softmax", (-1,))) for one in node.layer.directions]
            pairs = zip(node.layer.directions, cells, strict=True)
            layer = replace(node.layer, directions=tuple(replace(one, cell=cell) for one, cell in pairs))
            node = dataclasses.replace(node, layer=layer)
        nodes.append(node)
    model = dataclasses.replace(model, nodes=tuple(nodes))
    inputs, _ = data("tf215_convlstm")
    wanted = interpret.run(model, {a.name: x.numpy() for a, x in zip(model.inputs, inputs, strict=True)})
    with torch.no_grad():
        made = many(written("softmax", tmp_path, model)(*inputs))
    for value, have in zip(model.outputs, made, strict=False):
        np.testing.assert_allclose(have.numpy(), wanted[value.name], rtol=0, atol=1e-5)
