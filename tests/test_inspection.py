"""`convert inspect`: every column, on terminals of any width and in encodings of few characters; the diagram."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from command_line import run
from rich.console import Console
from test_cli import MODEL
from test_streams import shell

from converter import inspect
from converter.tables import mermaid, of_inspection

GOOD = Path(MODEL).parents[1]


def shown(path: Path, width: int, **more: object) -> str:
    console = Console(file=io.StringIO(), width=width, **more)  # type: ignore[arg-type]
    with console.capture() as captured:
        console.print(of_inspection(inspect(path)))
    return captured.get()


def test_what_is_said_of_each_layer() -> None:
    found = inspect(GOOD / "k3151_nested/model.keras")
    layers = {layer.path: layer for layer in found.layers}
    assert layers["inner/inner_lstm"].activations == ("tanh", "sigmoid")
    assert layers["inner/inner_bn"].parameters == 16
    assert layers["inner/inner_bn"].trainable == 8
    assert layers["inner/inner_bn"].size == 64
    assert (found.parameters, found.trainable, found.size) == (351, 343, 1404)


def test_connections_go_through_nested_models() -> None:
    reads = {layer.path: layer.reads for layer in inspect(GOOD / "k3151_nested/model.keras").layers}
    assert reads["inner/inner_lstm"] == ("a",)
    assert reads["tail/tail_lstm"] == ("inner/inner_dense",)
    assert reads["head"] == ("tail/tail_lstm",)


@pytest.mark.parametrize("name", ["k224_nested", "tf215_nested", "k3151_nested"])
def test_layers_of_a_nested_model_stand_where_it_does(name: str) -> None:
    layers = [layer.path for layer in inspect(next((GOOD / name).glob("model.[hk]*"))).layers]
    assert layers == ["inner/inner_lstm", "inner/inner_bn", "inner/inner_dense", "tail/tail_lstm", "head"]


def test_the_packing_is_that_of_the_file() -> None:
    by_gate, whole = [layer for layer in inspect(GOOD / "k108_stack/model.h5").layers if layer.gates]
    assert by_gate.gates.startswith("an array for each gate, i, c, f, o")
    assert whole.gates.startswith("gates i, f, c, o; kernel")
    one = inspect(GOOD / "k224_cudnn/model.h5").layers[0]
    assert one.formula == "4·(4·3 + 4² + 2·4)"
    assert one.parameters == 4 * (4 * 3 + 4 * 4 + 2 * 4)


@pytest.mark.parametrize("width", [80, 200])
def test_the_terminal_is_never_too_narrow(width: int) -> None:
    text = shown(GOOD / "k3151_functional/model.keras", width)
    assert max(map(len, text.splitlines())) <= width
    assert len([line for line in text.splitlines() if line.startswith("embedding")]) == (1 if width == 200 else 2)
    for said in ("TimeDistributed", "not_equal", "native LSTM", "tanh, sigmoid", "1.12 kB"):
        assert said in text


def test_colors_on_a_terminal_alone(tmp_path: Path) -> None:
    assert "\x1b[32mnative LSTM" in shown(MODEL, 120, force_terminal=True, color_system="standard")
    assert "\x1b" not in run("inspect", MODEL, folder=tmp_path).stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp932", "cp1251", "gbk"])
def test_encodings_of_few_characters(encoding: str, tmp_path: Path) -> None:
    done = shell(f"inspect {MODEL}", tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert "3 + 4^2 + 4) = 128" in text
    assert "\\x" not in text


def test_a_diagram(tmp_path: Path) -> None:
    done = run("inspect", GOOD / "k3151_nested/model.keras", "--graph", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == "flowchart TD"
    assert '  n1["inner/inner_lstm<br/>LSTM [?, 5, 4]"]:::recurrent' in lines
    assert "  n0 --> n1" in lines


def test_names_mean_nothing_to_mermaid() -> None:
    found = inspect(GOOD / "tf215_stack/model.h5")
    object.__setattr__(found.layers[0], "path", 'a"]; click n0 "javascript:x')
    assert any("a#34;]#59; click n0 #34;javascript#58;x" in line for line in mermaid(found))


@pytest.mark.parametrize(
    "words", [("inspect", MODEL), ("compare", MODEL, MODEL), ("conventions",), ("inspect", "none.h5"), ("verify", "x"),
              ("draft", MODEL), ("inspect", "--nothing")],
)  # fmt: skip
def test_json_always_holds_the_exit_code(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*words, "--json", folder=tmp_path)
    assert json.loads(done.stdout)["exit_code"] == done.returncode
    assert os.listdir(tmp_path) == []
