"""examples/stream.py: any exported file runs, and states carried by it give what one long run gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from test_cli import MODEL, ROOT

from converter import convert, interpret, load

GOOD = Path(MODEL).parents[1]
sys.path.insert(0, str(ROOT / "examples"))
from stream import main, stream  # noqa: E402

KINDS = ["k224_cudnn", "k224_encdec", "k224_stateful", "k3151_bistate", "k3151_functional", "k3151_maskcells",
         "k3151_mixed", "k3151_nested", "k3151_words", "tf115_images", "tf213_words", "tf215_stack"]  # fmt: skip


def source(name: str) -> Path:
    folder = GOOD / name
    found = [folder / file for file in ("model.keras", "model.h5", "savedmodel_notraces") if (folder / file).exists()]
    return found[0]


@pytest.mark.parametrize("name", KINDS)
def test_any_exported_file_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert(source(name), tmp_path / "m.onnx", check=False)
    main(str(tmp_path / "m.onnx"))
    assert capsys.readouterr().out.startswith("one batch: ")


@pytest.mark.parametrize("name", ["k3151_last", "k3151_encdec"])
def test_states_that_training_did_not_have(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {} if name == "k3151_last" else {"outputs": ["encoder"]}
    done = convert(source(name), tmp_path / "m.onnx", check=False, stateful=True, **options)
    session = onnxruntime.InferenceSession(done.files[0], providers=["CPUExecutionProvider"])
    plain, value = load(source(name), **options), done.model.inputs[0].name
    x = np.random.default_rng(0).standard_normal((2, 9, 3)).astype(np.float32)
    *_, last = stream(session, [{value: x[:, :4]}, {value: x[:, 4:5]}, {value: x[:, 5:]}])
    want = interpret.run(plain, {value: x})[plain.outputs[0].name]
    np.testing.assert_allclose(last[plain.output_names[0]], want, atol=1e-6)
    main(str(done.files[0]))
    assert float(capsys.readouterr().out.split("off by ")[1].split()[0]) < 1e-6


def test_it_runs_without_the_converter(tmp_path: Path) -> None:
    convert(GOOD / "tf215_stateful/model.h5", tmp_path / "model.onnx", check=False)
    (tmp_path / "stream.py").write_bytes((ROOT / "examples/stream.py").read_bytes())
    command = [sys.executable, "-I", "stream.py", "model.onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("one batch: lstm_1 [2, 5]")
