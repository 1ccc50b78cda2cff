"""Many models in one run: what is found in folders, where each goes, and what became of it.

Each model is converted by a process of its own, so that one that crashes or hangs stops nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from converter import output
from converter.lines import Shown, line

VERDICTS = {0: "proved", 1: "refused", 2: "refused", 3: "not proved"}


@dataclass(frozen=True, repr=False)
class Outcome(Shown):
    """What became of one model.

    Attributes:
        source: the model.
        target: the file written, or the one that would have been.
        verdict: "proved", "converted" (where no proof was asked for or possible), "not proved", "refused".
        error: the largest end-to-end error, where something was compared.
        seconds: wall-clock time.
        message: why it failed, in one line.
        warnings: what the user should know, one line each.
    """

    source: str
    target: str
    verdict: str
    error: float | None
    seconds: float
    message: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether nothing that can be used was written."""
        return self.verdict in ("not proved", "refused")

    def summary(self) -> str:
        """What became of it, and why where it failed."""
        error = "" if self.error is None else f"end-to-end error {self.error:.1e}"
        said = ", ".join(filter(None, (self.verdict, error, self.message)))
        return f"{self.source}: {said}"

    def lines(self) -> list[str]:
        """The same, the target, and the warnings."""
        return [line(text) for text in (self.summary(), f"  {self.target}", *self.warnings)]


def convert_many(
    paths: Iterable[str | Path],
    folder: str | Path,
    options: Sequence[str] = (),
    *,
    suffix: str = ".onnx",
    executor: Executor | None = None,
    done: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Converts models, each by a process of its own.

    Args:
        paths: models, and folders in which models are looked for.
        folder: where the converted files go, under the models' names; it is made if it is not there.
        options: of the command line, for each of them: `["--to", "keras"]`.
        suffix: of the files written.
        executor: what runs the processes, by default two threads; any of `concurrent.futures`, or a cluster's.
        done: called with each outcome as it comes.

    Returns:
        One outcome for each model found, in the order of `paths`.

    >>> for outcome in convert_many(["model.h5"], "converted"):
    ...     print(outcome.verdict, outcome.target)
    proved converted/model.onnx
    """
    jobs = placed(found(paths), Path(folder), suffix)
    pool = executor or ThreadPoolExecutor(os.cpu_count() or 1)
    work = partial(convert_one, options=tuple(options))
    futures: dict[Future[Outcome], int] = {}
    outcomes: dict[int, Outcome] = {}
    with output.folders_made(target.parent for _, target in jobs):
        try:
            futures = {pool.submit(work, str(source), str(target)): k for k, (source, target) in enumerate(jobs)}
            for future in as_completed(futures):
                outcomes[futures[future]] = future.result()
                done(future.result())
        finally:
            for future in futures:  # after an interrupt those that wait are not begun
                future.cancel()
            if executor is None:
                pool.shutdown()
    return [outcomes[k] for k in range(len(jobs))]


def convert_one(source: str, target: str, options: tuple[str, ...] = ()) -> Outcome:
    """Converts one model by the command line."""
    command = [sys.executable, "-m", "converter", source, "-o", target, "--json", *options]
    start = time.perf_counter()
    ended = subprocess.run(  # noqa: S603 - this program itself
        command, capture_output=True, text=True, check=False, errors="replace"
    )
    seconds = round(time.perf_counter() - start, 3)
    try:
        said = json.loads(ended.stdout or "{}")
    except ValueError:
        said = {}
    errors = [report["end_to_end_error"] for report in said.get("verification", []) if "end_to_end_error" in report]
    verdict = VERDICTS.get(ended.returncode, "refused")
    if verdict == "proved" and not said.get("verification"):
        verdict = "converted"
    message = (ended.stderr.strip().splitlines() or [""])[-1].removeprefix("error: ") if ended.returncode else ""
    message = message.removeprefix(f"{source}: ")
    error = max((float(one) for one in errors), default=None)
    return Outcome(source, target, verdict, error, seconds, message, tuple(said.get("warnings", ())))


def found(paths: Iterable[str | Path]) -> list[tuple[Path, Path]]:
    """Models, each with its place below the path that led to it; a folder that is a model is one."""
    models: list[tuple[Path, Path]] = []
    for path in map(Path, paths):
        if is_collection(path):
            models += [(model, model.relative_to(path)) for model in _models_in(path)]
        else:
            models.append((path, Path(path.name or path.resolve().name)))
    return models


def is_collection(path: Path) -> bool:
    """Whether a folder holds models and is none itself."""
    if not path.is_dir():
        return False
    from converter.readers.containers import READERS

    marks = [row.marks for row in READERS.values() if row.marks]
    return not any(all(any(path.glob(name)) for name in names) for names in marks)


def _models_in(folder: Path) -> Iterator[Path]:
    from converter.readers.containers import READERS

    suffixes = {suffix for row in READERS.values() for suffix in row.suffixes}
    try:
        inside = sorted(folder.iterdir())
    except OSError:  # cannot be looked into: a model of its own, whose conversion says why
        yield folder
        return
    for path in inside:
        if path.is_symlink():
            continue
        if is_collection(path):
            yield from _models_in(path)
        elif path.is_dir() or path.suffix.lower() in suffixes:
            yield path


def placed(models: Sequence[tuple[Path, Path]], folder: Path, suffix: str) -> list[tuple[Path, Path]]:
    """Where each model goes: its own name with the suffix of the target, or all of its name where two would meet."""
    short = [place.with_suffix(suffix) for _, place in models]
    targets: list[Path] = []
    for (_, place), name in zip(models, short, strict=True):
        target = name if short.count(name) == 1 else place.with_name(place.name + suffix)
        number = 2
        while folder / target in targets:
            target, number = place.with_name(f"{place.name}-{number}{suffix}"), number + 1
        targets.append(folder / target)
    return [(source, target) for (source, _), target in zip(models, targets, strict=True)]


def junit(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as JUnit's XML, as test reports of continuous integration read it."""
    failures = sum(outcome.failed for outcome in outcomes)
    attributes = {"name": "keras-lstm-convert", "tests": str(len(outcomes)), "failures": str(failures)}
    suite = ElementTree.Element("testsuite", attributes)
    for outcome in outcomes:
        case = {"classname": "convert", "name": outcome.source, "time": str(outcome.seconds)}
        element = ElementTree.SubElement(suite, "testcase", case)
        if outcome.failed:
            ElementTree.SubElement(element, "failure", {"type": outcome.verdict, "message": outcome.message})
    return ElementTree.tostring(suite, encoding="unicode")
