"""What --architecture takes: JSON, YAML and whole models of every kind; Python code is refused with what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converter.errors import Unsupported
from converter.interpret import run
from converter.readers import load

GOOD = Path(__file__).parent.parent / "fixtures" / "good"
WHOLE = ("model.h5", "model.keras", "savedmodel", "model.json", "model.yaml")
CASES = [
    pytest.param(case / weights, case / name, id=f"{case.name}-{weights}-{name}")
    for case in sorted(GOOD.glob("*_stack"))
    for weights in ("weights.h5", "model.weights.h5")
    for name in WHOLE
    if (case / weights).exists() and (case / name).exists()
]


@pytest.mark.parametrize(("weights", "architecture"), CASES)
def test_an_architecture_of_any_kind(weights: Path, architecture: Path) -> None:
    given = load(weights, architecture)
    whole = load(weights.parent / "model.h5") if (weights.parent / "model.h5").exists() else given
    rng = np.random.default_rng(0)
    arrays = {v.name: rng.integers(0, 3, [2 if n is None else n for n in v.shape]) for v in given.inputs}
    (made,) = run(given, arrays).values()
    (wanted,) = run(whole, dict(zip([v.name for v in whole.inputs], arrays.values(), strict=True))).values()
    np.testing.assert_array_equal(made, wanted)


def test_python_code_is_not_run(tmp_path: Path) -> None:
    code = tmp_path / "model.py"
    code.write_text("open('PWNED', 'w')")
    with pytest.raises(Unsupported, match=r"model\.py: Python code, which is never run.* .*to_json"):
        load(CASES[0].values[0], code)


def test_weights_are_no_architecture() -> None:
    with pytest.raises(Unsupported, match="weights only"):
        load(CASES[0].values[0], CASES[0].values[0])
