"""A target is one module and one row of `EXPORTERS`: a toy one is written, proved, verified and compared."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from converter import Unsupported, VerificationFailed, api
from converter.cli.main import main
from converter.comparing.compare import compare
from converter.exporters import EXPORTERS, Exporter

LSTM = Path(__file__).parents[1] / "fixtures" / "good" / "tf215_stack" / "model.h5"

TOY = '''
"""Toy: the magic word TOY, then every weight under its neutral name, as NumPy writes them."""
import json
import numpy as np
from converter.comparing.files.neutral import neutral_parts
from converter.exporters.weights import describe, named
from converter.model import constant

scale = 1

def export(model, path):
    with path.open("wb") as file:
        file.write(b"TOY")
        np.savez(file, metadata=json.dumps(describe(model)), **{k: w.read() * scale for k, w in named(model).items()})

def notes(model):
    return ("a toy",)

def sniff(path):
    return path.is_file() and path.read_bytes()[:3] == b"TOY"

def parts(path):
    with path.open("rb") as file:
        file.seek(3)
        arrays = dict(np.load(file))
    metadata = json.loads(str(arrays.pop("metadata")))
    return neutral_parts({name: constant(name, array) for name, array in arrays.items()}, metadata)
'''


# One that is run: the magic word, then an ONNX file.
RUN = '''
"""Run: the magic word RUN, then ONNX."""
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from converter.exporters import onnx
from converter.verification import runtime
from converter.verification.at_home import Started

def export(model, path):
    onnx.export(model, path)
    path.write_bytes(b"RUN" + path.read_bytes())

def sniff(path):
    return path.is_file() and path.read_bytes()[:3] == b"RUN"

def started(path):
    file = opened(path)
    return Started("home", lambda inputs, states: [*file.whole().run(dict(zip(file.inputs, inputs))).values()], False)

def overview(path):
    return SimpleNamespace(lines=lambda: [f"run me, {path.name}"])

def opened(path):
    with TemporaryDirectory() as folder:
        Path(folder, "model.onnx").write_bytes(path.read_bytes()[3:])
        return runtime.opened(Path(folder, "model.onnx"))
'''


def added(monkeypatch: pytest.MonkeyPatch, name: str, code: str, row: Exporter) -> ModuleType:
    """A target of this name, its module the row's."""
    made = ModuleType(row.module)
    exec(code, made.__dict__)
    monkeypatch.setitem(sys.modules, row.module, made)
    monkeypatch.setitem(EXPORTERS, name, row)  # type: ignore[arg-type]
    return made


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    row = Exporter("toy_target", ".toy", "a toy", "arrays", "toy_target", notes="toy_target")
    return added(monkeypatch, "toy", TOY, row)


def test_a_target_needs_one_module_and_one_row(toy: ModuleType, tmp_path: Path) -> None:
    goal = tmp_path / "model.toy"
    done = api.convert(LSTM, goal, to="toy")
    assert done.files == (goal,)
    assert done.reports[0].passed
    assert "a toy" in done.warnings
    assert api.verify(LSTM, goal).passed
    assert compare(LSTM, goal).equal


def test_the_command_line_knows_it(toy: ModuleType, tmp_path: Path) -> None:
    assert main([str(LSTM), "-o", str(tmp_path / "a.toy")]) == 0
    assert toy.sniff(tmp_path / "a.toy")
    assert main(["verify", str(LSTM), str(tmp_path / "a.toy")]) == 0
    assert main([str(LSTM), "--to", "toy", "-o", str(tmp_path / "b.toy"), "--opset", "13"]) == 1


def test_it_is_held_to_its_proof(toy: ModuleType, tmp_path: Path) -> None:
    toy.scale = np.float32(1.01)  # type: ignore[attr-defined]
    with pytest.raises(VerificationFailed, match="are multiplied by"):
        api.convert(LSTM, tmp_path / "model.toy", to="toy")
    assert not list(tmp_path.iterdir())


def test_a_target_that_is_run_names_what_runs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = "run_target"
    row = Exporter(module, ".run", "a toy that is run", "run", module, runs=module, overview=module, home=module)
    added(monkeypatch, "run", RUN, row)
    goal = tmp_path / "model.run"
    report = api.convert(LSTM, goal, to="run").reports[0]
    assert report.passed and report.nodes and report.weights
    assert api.verify(LSTM, goal).passed
    for against, why in (("torch", "not a file of torch"), ("nothing", "not a file of nothing")):
        with pytest.raises(Unsupported, match=why):
            api.verify(LSTM, goal, against=against)
    with pytest.raises(Unsupported, match="certificate and test_data is not for run"):
        api.convert(LSTM, goal, to="run", certificate=tmp_path / "c.json", test_data=True, force=True)
    assert main(["verify", str(LSTM), str(goal), "--against", "run"]) == 0
    assert "in home" in capsys.readouterr().out
    assert main(["inspect", str(goal)]) == 0
    assert capsys.readouterr().out == "run me, model.run\n"
    goal.write_bytes(goal.read_bytes()[:-3000])
    assert main(["verify", str(LSTM), str(goal)]) == 1


@pytest.mark.parametrize("name", EXPORTERS)
def test_what_is_run_has_what_runs_it(name: str) -> None:
    assert (EXPORTERS[name].proof == "run") == bool(EXPORTERS[name].runs)


@pytest.mark.parametrize("name", EXPORTERS)
def test_files_of_a_target_are_recognized_by_content(name: str, tmp_path: Path) -> None:
    from converter.exporters import row_of

    path = tmp_path / "anything"
    EXPORTERS[name].export(api.load(LSTM), path)
    assert row_of(path) is EXPORTERS[name]
