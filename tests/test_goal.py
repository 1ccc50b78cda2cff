"""Where the output goes, and what is never written over."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from command_line import ROOT, run
from test_cli import MODEL
from tf_files import KERNEL, tfjs_model

from converter import __main__ as entry
from converter.cli.goal import UsageError, by_suffix, target_of
from converter.exporters import EXPORTERS


@pytest.mark.parametrize("suffix", by_suffix())
def test_the_suffix_decides_the_target(suffix: str) -> None:
    to = target_of(None, f"out{suffix}")
    assert f".{to}" == EXPORTERS[to].suffix == suffix


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
    assert os.listdir(tmp_path / "out") == ["model.onnx"]
    assert run(MODEL, "-o", "new/deep/", folder=tmp_path).returncode == 0
    assert os.listdir(tmp_path / "new/deep") == ["model.onnx"]
    shutil.rmtree(tmp_path / "new")
    assert run("nothing.h5", "-o", "new/deep/", folder=tmp_path).returncode == 1
    assert run(MODEL, "--dry-run", "-o", "new/", folder=tmp_path).returncode == 0
    done = run(MODEL, "--dry-run", "-o", "x.keras", folder=tmp_path)
    assert done.returncode == 0
    assert "nothing is written" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["out"]
    command = [sys.executable, "-m", "converter", str(MODEL), "-o", "-"]
    piped = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert piped.returncode == 0
    assert piped.stdout == (tmp_path / "out/model.onnx").read_bytes()
    assert run(MODEL, "--to", "torch", "-o", "-", folder=tmp_path).returncode == 2
    assert run(MODEL, "--test-data", "-o", "-", folder=tmp_path).returncode == 2
    assert run(MODEL, "--json", "-o", "-", folder=tmp_path).returncode == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a file is bounded")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_standard_output_that_takes_a_part_alone_is_an_error(tmp_path: Path, unbuffered: str) -> None:
    (tmp_path / "out").write_bytes(bytes(16_000))  # there is room for 384 bytes more
    line = f'ulimit -f 16; trap "" XFSZ; exec {sys.executable} -m converter {MODEL} -o - >> out'
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "the standard output: " in done.stderr


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


def changed(folder: Path, *words: object) -> list[str]:
    """The files in a folder that a command, which is refused as usage, changed."""
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    done = run(*words, folder=folder)
    assert done.returncode == 2, done.stdout
    assert "read by this run" in done.stderr or "of this run" in done.stderr or "model itself" in done.stderr
    after = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return [str(file) for file in before.keys() | after.keys() if before.get(file) != after.get(file)]


def test_files_that_the_model_refers_to_are_inputs(tmp_path: Path) -> None:
    data = [KERNEL.tobytes()]
    tfjs_model(tmp_path, [{"name": "lstm/lstm_cell/kernel", "shape": [2, 12], "dtype": "float32"}], data)
    (shard,) = (file.name for file in tmp_path.iterdir() if file.name != "model.json")
    assert changed(tmp_path, "model.json", "-o", shard, "--force") == []
    shutil.copy(MODEL, tmp_path / "m.h5")
    assert run("m.h5", "-o", "m.onnx", folder=tmp_path).returncode == 0
    model = onnx.load(tmp_path / "m.onnx")
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="weights.npz", size_threshold=0)
    assert changed(tmp_path, "m.onnx", "-o", "weights.npz", "--force") == []
    assert changed(tmp_path, "verify", "m.h5", "m.onnx", "--certificate", "weights.npz") == []


@pytest.mark.parametrize("named", ["", ".index", ".data-00000-of-00001"])
def test_whichever_file_names_a_checkpoint_all_of_it_is_read(tmp_path: Path, named: str) -> None:
    folder = ROOT / "fixtures/good/tf215_stack"
    for file in (*folder.glob("ckpt/*"), folder / "model.json"):
        shutil.copy(file, tmp_path)
    (index,) = tmp_path.glob("*.index")
    for file in tmp_path.glob(f"{index.stem}.*"):
        words = (f"{index.stem}{named}", "--architecture", "model.json", "-o", file.name, "--force")
        assert changed(tmp_path, *words) == []


def test_the_head_of_a_saved_model_stands_for_its_folder(tmp_path: Path) -> None:
    shutil.copytree(MODEL.parents[1] / "tf213_words/savedmodel_notraces", tmp_path / "saved")
    for file in (tmp_path / "saved/variables").iterdir():
        assert changed(tmp_path, "saved/saved_model.pb", "-o", file, "--force") == []


@pytest.mark.parametrize("name", ["m.h5", "x.npz", "y.npz", "m.onnx"])
def test_reports_are_not_written_over_what_is_read_or_written(tmp_path: Path, name: str) -> None:
    shutil.copy(MODEL, tmp_path / "m.h5")
    for own, file in (("inputs", "x.npz"), ("expected", "y.npz")):
        shutil.copy(MODEL.with_name(f"{own}.npz"), tmp_path / file)
    data = ("--inputs", "x.npz", "--expected", "y.npz")
    assert changed(tmp_path, "m.h5", "-o", "m.onnx", *data, "--certificate", name, "--force") == []
    shutil.copy(MODEL, tmp_path / "m.onnx")
    assert changed(tmp_path, "verify", "m.h5", "m.onnx", *data, "--certificate", name) == []
    if name.endswith(".npz"):
        assert changed(tmp_path, "report", "m.h5", "-o", name, "--force", "--inputs", name) == []


def test_the_mode_of_a_replaced_file_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"")
    target.chmod(0o640)
    assert run(MODEL, "-o", "model.onnx", "--force", folder=tmp_path).returncode == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_manners(tmp_path: Path) -> None:
    assert run("--version", folder=tmp_path).stdout.startswith("keras-lstm-convert 0.")
    for words in (("inspct",), ("inspekt", MODEL, "--graph"), ("raport", MODEL, "-o", "r.html")):
        done = run(*words, folder=tmp_path)
        assert done.returncode == 2
        assert "did you mean the command" in done.stderr
    assert os.listdir(tmp_path) == []
    for words in (("https://example.org/m.h5",), ("inspect", "s3://m.h5"), ("verify", MODEL, "gs://m.onnx")):
        done = run(*words, folder=tmp_path)
        assert (done.returncode, "download it first" in done.stderr) == (2, True)
    done = run(MODEL, "--opset", "x", "--json", folder=tmp_path)
    assert done.returncode == json.loads(done.stdout)["exit_code"] == 2
    assert len(done.stderr.splitlines()) == 1


def test_an_interrupt_while_the_program_is_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Loading:
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "converter.cli.main", Loading())
    assert entry.main() == 130
    assert capsys.readouterr().err == "error: interrupted\n"
