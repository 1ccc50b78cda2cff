"""README.md says what is true: its tables are the code's, its commands and snippets run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from readme_tables import README, filled

from converter import api

ROOT = README.parent
TEXT = README.read_text(encoding="utf-8")


def test_tables_are_those_of_the_code() -> None:
    assert filled(TEXT) == TEXT, "run `python tests/readme_tables.py`"


def test_first_command_converts_a_file_that_is_there(tmp_path: Path) -> None:
    words = re.search(r"\.venv/bin/convert (.*)", TEXT)[1].split()
    command = [sys.executable, "-m", "converter", *(str(tmp_path / w) if w == "model.onnx" else w for w in words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    promised = re.search(r"```\n(wrote model.onnx.*?)```", TEXT, re.DOTALL)[1]

    def worded(text: str) -> list[str]:
        return [re.sub(r"\d\.\de-\d\d|\d+(\.\d+)+|\([\d.]+ kB\)", "N", line) for line in text.splitlines()[1:]]

    assert worded(promised) == worded(done.stdout)


def test_every_module_of_the_map_exists() -> None:
    named = re.findall(r"`((?:converter|reference_lstm|fixtures|benchmarks|examples)[\w/.]*)`", TEXT)
    assert len(named) > 10
    for name in named:
        if "/" in name or name in ("fixtures", "benchmarks", "reference_lstm"):
            assert (ROOT / name).exists(), name


def test_python_snippets_run(tmp_path: Path, monkeypatch) -> None:
    model = ROOT / "fixtures/good/tf215_stack/model.h5"
    api.convert(model, tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), names)
    assert names["y"].shape == (8, 2)
    stateful = ROOT / "fixtures/good/tf215_stateful/model.h5"
    api.convert(stateful, "stateful.onnx")
    x = np.random.default_rng(0).standard_normal((3, 2, 5, 3)).astype(np.float32)
    streamed = list(names["stream"]("stateful.onnx", list(x)))
    session = onnxruntime.InferenceSession("stateful.onnx", providers=["CPUExecutionProvider"])
    first = session.run(None, {i.name: x[0] if k == 0 else np.zeros(i.shape, np.float32)
                               for k, i in enumerate(session.get_inputs())})  # fmt: skip
    np.testing.assert_array_equal(streamed[0][0], first[0])
    assert np.abs(streamed[1][0] - session.run(None, {
        i.name: x[1] if k == 0 else np.zeros(i.shape, np.float32) for k, i in enumerate(session.get_inputs())
    })[0]).max() > 1e-4  # fmt: skip


def test_the_example_runs_without_the_converter(tmp_path: Path) -> None:
    api.convert(ROOT / "fixtures/good/tf215_stateful/model.h5", tmp_path / "model.onnx")
    shutil.copy(ROOT / "examples/deploy.py", tmp_path)
    isolated = ["-P"] if sys.version_info >= (3, 11) else []
    command = [sys.executable, *isolated, "deploy.py", "model.onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("one batch: lstm_1 [2, 5]")
