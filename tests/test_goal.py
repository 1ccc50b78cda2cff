"""Where the output goes, and what is never written over."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT, run
from test_cli import MODEL

from converter.cli.goal import BY_SUFFIX, UsageError, target_of
from converter.exporters import EXPORTERS


@pytest.mark.parametrize("suffix", BY_SUFFIX)
def test_the_suffix_decides_the_target(suffix: str) -> None:
    assert target_of(None, f"out{suffix}") == BY_SUFFIX[suffix]
    assert EXPORTERS[BY_SUFFIX[suffix]].suffix == suffix


@pytest.mark.parametrize(
    ("to", "name"), [("onnx", "x.keras"), ("keras", "x.onnx"), ("npz", "x.h5"), (None, "x.mlmodel")]
)
def test_a_contradiction_is_a_usage_error(to: str | None, name: str) -> None:
    with pytest.raises(UsageError):
        target_of(to, name)


def test_names_that_end_otherwise_are_the_users_business() -> None:
    assert target_of(None, "model.v2") == "onnx"
    assert target_of("torch", "weights.safetensors") == "torch"


def test_folders_standard_output_and_dry_runs(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert run(MODEL, "-o", "out/", folder=tmp_path).returncode == 0
    assert run(MODEL, "-o", "missing/", folder=tmp_path).returncode == 2
    assert os.listdir(tmp_path / "out") == ["model.onnx"]
    done = run(MODEL, "--dry-run", "-o", "x.keras", folder=tmp_path)
    assert done.returncode == 0
    assert "nothing is written" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["out"]
    command = [sys.executable, "-m", "converter", str(MODEL), "-o", "-"]
    piped = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert piped.returncode == 0
    assert piped.stdout == (tmp_path / "out/model.onnx").read_bytes()
    assert run(MODEL, "--to", "torch", "-o", "-", folder=tmp_path).returncode == 2


def test_a_model_in_the_folder_where_one_stands(tmp_path: Path) -> None:
    shutil.copytree(Path(MODEL).parents[1] / "tf213_words/savedmodel_notraces", tmp_path / "mine")
    done = run(".", "--opset", "20", folder=tmp_path / "mine")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.onnx").is_file()


def test_only_ordinary_files_and_no_inputs_are_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    done = run(MODEL, "-o", "pipe.onnx", "--force", folder=tmp_path)
    assert done.returncode == 2
    assert "no ordinary file" in done.stderr
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe.onnx").st_mode)
    shutil.copy(MODEL, tmp_path / "model.h5")
    plugin = tmp_path / "plugin.onnx"
    plugin.write_text("LAYERS = {}\n")
    done = run("model.h5", "--plugin", "plugin.onnx", "-o", "plugin.onnx", "--force", folder=tmp_path)
    assert done.returncode == 2
    assert plugin.read_text() == "LAYERS = {}\n"


def test_the_mode_of_a_replaced_file_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"")
    target.chmod(0o640)
    assert run(MODEL, "-o", "model.onnx", "--force", folder=tmp_path).returncode == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_manners(tmp_path: Path) -> None:
    assert run("--version", folder=tmp_path).stdout.startswith("keras-lstm-convert 0.")
    assert "did you mean the command inspect?" in run("inspct", folder=tmp_path).stderr
    assert "download it first" in run("https://example.org/model.h5", folder=tmp_path).stderr
    done = run(MODEL, "--opset", "x", "--json", folder=tmp_path)
    assert done.returncode == json.loads(done.stdout)["exit_code"] == 2
    assert len(done.stderr.splitlines()) == 1
