"""Many models in one run: found, placed without collisions, reported; one that fails stops nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from command_line import run
from test_cli import MODEL, OTHER

from converter.batch import Outcome, convert_many, found, junit, placed
from converter.cli.progress import COUNTED


def collection(folder: Path) -> Path:
    """Two models of one name, one in a folder below, a SavedModel, one that is broken, and what is no model."""
    root = folder / "models"
    (root / "below").mkdir(parents=True)
    shutil.copy(MODEL, root / "model.h5")
    shutil.copy(OTHER, root / "model.hdf5")
    shutil.copy(MODEL, root / "below/model.h5")
    shutil.copytree(MODEL.parents[1] / "tf213_words/savedmodel_notraces", root / "words")
    (root / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (root / "notes.txt").write_text("no model")
    return root


def test_models_are_found_and_placed_without_collisions(tmp_path: Path) -> None:
    root = collection(tmp_path)
    jobs = placed(found([root, MODEL]), Path("out"), ".onnx")
    targets = [str(target) for _, target in jobs]
    assert targets == [
        "out/below/model.onnx", "out/broken.onnx", "out/model.h5.onnx", "out/model.hdf5.onnx", "out/words.onnx",
        "out/model.h5-2.onnx",
    ]  # fmt: skip


def test_one_that_fails_stops_nothing(tmp_path: Path) -> None:
    root = collection(tmp_path)
    done = run(root, "-o", "out", "--junit", "out.xml", "--json", folder=tmp_path, fresh=True)
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["exit_code"] == 1
    verdicts = {Path(row["target"]).name: row["verdict"] for row in said["models"]}
    assert verdicts == {
        "model.onnx": "proved", "broken.onnx": "refused", "model.h5.onnx": "proved", "model.hdf5.onnx": "proved",
        "words.onnx": "proved",
    }  # fmt: skip
    written = {path.name for path in (tmp_path / "out").rglob("*.onnx")}
    assert written == {name for name, verdict in verdicts.items() if verdict == "proved"}
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("5", "1")


def test_the_report_replaces_no_model(tmp_path: Path) -> None:
    shutil.copy(MODEL, tmp_path / "m.h5")
    for name in ("m.h5", "out/m.onnx", "missing/j.xml"):
        assert run("m.h5", "-o", "out", "--junit", name, "--force", folder=tmp_path).returncode == 2
    assert (tmp_path / "m.h5").read_bytes() == MODEL.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["m.h5"]


def test_a_dry_run_leaves_no_folder(tmp_path: Path) -> None:
    root = collection(tmp_path)
    assert len(convert_many([root], tmp_path / "new/out", ["--dry-run", "--no-verify"])) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_a_folder_that_cannot_be_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def inside(folder: Path) -> Iterator[Path]:
        if folder.name == "below":
            raise PermissionError(13, "Permission denied", str(folder))
        return iter([folder / name for name in os.listdir(folder)])

    monkeypatch.setattr(Path, "iterdir", inside)
    sources = [source.name for source, _ in found([collection(tmp_path)])]
    assert sources == ["below", "broken.h5", "model.h5", "model.hdf5", "words"]


def test_after_an_interrupt_nothing_is_begun(tmp_path: Path) -> None:
    begun: list[str] = []

    class Pool(Executor):
        def submit(self, function: Any, /, *words: Any, **options: Any) -> Future[Any]:
            future: Future[Any] = Future()
            begun.append(words[0])
            if len(begun) == 1:
                future.set_exception(KeyboardInterrupt())
            futures.append(future)
            return future

    futures: list[Future[Any]] = []
    with pytest.raises(KeyboardInterrupt):
        convert_many([MODEL, OTHER, MODEL], tmp_path / "out", executor=Pool())
    assert [future.cancelled() for future in futures] == [False, True, True]


def test_one_model_has_a_report_too(tmp_path: Path) -> None:
    assert run(MODEL, "-o", "out", "--junit", "j.xml", "--no-verify", folder=tmp_path, fresh=True).returncode == 0
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("tests") == "1"
    assert (tmp_path / "out/model.onnx").is_file()


def test_any_executor_runs_them(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as pool:
        (outcome,) = convert_many([MODEL], tmp_path, ["--to", "npz"], suffix=".npz", executor=pool)
    assert not outcome.failed
    assert repr(outcome).startswith(f"<Outcome: {MODEL}: proved")
    assert f"  {tmp_path / 'model.npz'}" in outcome._repr_html_()
    assert (tmp_path / "model.npz").is_file()
    assert "<failure" not in junit([outcome])


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_runs_them(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        seen: list[Outcome] = []
        outcomes = convert_many(
            [collection(tmp_path)], tmp_path / "out", ["--no-verify"], executor=client.get_executor(), done=seen.append
        )
    assert [outcome.verdict for outcome in outcomes] == ["converted", "refused", "converted", "converted", "converted"]
    assert len(seen) == len(outcomes)
    assert len(list((tmp_path / "out").rglob("*.onnx"))) == 4


def test_a_bar_counts_what_is_done() -> None:
    assert COUNTED.fullmatch("nodes 3 of 12").groups() == ("nodes", "3", "12")
    assert COUNTED.fullmatch("reading") is None


def test_options_of_one_model_are_refused_for_several(tmp_path: Path) -> None:
    assert run(MODEL, OTHER, "--outputs", "a", "-o", "out", folder=tmp_path).returncode == 2
    assert run(MODEL, OTHER, folder=tmp_path).returncode == 2
    assert run(MODEL, OTHER, "-o", "out", "--jobs", "0", folder=tmp_path).returncode == 2
