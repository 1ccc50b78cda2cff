"""What changed from version to version is in one table, and fixtures that genuine versions made ask for its rows."""

from __future__ import annotations

import ast
import json
import re
import warnings
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from layer_samples import sample, samples

from converter import ConversionError, load
from converter.keras.eras.row import Row
from converter.keras.eras.switches import SWITCHES, Era

ROOT = Path(__file__).parents[1]
GOOD = ROOT / "fixtures" / "good"
ROWS = [
    (name, family, row) for name, by_family in SWITCHES.items() for family, rows in by_family.items() for row in rows
]
FIXTURE = re.compile(r"\b(?:k|tf|tfk)\d+(?:th)?_\w+|(?<=layers\.json: )\w+")


def fixtures(row: Row) -> list[str]:
    """What the evidence names of fixtures/good, or of fixtures/layers.json by class."""
    return FIXTURE.findall(row[2])


@cache
def asked_by(fixture: str) -> tuple[Row, ...]:
    """The rows that the conversion of a fixture asks for."""
    asked: list[Row] = []
    original = Era.row
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(Era, "row", lambda self, name: asked.append(original(self, name)) or asked[-1])
        if fixture in samples():
            sample(fixture)
        else:
            case = json.loads((GOOD / fixture / "meta.json").read_text())["convert"][0]
            architecture = case.get("architecture")
            try:
                load(GOOD / fixture / case["model"], architecture and GOOD / fixture / architecture)
            except ConversionError:
                assert case.get("expect") == "refused" or "refused" in (GOOD / fixture / "meta.json").read_text()
    return tuple(asked)


NAMED = [(name, family, row, fixture) for name, family, row in ROWS for fixture in fixtures(row)]


@pytest.mark.parametrize(
    ("row", "fixture"), [pytest.param(row, f, id=f"{name}-{family}-{f}") for name, family, row, f in NAMED]
)
def test_the_fixture_that_a_row_names_asks_for_it(row: Row, fixture: str) -> None:
    assert any(row is one for one in asked_by(fixture))


def test_every_row_has_evidence_and_every_switch_a_fixture() -> None:
    assert all(row[2].strip() for _, _, row in ROWS)
    lacking = [name for name in SWITCHES if not any(fixtures(row) for one, _, row in ROWS if one == name)]
    assert not lacking


def test_rows_are_in_order() -> None:
    for name, families in SWITCHES.items():
        assert {"keras", "tf.keras", "keras3"} <= set(families) <= {
            "keras", "tf.keras", "keras3", "keras:theano", "keras:other", "keras3:other",
        }, name  # fmt: skip
        for rows in families.values():
            assert rows[0][0] == (0, 0, 0)
            assert all(a[0] < b[0] and a[1] != b[1] for a, b in pairwise(rows)), name


PARTS = {"major", "family", "version", "backend", "key", "later"}
# Who may look at a version outside of the tables, and why.
EXEMPT = {
    "converter/keras/build.py": "says in the metadata of the model which Keras wrote it",
    "converter/keras/activation_argument.py": "names of activations have a table of their own, by major version",
    "converter/keras/arrays/": "which arrays are stored goes by the container that a major version writes",
}


def looks_at_versions(path: Path) -> list[int]:
    """Lines that look at a part of an era, other than to say it in a message."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node) for text in ast.walk(tree) if isinstance(text, ast.JoinedStr) for node in ast.walk(text)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in PARTS and id(node) not in said and is_era(node.value)
    ]


def is_era(node: ast.expr) -> bool:
    """Whether an expression is called `era`."""
    return (isinstance(node, ast.Name) and node.id == "era") or (isinstance(node, ast.Attribute) and node.attr == "era")


def test_versions_are_compared_in_the_tables_alone() -> None:
    paths = [path for path in sorted((ROOT / "converter").rglob("*.py")) if path.parent.name != "eras"]
    found = {path.relative_to(ROOT).as_posix(): looks_at_versions(path) for path in paths}
    assert {name: lines for name, lines in found.items() if lines and not name.startswith(tuple(EXEMPT))} == {}
