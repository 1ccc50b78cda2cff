"""Reads mutated fixtures without end, and keeps every file that ends in anything but a model or a ConversionError.

    python fuzz/run.py FINDS [--seconds N] [--seed N] [--only TEXT]

It reads below the last wall (`converter.readers.load`, not `converter.load`), so that each place that relies on a form
is seen. Files are read in child processes, 200 each, with 2 GB of memory and 10 s of processor time for one file: a
crash, a hang or memory without end is a find, too. Prints executions and finds.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "fuzz")]

BATCH = 200
SECONDS = 10
SUFFIXES = (".h5", ".hdf5", ".keras", ".json", ".yaml", ".onnx", ".pt", ".safetensors", ".index")


def seeds(only: str) -> list[Path]:
    """Fixtures of at most 100 kB."""
    found = [file for file in (ROOT / "fixtures").rglob("*") if file.suffix in SUFFIXES and only in str(file)]
    return sorted(file for file in found if file.stat().st_size <= 100_000 and file.name != "index.json")


def read(path: Path, folder: Path) -> str:
    """Reads one file; where it ended, if that is a find."""
    from converter import readers
    from converter.errors import ConversionError

    architecture = path if path.suffix in (".json", ".yaml") else None
    model = folder / "weights.h5" if architecture else path
    try:
        readers.load(model.with_suffix("") if path.suffix == ".index" else model, architecture)
    except (ConversionError, OSError):
        return ""
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
    return ""


def batch(files: list[Path], seed: int, folder: Path, log: int) -> None:
    """The child: writes to `log` what it is about to read and what it found."""
    from mutations import mutated

    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    for number in range(BATCH):
        rng = random.Random(seed * BATCH + number)
        source = rng.choice(files)
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        path = work / f"m{source.suffix}"
        path.write_bytes(mutated(source, rng))
        weights = source.with_name("model.h5")
        if source.suffix in (".json", ".yaml") and weights.exists():
            shutil.copy(weights, work / "weights.h5")
        if source.suffix == ".index":
            for data in source.parent.glob(f"{source.stem}.data*"):
                shutil.copy(data, work / data.name.replace(source.stem, "m", 1))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        where = read(path, work)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(log, f"{number} {where}\n".encode())
        if where:
            shutil.copytree(work, folder / "found" / hashlib.sha256(where.encode()).hexdigest()[:8], dirs_exist_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("finds", type=Path)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    import converter.keras  # loaded once, before the forks
    import converter.readers.state_dict  # noqa: F401

    files, folder = seeds(options.only), Path(tempfile.mkdtemp())
    (folder / "found").mkdir()
    executions, found, start, seed = 0, dict[str, int](), time.monotonic(), options.seed
    while time.monotonic() - start < options.seconds:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            try:
                batch(files, seed, folder, writer)
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as log:
            lines = log.read().splitlines()
        status = os.waitpid(child, 0)[1]
        executions += len(lines)
        finds = [line.partition(" ")[2] for line in lines]
        if os.WIFSIGNALED(status):
            finds.append(signal.Signals(os.WTERMSIG(status)).name)
            shutil.copytree(folder / "work", folder / "found" / f"{finds[-1]}-{seed}", dirs_exist_ok=True)
        for find in filter(None, finds):
            found[find] = found.get(find, 0) + 1
            if found[find] == 1:
                print(f"{executions}: {find}", flush=True)
        seed += 1
    shutil.copytree(folder / "found", options.finds, dirs_exist_ok=True)
    shutil.rmtree(folder)
    print(f"{executions} executions, {len(found)} finds, {time.monotonic() - start:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
