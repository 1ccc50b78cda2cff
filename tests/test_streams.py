"""The program where standard output or error is closed, full, or of few characters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "fixtures/good/tf215_stack/model.h5"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full")


def shell(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    command = f'"{sys.executable}" -m converter {line}'
    return subprocess.run(["sh", "-c", command], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **more},
                          capture_output=True, check=False)  # fmt: skip


def test_a_full_disk_behind_standard_output_does_not_undo_a_conversion(tmp_path):
    done = shell(f"{MODEL} --no-verify -o m.onnx > /dev/full", tmp_path)
    assert done.returncode == 0
    assert done.stderr.startswith(b"warning: the result could not be printed")
    assert os.listdir(tmp_path) == ["m.onnx"]
    assert shell(f"inspect {MODEL} > /dev/full", tmp_path).returncode == 1
    piped = shell(f"{MODEL} --no-verify -o - > /dev/full", tmp_path)
    assert piped.returncode == 1
    assert b"the standard output: No space left" in piped.stderr


def test_closed_streams_are_no_files(tmp_path):
    done = shell(f"{MODEL} --no-verify -o m.onnx >&- 2>&-", tmp_path)
    assert (done.returncode, os.listdir(tmp_path)) == (0, ["m.onnx"])
    with_them = shell(f"{MODEL} --no-verify -o n.onnx", tmp_path)
    assert with_them.returncode == 0
    assert (tmp_path / "m.onnx").read_bytes() == (tmp_path / "n.onnx").read_bytes()


def test_names_that_cannot_be_shown_are_escaped(tmp_path):
    shutil.copy(MODEL, tmp_path / os.fsdecode(b"m\xff.h5"))
    shutil.copy(MODEL, tmp_path / "módel.h5")
    for name in (os.fsdecode(b"m\xff.h5"), "módel.h5"):
        done = shell(f"'{name}' --no-verify", tmp_path, PYTHONIOENCODING="ascii")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(b"wrote ")
    assert len(os.listdir(tmp_path)) == 4
