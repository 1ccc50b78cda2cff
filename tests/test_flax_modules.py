"""Modules that `--to flax` writes, in Flax itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter import api
from converter.exporters import EXPORTERS

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
CASES = ["k122_conv", "k224_acts", "k224_bi", "k224_share", "k3151_stack", "tf215_td"]


def source(name: str) -> Path:
    return next(path for path in (GOOD / name / "model.h5", GOOD / name / "model.keras") if path.exists())


def test_names_of_a_file_cannot_become_code(tmp_path: Path) -> None:
    import ast

    from neutral_models import Builder

    from converter.model import layers

    b = Builder()
    x = b.input('x"); import os; ("', (None, 3))
    EXPORTERS["flax"].export(
        b.model(b.node("a'); import os #\n", layers.Dense(b.weight(3, 2), None), [x], (None, 2))),
        tmp_path / "m.safetensors",
    )
    tree = ast.parse((tmp_path / "m_flax.py").read_text())
    found = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert found == ["flax", "flax.linen", "jax", "jax.numpy"]


def test_what_has_no_module_is_said(tmp_path: Path) -> None:
    done = api.convert(source("tf215_maskbi"), tmp_path / "m.safetensors", to="flax")
    assert any("no Flax module is written" in text and "masks" in text for text in done.warnings)
    assert not (tmp_path / "m_flax.py").exists()


def test_a_module_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "m_flax.py").write_text("mine")
    with pytest.raises(FileExistsError, match="never replaced"):
        api.convert(source("k3151_stack"), tmp_path / "m.safetensors", to="flax", force=True)


def loaded(name: str, folder: Path) -> Any:
    pytest.importorskip("flax", reason="needs Flax")
    EXPORTERS["flax"].export(api.load(source(name)), folder / "m.safetensors")
    spec = importlib.util.spec_from_file_location("m", folder / "m_flax.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_linen_and_nnx_compute_what_keras_did(name: str, tmp_path: Path) -> None:
    module = loaded(name, tmp_path)
    given, want = np.load(GOOD / name / "inputs.npz"), np.load(GOOD / name / "expected.npz")
    inputs = [given[f"in{k}"] for k in range(len(given.files))]
    model, variables = module.load()
    for made in (model.apply(variables, *inputs), module.load_nnx(*inputs)(*inputs)):
        for k, array in enumerate(made if isinstance(made, tuple) else (made,)):
            np.testing.assert_allclose(np.asarray(array), want[f"out{k}"], rtol=0, atol=2e-5)
