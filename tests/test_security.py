"""SECURITY.md holds what it says: each threat names a defense that is there and tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "SECURITY.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| threat")
]


def test_each_threat_names_a_defense_and_tests_that_are_there():
    assert len(ROWS) >= 10
    for threat, defense, tests in ROWS:
        files = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", tests)
        assert files, threat
        for file, name in files:
            text = (ROOT / "tests" / file).read_text()
            assert not name or f"def {name}(" in text, (threat, file, name)
        for module in re.findall(r"`([\w/]+\.py)`", defense):
            assert (ROOT / module).exists() or (ROOT / "converter" / module).exists(), (threat, module)


def test_each_threat_names_a_test_of_its_own():
    named = [tests for _, _, tests in ROWS]
    assert len(set(named)) == len(named)
