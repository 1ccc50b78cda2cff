"""`convert report`: one page that needs nothing from elsewhere, small, right in its pictures, shown by a browser."""

from __future__ import annotations

import html
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from chromium import chromium, needed
from command_line import run
from matplotlib.image import imread
from test_cli import MODEL

from converter import Unsupported, convert, interpret, load, verify
from converter.model.layers import Recurrent
from converter.report import page
from converter.report.flow import Box, drawn
from converter.report.traces import outputs, row_of, shown_call, traces
from converter.report.weights import grids
from converter.verification.own_data import NO_DATA

GOOD = Path(MODEL).parents[1]
MASKED = GOOD / "k3151_maskbi/model.keras"
PARTS = ("Both graphs", "Layers", "One input", "Recurrent layers", "What the proof does not cover", "Next")


def wrong(right: Path, name: str) -> Path:
    """A file whose forget gates of layer lstm have another bias."""
    model = onnx.load(right)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "lstm/B")
    values = onnx.numpy_helper.to_array(bias).copy()
    values[0, 8:12] += 0.25  # i, o, f, c
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    onnx.save(model, right.with_name(name))
    return right.with_name(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("report")
    done = run("report", MASKED, "-o", "masked.html", folder=made)
    assert done.returncode == 0, done.stderr
    assert run(MODEL, "-o", "m.onnx", "--no-verify", folder=made).returncode == 0
    wrong(made / "m.onnx", "wrong.onnx")
    return made


def test_the_page_stands_alone(folder: Path) -> None:
    text = (folder / "masked.html").read_text(encoding="utf-8")
    assert len(text.encode()) < page.LARGEST
    assert all(f"<h2>{part}</h2>" in text for part in PARTS)
    for sha in (load(MASKED).source.sha256, "onnxruntime "):
        assert sha in text
    addresses = set(re.findall(r"https?://[^\"' ]+", text))
    assert addresses <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}  # names, which nobody fetches
    assert not re.search(r"<script|<link|@import|(src|href)=\"(?!data:|#)", text)
    assert text.count("<svg") >= 10
    assert "model.keras -o model.onnx" in text  # the next command: what was converted for the page is gone


def test_a_wrong_file_is_red(folder: Path) -> None:
    done = run("report", MODEL, "wrong.onnx", "-o", "wrong.html", folder=folder)
    assert done.returncode == 3, done.stderr
    text = (folder / "wrong.html").read_text(encoding="utf-8")
    assert '<div class="verdict failed">' in text
    assert "lstm: off by" in text
    (grid, *_) = grids(load(MODEL), folder / "wrong.onnx", verify(load(MODEL), folder / "wrong.onnx"))
    assert {(one.gate, one.matrix) for one in grid.squares if one.verdict != "equal"} == {("f", "bias")}
    assert run("report", MODEL, "wrong.onnx", "-o", "wrong.html", folder=folder).returncode == 2  # it exists


def test_gates_of_every_kind_of_cell_are_compared(tmp_path: Path) -> None:
    for name in ("k224_convlstm/model.h5", "k231_cells/model.h5"):
        done = convert(GOOD / name, tmp_path / "m.onnx", force=True)
        found = grids(done.model, done.files[0], done.reports[0])
        assert found and {one.verdict for grid in found for one in grid.squares} == {"equal"}


