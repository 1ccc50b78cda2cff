"""Reads mutated fixtures, and keeps every file that ends in anything but a model or a ConversionError.

    python fuzz/run.py FINDS [--only NAME ...] [--executions N] [--seconds N] [--seed N]

Each kind of container is read `--executions` times, in the order of `targets.TARGETS`. A child process reads the files
with 2 GB of memory and 10 s of processor time for one file: a crash, a hang or memory without end is a find, too, and
the next child goes on behind it. A hang inside HDF5 that the watchdog ends, as it does in the command line, is counted
apart. Input number K of a kind is the same for the same seed. Prints executions and finds.
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
from collections.abc import Callable
from functools import partial
from mmap import PAGESIZE, mmap
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import seed_files  # noqa: E402
from targets import TARGETS, Seed  # noqa: E402

BATCH = 5000
"""Inputs of one child, since libraries may leak."""
SECONDS = 10
BYTES = 2 << 30


def where_it_ended(read: Callable[[], object]) -> str:
    """Reads something; the place that raised, if that is a find."""
    from converter.errors import ConversionError

    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        read()
    except (ConversionError, OSError):
        return ""
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return ""


def batch(name: str, seeds: list[Seed], numbers: range, seed: int, folder: Path, page: mmap, log: int) -> None:
    """The child: writes to `log` each number before it is read, and what was found."""
    from converter import limits, watchdog

    limits.HDF5_SECONDS = 2
    watchdog.enable(page)
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    target = TARGETS[name]
    for number in numbers:
        rng = random.Random(f"{seed} {name} {number}")
        at = rng.randrange(len(seeds))
        work = folder / f"{name}{at}"
        if target.parse is None:
            fresh = not work.exists()
            work.mkdir(exist_ok=True)
            file, path, given = seeds[at].place(work) if fresh else _places(seeds[at], work)
            file.write_bytes(target.mutated(seeds[at], rng))
            read: Callable[[], object] = partial(target.read, path, given)
        else:
            data = target.mutated(seeds[at], rng)
            read = partial(target.parse, data)
        os.write(log, f"{number} {at}\n".encode())
        where = where_it_ended(read)
        if where:
            os.write(log, f"! {where}\n".encode())
            if target.parse is not None:
                work.mkdir(exist_ok=True)
                (work / seeds[at].name).write_bytes(data)
            _keep(work, folder, name, where)


def _places(seed: Seed, work: Path) -> tuple[Path, Path, Path | None]:
    file, given = work / seed.name, work / seed.architecture if seed.architecture else None
    return file, work / seed.main if seed.main else file, given


def _keep(work: Path, folder: Path, name: str, where: str) -> None:
    kept = folder / "found" / f"{name}-{hashlib.sha256(where.encode()).hexdigest()[:8]}"
    if not kept.exists():
        shutil.copytree(work, kept)
        (kept / "WHERE").write_text(where + "\n")


def fuzzed(name: str, executions: int, end: float, seed: int, folder: Path) -> tuple[int, set[str]]:
    """Reads one kind; how many inputs, and what was found."""
    seeds = TARGETS[name].seeds()
    from converter import watchdog

    done, found, stopped, page = 0, set[str](), 0, mmap(-1, PAGESIZE)
    while done < executions and time.monotonic() < end:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            try:
                batch(name, seeds, range(done, min(done + BATCH, executions)), seed, folder, page, writer)
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as log:
            lines = log.read().splitlines()
        status = os.waitpid(child, 0)[1]
        numbers = [line for line in lines if not line.startswith("!")]
        finds = [line[2:] for line in lines if line.startswith("!")]
        if os.WIFSIGNALED(status) and "HDF5" in watchdog.noted(page) and os.WTERMSIG(status) == signal.SIGPROF:
            stopped += 1
        elif os.WIFSIGNALED(status) and numbers:
            finds.append(f"{signal.Signals(os.WTERMSIG(status)).name} {numbers[-1]}")
            _keep(folder / f"{name}{numbers[-1].split()[1]}", folder, name, finds[-1])
        done += max(1, len(numbers))
        for find in dict.fromkeys(finds):
            if find not in found:
                print(f"{name} {done}: {find}", flush=True)
        found.update(finds)
    if stopped:
        print(f"{name}: {stopped} hangs inside HDF5, ended by the watchdog", flush=True)
    return done, found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("finds", type=Path)
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--executions", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=86_400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import converter.keras  # loaded once, before the forks
    import converter.readers.state_dict  # noqa: F401

    fast = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(dir=fast))
    seed_files.SCRATCH[0] = str(folder)
    (folder / "found").mkdir()
    start, total, finds = time.monotonic(), 0, 0
    for name in options.only:
        began = time.monotonic()
        done, found = fuzzed(name, options.executions, start + options.seconds, options.seed, folder)
        print(f"{name}: {done} executions, {len(found)} finds, {time.monotonic() - began:.0f} s", flush=True)
        total, finds = total + done, finds + len(found)
    shutil.copytree(folder / "found", options.finds, dirs_exist_ok=True)
    shutil.rmtree(folder)
    print(f"{total} executions, {finds} finds, {time.monotonic() - start:.0f} s")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
