"""Mutated fixtures: whatever is in a file, reading it gives a model or a ConversionError, below the last wall.

The mutations are those of `fuzz/`, which runs them by the hundred thousand; what it found is in fixtures/broken.
"""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

import pytest

from converter.errors import ConversionError

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

import seed_files
from targets import TARGETS

SLOW = {"function_graph": 4, "saved_model": 15, "h5": 20, "weights_h5": 20, "keras": 20}
SECONDS = 30


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(seed_files, "SCRATCH", [str(tmp_path)])


@pytest.fixture(autouse=True)
def no_hang():
    """A call that never comes back ends the process: nothing else could."""
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)


@pytest.mark.parametrize("name", TARGETS)
def test_a_mutated_file_gives_a_model_or_one_line(name, tmp_path):
    target, ends = TARGETS[name], set()
    seeds = target.seeds()
    for number in range(SLOW.get(name, 30)):
        rng = random.Random(f"test {name} {number}")
        seed = rng.choice(seeds)
        file, path, architecture = seed.place(tmp_path / f"{number}")
        file.write_bytes(target.mutated(seed, rng))
        try:
            target.run(path, architecture)
        except (ConversionError, OSError) as error:
            assert "\n" not in str(error)
            ends.add(str(error))
    assert len(ends) > 1


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read_as_they_are(name, tmp_path):
    """Most of them: those that are not would fuzz the first refusal alone."""
    target, read = TARGETS[name], 0
    seeds = target.seeds()[:6]
    for number, seed in enumerate(seeds):
        file, path, architecture = seed.place(tmp_path / f"{number}")
        file.write_bytes(seed.data)
        try:
            target.run(path, architecture)
        except ConversionError:
            continue
        read += 1
    assert 2 * read >= len(seeds)
