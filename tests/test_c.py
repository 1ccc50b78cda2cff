"""The commands of docs/runtimes.md that make C of a model; they need emx-onnx-cgen and gcc."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from converter import interpret, load
from converter.model import Shape
from converter.model.sizes import Sizes

ROOT = Path(__file__).parents[1]
GOOD = ROOT / "fixtures/good"
BIN = Path(sys.executable).parent
MODELS = (
    "k3151_last/model.keras", "k3151_stack/model.keras", "k3151_options/model.h5", "k224_bi/model.h5",
    "k224_cells/model.h5", "tf26_maskgiven/model.h5", "tf23_maskbi/model.h5", "tf20_maskfused/model.h5",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not (BIN / "emx-onnx-cgen").exists() or shutil.which("gcc") is None, reason="needs emx-onnx-cgen and gcc"
)


def commands() -> list[str]:
    """Of the page: convert, emx-onnx-cgen, gcc."""
    page = (ROOT / "docs/runtimes.md").read_text(encoding="utf-8")
    found = re.search(r"^## C$.*?^```sh$(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    return [line for line in found[1].split("\n") if line and not line.startswith("pip")]


@pytest.mark.parametrize("file", MODELS)
def test_the_commands_of_the_page(tmp_path: Path, file: str) -> None:
    source = GOOD / file
    open_model = load(source)
    shapes = {v.name: _sizes(v.shape) for v in open_model.inputs}
    model = load(source, sizes=Sizes(shapes=shapes))
    given = " ".join(f"--shape '{name}={','.join(map(str, shape))}'" for name, shape in shapes.items())
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    for command in commands():
        line = command.replace("model.h5", str(source)).replace("--batch 1 --steps 50", given)
        line = line.replace("convert ", f"{sys.executable} -m converter ") if line.startswith("convert") else line
        line = line.replace("-c model.c", "-shared -fPIC -o model.so model.c -lm")
        subprocess.run(line, shell=True, check=True, cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)})
    assert "malloc" not in (tmp_path / "model.c").read_text()
    rng = np.random.default_rng(0)
    feed = {value.name: _array(rng, value.dtype, value.shape) for value in model.inputs}
    truth = interpret.run(model, feed)
    graph = onnx.load(tmp_path / "model.onnx").graph
    made = [np.full([d.dim_value for d in v.type.tensor_type.shape.dim], np.nan, np.float32) for v in graph.output]
    arrays = [*feed.values(), *made]
    ctypes.CDLL(str(tmp_path / "model.so")).model(*(a.ctypes.data_as(ctypes.c_void_p) for a in arrays))
    for value, got in zip(model.outputs, made, strict=True):
        want = truth[value.name]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * max(1.0, float(np.abs(want).max())))


def _array(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if dtype == "bool":
        return rng.random(shape) < 0.6
    if "int" in dtype:
        return rng.integers(0, 3, shape).astype(dtype)
    x = rng.normal(0, 1, shape).astype(dtype)
    x[0, -1:] = 0  # a step that Masking(0) leaves out
    return x


def _sizes(shape: Shape) -> tuple[int, ...]:
    """Two rows of five steps, where the file leaves them open."""
    return tuple((5 if axis else 2) if size is None else size for axis, size in enumerate(shape))