def test_nothing_is_drawn_beyond_the_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, exported = load(MODEL), folder / "m.onnx"
    monkeypatch.setattr(page, "LARGEST", 100_000)
    text = page.write(model, exported, verify(model, exported), "m.onnx")
    assert len(text.encode()) < 100_000
    assert "Not drawn, to keep this page small: lstm_1" in text


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_what_draws_may_be_missing(missing: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    model, exported = load(MODEL), folder / "m.onnx"
    with pytest.raises(Unsupported, match=rf"{missing}.*keras-lstm-convert\[report\]"):
        page.write(model, exported, verify(model, exported), "m.onnx")


@pytest.mark.parametrize("name", ["k3151_maskbi", "k3151_functional", "k224_cudnn", "k224_convlstm", "k231_cells"])
def test_gates_give_the_states(name: str) -> None:
    """h of an LSTM is o·tanh(c), that of a GRU z·h + (1 - z)·candidate; the last state is the node's own."""
    path = next(GOOD.joinpath(name).glob("model.[hk]*5*"), GOOD / name / "model.keras")
    model = load(path)
    call = shown_call(model, NO_DATA)
    for trace in traces(model, None, call, 0):
        node = next(node for node in model.nodes if node.name == trace.node)
        assert isinstance(node.layer, Recurrent)
        for side, panels in zip(node.layer.directions, trace.panels, strict=True):
            gates = {key: value.T for key, value in panels.items()}
            if side.reverse_input:
                gates = {key: value[::-1] for key, value in gates.items()}
            used = np.ones(len(gates["h"]), bool) if trace.used is None else trace.used
            used = used[::-1] if side.reverse_input else used
            if "o" in gates and side.cell.activation.name == "tanh":
                np.testing.assert_allclose(gates["h"][used], (gates["o"] * np.tanh(gates["c"]))[used], atol=1e-12)
            if "z" in gates:
                new = gates["z"][1:] * gates["h"][:-1] + (1 - gates["z"][1:]) * gates["candidate"][1:]
                both = used[1:] & used[:-1]
                np.testing.assert_allclose(gates["h"][1:][both], new[both], atol=1e-12)


def test_errors_are_what_they_say(tmp_path: Path) -> None:
    done = convert(GOOD / "k3151_functional/model.keras", tmp_path / "m.onnx")
    model = done.model
    call = shown_call(model, NO_DATA)
    for trace in traces(model, done.files[0], call, row_of(model, call)):
        assert trace.exported is not None
        assert np.all(trace.exported <= trace.bound) and np.all(trace.single <= trace.bound)
        assert 0 < trace.exported.max() < 1e-5
    (one,) = outputs(model, done.files[0], call, 0)
    want = interpret.run(model, {"words": call.given["words"]})[model.outputs[0].name][0]
    np.testing.assert_allclose(one.exact, want, atol=1e-12)
    np.testing.assert_allclose(one.exported, want, atol=1e-5)


def test_a_file_of_another_model_has_a_page_that_says_so(tmp_path: Path) -> None:
    convert(MODEL, tmp_path / "stream.onnx", stateful=True)
    done = run("report", MODEL, "stream.onnx", "-o", "pages/", folder=tmp_path)
    assert done.returncode == 3, done.stderr
    text = (tmp_path / "pages/model.report.html").read_text(encoding="utf-8")
    assert "the exported file has 5 inputs, the model 1" in text
    assert "ONNX operators, a box for each layer" in text


def test_the_next_commands_work_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "a model.h5"
    shutil.copy(GOOD / "k3151_encdec/model.h5", file)
    part = ("--inputs", "target,encoder:1,encoder:2", "--outputs", "head,decoder:1", "--stateful")
    for words in ((file.name, *part), ("a model.onnx",)):
        assert run("report", *words, "-o", "page.html", "--force", folder=tmp_path).returncode == 0
        text = (tmp_path / "page.html").read_text(encoding="utf-8")
        lines = [html.unescape(line) for line in re.findall(r"(keras-lstm-convert [^<]*)", text.partition(">Next<")[2])]
        assert lines
        for line in lines:
            done = run(*shlex.split(line.removesuffix(" --inputs x.npz"))[1:], folder=tmp_path)
            assert done.returncode == 0, (line, done.stderr)


def test_a_page_goes_to_no_standard_output(tmp_path: Path) -> None:
    assert run("report", MODEL, "-o", "-", folder=tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_an_edge_goes_past_the_boxes_between(tmp_path: Path) -> None:
    done = run("report", GOOD / "k3151_encdec/model.h5", "-o", "page.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    edges = re.findall(
        r"M(\d+) (\d+)C(\d+) \d+ \d+ \d+ \d+ (\d+)m", (tmp_path / "page.html").read_text(encoding="utf-8")
    )
    far = [(x, side) for x, y, side, end in edges if int(end) - int(y) > 26]
    assert far
    assert all(int(side) > int(x) for x, side in far)


def test_boxes_stand_below_what_they_read() -> None:
    boxes = [Box("a", "", "", ()), Box("d", "", "", ("b", "c")), Box("b", "", "", ("a", "e")), Box("c", "", "", ("a",)),
             Box("e", "", "", ("d",))]  # fmt: skip
    places = {placed.box.name: placed for placed in drawn(boxes).boxes}
    assert places["a"].y < places["b"].y < places["d"].y
    assert len({(one.x, one.y) for one in places.values()}) == len(boxes)
    assert drawn([Box(f"l{k}", "", "", (f"l{k - 1}",)) for k in range(500)]).left_out == 440


@needed
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it(scheme: str, folder: Path) -> None:
    shot = folder / f"{scheme}.png"
    dark = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    address = (folder / "masked.html").as_uri()
    done = chromium(address, folder / scheme, *dark, "--window-size=1100,2400", f"--screenshot={shot}")
    assert "CONSOLE" not in done.stderr  # nothing was refused, nothing was missing
    pixels = imread(shot)[..., :3]
    paper = pixels[5, 5]
    assert (paper.mean() > 0.9) == (scheme == "light")
    seen = np.any(np.abs(pixels - paper) > 0.1, -1).mean(1)
    assert (seen > 0).mean() > 0.5  # lines with something on them
    saturated = (pixels.max(-1) - pixels.min(-1) > 0.3).mean()
    assert saturated > 0.005  # the colors of layers, gates and states


def test_a_file_of_a_fixed_batch_is_shown_with_that_batch(folder: Path) -> None:
    assert run(MODEL, "-o", "one.onnx", "--batch", 1, folder=folder).returncode == 0
    done = run("report", MODEL, "one.onnx", "-o", "one.html", folder=folder)
    assert done.returncode == 0, done.stderr
