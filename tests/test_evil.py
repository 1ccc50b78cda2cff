"""Hostile files of ../shared/evil: each ends in a model or in one line, in 1 GB of address space."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import CLEAN
from sampling import some

EVIL = Path(__file__).parents[2] / "shared/evil"
CASES = json.loads((EVIL / "cases.json").read_text()) if EVIL.exists() else []
SOME = some(CASES, 3)
BYTES = 1 << 30
SECONDS = 30

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not sys.platform.startswith("linux") or not CASES, reason="no ../shared/evil, or no limits"),
]


def child(path: Path, options: list[str], goal: Path, told: Any) -> None:
    import resource
    from mmap import PAGESIZE, mmap

    from converter import api, limits, watchdog
    from converter.errors import ConversionError

    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    limits.HDF5_SECONDS = 2  # a hang is one after two seconds, too
    watchdog.enable(mmap(-1, PAGESIZE))
    given = {"architecture": EVIL / options[1]} if options[:1] == ["--architecture"] else {}
    try:
        api.convert(path, goal, force=True, **given)
        told.send("converted")
    except (ConversionError, OSError) as error:
        told.send(f"refused: {error}")
    except MemoryError:
        told.send("out of memory")


@pytest.mark.parametrize(("path", "must", "options"), [(c[0], c[2], c[3:]) for c in SOME], ids=[c[0] for c in SOME])
def test_a_hostile_file_stays_in_a_gigabyte(path, must, options, tmp_path):
    here, there = CLEAN.Pipe(False)
    work = CLEAN.Process(target=child, args=(EVIL / path, options, tmp_path / "m.onnx", there))
    work.start()
    work.join()
    there.close()
    if work.exitcode:
        assert work.exitcode == -27, path  # the watchdog's SIGPROF, inside HDF5
        return
    end = here.recv()
    assert end == "converted" or end.startswith("refused: "), end
    assert end != "converted" or not must.startswith("error, exit 1"), path
    assert "\n" not in end
