"""The command line as a process: exit codes, one clear line, and what is and isn't left on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from command_line import ROOT, run

MODEL = ROOT / "fixtures/good/tf215_stack/model.h5"
OTHER = ROOT / "fixtures/good/k122_stack/model.h5"


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The exit code, and one line on stderr that holds these words."""
    assert done.returncode == code, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


def edited(tmp_path: Path, edit, name: str = "edited.h5") -> Path:
    """A copy of the model, changed."""
    path = tmp_path / name
    path.write_bytes(MODEL.read_bytes())
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}
    file["model_weights"].visititems(
        lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None
    )
    return found


def poison(file: h5py.File) -> None:
    next(array for name, array in datasets(file).items() if name.endswith("lstm_cell/kernel:0"))[0, 0] = np.nan


def test_convert_prints_the_proof_and_writes_one_file(tmp_path: Path) -> None:
    done = run(MODEL, "-o", "out.onnx", folder=tmp_path, fresh=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "proved against reference_lstm" in done.stdout
    assert "weights bit for bit" in done.stdout
    assert "end-to-end error" in done.stdout
    assert os.listdir(tmp_path) == ["out.onnx"]
    assert [n.op_type for n in onnx.load(tmp_path / "out.onnx").graph.node].count("LSTM") == 2


def test_json_holds_the_report(tmp_path: Path) -> None:
    done = run(MODEL, "-o", "out.onnx", "--json", folder=tmp_path)
    found = json.loads(done.stdout)
    (report,) = found["verification"]
    assert found["files"] == ["out.onnx"]
    assert report["passed"]
    assert report["verdict"] == "proved"
    assert 0 < report["node_error_as_share_of_allowed"] < 1
    assert 0 < report["end_to_end_error"] < 1e-5
    assert {one["name"] for one in report["nodes"] if one["steps"]} == {"lstm", "lstm_1"}


def test_default_output_stands_beside_the_model_under_its_name(tmp_path: Path) -> None:
    edited(tmp_path, lambda file: None, "inspect")
    done = run("./inspect", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["inspect", "inspect.onnx"]


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        assert run(MODEL, "-o", name, "--no-verify", folder=tmp_path).returncode == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_existing_output_is_kept_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    target.write_text("mine")
    refused(run(MODEL, "-o", "out.onnx", folder=tmp_path), 2, "out.onnx exists", "--force")
    assert target.read_text() == "mine"
    assert run(MODEL, "-o", "out.onnx", "--force", folder=tmp_path).returncode == 0
    onnx.load(target)


def test_the_model_itself_is_never_written_over(tmp_path: Path) -> None:
    path = edited(tmp_path, lambda file: None, "edited.model")
    before = path.read_bytes()
    refused(run(path, "-o", path, "--force", folder=tmp_path), 2, "is the model itself")
    assert path.read_bytes() == before


@pytest.mark.parametrize("size", [0, 7, 512, 9000])
def test_truncated_file(tmp_path: Path, size: int) -> None:
    (tmp_path / "cut.h5").write_bytes(MODEL.read_bytes()[:size])
    refused(run("cut.h5", folder=tmp_path), 1, "cut.h5")
    assert os.listdir(tmp_path) == ["cut.h5"]


def test_missing_file(tmp_path: Path) -> None:
    refused(run("nothing.h5", folder=tmp_path, fresh=True), 1, "nothing.h5")


def test_a_wrong_shape_names_the_layer_and_leaves_nothing(tmp_path: Path) -> None:
    def reshape(file: h5py.File) -> None:
        kernel = next(name for name in datasets(file) if name.endswith("recurrent_kernel:0"))
        del file["model_weights"][kernel]
        file["model_weights"][kernel] = np.zeros((3, 3), np.float32)

    path = edited(tmp_path, reshape)
    refused(run(path, folder=tmp_path), 1, "edited.h5", "lstm", "shape")
    assert os.listdir(tmp_path) == ["edited.h5"]


def test_a_layer_with_code_is_refused_with_a_hint(tmp_path: Path) -> None:
    def into_lambda(file: h5py.File) -> None:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["class_name"] = "Lambda"
        file.attrs["model_config"] = json.dumps(config)

    refused(run(edited(tmp_path, into_lambda), folder=tmp_path), 1, "Lambda", "--outputs")


def test_terminal_escapes_in_a_file_are_not_printed(tmp_path: Path) -> None:
    def escape(file: h5py.File) -> None:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["class_name"] = "\x1b[31mred"
        file.attrs["model_config"] = json.dumps(config)

    done = run(edited(tmp_path, escape), folder=tmp_path)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr


def test_weights_that_are_not_numbers_are_a_warning_or_with_strict_an_error(tmp_path: Path) -> None:
    path = edited(tmp_path, poison)
    done = run(path, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = done.stderr.splitlines()
    assert first.startswith("warning: lstm: 1 weight value is")
    assert second.startswith("warning: not verified")
    (tmp_path / "edited.onnx").unlink()
    refused(run(path, "--strict", folder=tmp_path), 1, "lstm", "not a number")
    assert os.listdir(tmp_path) == ["edited.h5"]


def test_inspect_counts_parameters_by_the_formula(tmp_path: Path) -> None:
    done = run("inspect", MODEL, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "native LSTM" in done.stdout
    assert "no effect at inference" in done.stdout
    found = json.loads(run("inspect", MODEL, "--json", folder=tmp_path).stdout)
    lstm = next(layer for layer in found["layers"] if layer["path"] == "lstm")
    units, features = lstm["output_shapes"][0][-1], found["inputs"][0]["shape"][-1]
    assert lstm["parameters"] == 4 * (units * features + units**2 + units)
    assert lstm["formula"] == f"4·({units}·{features} + {units}² + {units})"


def test_verify_tells_a_right_file_from_a_wrong_one(tmp_path: Path) -> None:
    assert run(MODEL, "-o", "out.onnx", "--no-verify", folder=tmp_path).returncode == 0
    done = run("verify", MODEL, "out.onnx", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("proved: out.onnx")
    model = onnx.load(tmp_path / "out.onnx")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "lstm/B")
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(1e-3), bias.name))
    onnx.save(model, tmp_path / "wrong.onnx")
    done = run("verify", MODEL, "wrong.onnx", folder=tmp_path)
    assert done.returncode == 3
    assert "lstm: off by" in done.stderr
    assert "lstm/B" in done.stderr
    (tmp_path / "text.onnx").write_text("hello")
    refused(run("verify", MODEL, "text.onnx", folder=tmp_path), 1, "a text file, not a model")


def test_verify_takes_every_target(tmp_path: Path) -> None:
    for target, suffix in (("keras", ".keras"), ("torch", ".safetensors"), ("npz", ".npz")):
        assert run(MODEL, "--to", target, "-o", f"out{suffix}", "--no-verify", folder=tmp_path).returncode == 0
        done = run("verify", MODEL, f"out{suffix}", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        other = run("verify", OTHER, f"out{suffix}", folder=tmp_path)
        assert other.returncode == 3, other.stdout


def test_compare_and_conventions(tmp_path: Path) -> None:
    assert run(MODEL, "--to", "torch", "-o", "out.safetensors", folder=tmp_path).returncode == 0
    done = run("compare", MODEL, "out.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\nequal\n")
    done = run("compare", MODEL, OTHER, "--json", folder=tmp_path)
    assert done.returncode == 3
    assert json.loads(done.stdout)["equal"] is False
    done = run("conventions", folder=tmp_path)
    assert "torch/LSTM" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    some = json.loads(run("conventions", "torch", "lstm", "--json", folder=tmp_path).stdout)
    assert {row["convention"].split("/")[0] for row in some["conventions"]} == {"torch"}
    assert run("conventions", "thorch", folder=tmp_path).returncode == 2
    rows = json.loads(run("conventions", "--json", folder=tmp_path).stdout)
    assert {"keras/LSTM", "onnx/GRU"} <= {row["convention"] for row in rows["conventions"]}


def test_a_failed_proof_removes_the_file_unless_kept(tmp_path: Path) -> None:
    """All weights zero: every output is the same, so equality would prove nothing."""

    def clear(file: h5py.File) -> None:
        for array in datasets(file).values():
            array.write_direct(np.zeros(array.shape, array.dtype))
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"]["activation"] = "linear"
        file.attrs["model_config"] = json.dumps(config)

    path = edited(tmp_path, clear)
    refused(run(path, folder=tmp_path), 3, "zero", "removed")
    assert os.listdir(tmp_path) == ["edited.h5"]
    refused(run(path, "--keep", folder=tmp_path), 3, "(kept ", "edited.onnx; --no-verify")
    assert sorted(os.listdir(tmp_path)) == ["edited.h5", "edited.onnx"]


def test_usage_errors(tmp_path: Path) -> None:
    assert run(folder=tmp_path).returncode == 2
    assert run(MODEL, "--to", "nothing", folder=tmp_path).returncode == 2
    refused(run(MODEL, "-o", "no/such/folder.onnx", folder=tmp_path), 2, "no folder")
    refused(run(MODEL, "-o", "out.onnx", "--opset", 7, folder=tmp_path), 1, "opset 7")


def test_help_shows_examples_and_the_other_commands(tmp_path: Path) -> None:
    done = run("--help", folder=tmp_path)
    assert done.returncode == 0
    assert "convert inspect MODEL" in done.stdout
    assert "examples:" in done.stdout
    for name in ("inspect", "verify"):
        assert "examples:" in run(name, "--help", folder=tmp_path).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Stopped while the exporter writes, made slow here by a patch in the child."""
    code = (
        "import sys, time, converter.exporters.onnx as o; real = o.export\n"
        "def slow(*a, **k): real(*a, **k); print('writing', flush=True); time.sleep(30)\n"
        "o.export = slow\n"
        "from converter.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, MODEL, "-o", "out.onnx"], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # the tests may run where it is ignored
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    assert os.listdir(tmp_path) != []
    start = time.monotonic()
    child.send_signal(number)
    _, stderr = child.communicate(timeout=20)
    assert time.monotonic() - start < 10
    assert child.returncode == 130
    assert stderr.strip().endswith("interrupted")
    assert os.listdir(tmp_path) == []


def test_warnings_of_numpy_do_not_reach_the_terminal(tmp_path: Path) -> None:
    plugin = tmp_path / "own.py"
    plugin.write_text("import numpy as np\nnp.array([1e308]) * 10\nnp.log(np.zeros(1))\n")
    done = run(MODEL, "--plugin", plugin, folder=tmp_path)
    assert done.stderr.splitlines() == [done.stderr.strip()] and "defines no LAYERS" in done.stderr
    done = run(MODEL, "--plugin", plugin, "--debug", folder=tmp_path)
    assert "RuntimeWarning" in done.stderr


@pytest.mark.parametrize("number", ["nan", "-1", "inf"])
def test_a_tolerance_is_a_number_from_0_on(number: str, tmp_path: Path) -> None:
    refused(run(MODEL, "--tolerance", number, "-o", "m.onnx", folder=tmp_path), 2, "is no tolerance")
    assert not (tmp_path / "m.onnx").exists()
