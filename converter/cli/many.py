"""`convert FILES_AND_FOLDERS... -o FOLDER`: many models in one run, and a table of what became of them."""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from converter import batch, output
from converter.batch import Outcome
from converter.cli.command import DONE, REFUSED, print_json, show
from converter.cli.goal import UsageError, target_of
from converter.cli.progress import many_shown
from converter.exporters import EXPORTERS

# Options that each conversion gets as they were given, and those that belong to one model alone.
PASSED_ON = ("stateful", "by_name", "force", "strict", "no_verify", "keep", "dry_run", "test_data", "trust")
VALUES = ("opset", "route", "keras_version", "against", "tolerance", "runtime", "quantize", "batch", "steps")
OF_ONE_MODEL = ("architecture", "outputs", "inputs", "signature", "shape", "expected", "certificate")


def is_many(arguments: argparse.Namespace) -> bool:
    """Whether there is more than one model, or a folder in which there are some, or a report as of several."""
    first = Path(arguments.models[0])
    several = len(arguments.models) > 1 or (batch.is_collection(first) and bool(batch.found([first])))
    return several or bool(arguments.junit)


def convert_all(arguments: argparse.Namespace) -> int:
    """Converts them; the exit code says whether any failed."""
    single = [name for name in OF_ONE_MODEL if getattr(arguments, name)]
    if single:
        raise UsageError(f"--{single[0]} belongs to one model, and there are several")
    if not arguments.output or arguments.output == "-" or Path(arguments.output).is_file():
        several = "several models go" if len(arguments.models) > 1 else "the models in a folder go"
        raise UsageError(f"{'with --junit models go' if arguments.junit else several} to a folder: -o FOLDER")
    if arguments.jobs < 1:
        raise UsageError("--jobs takes a number from 1 on")
    to = target_of(arguments.to, None)
    _guard_junit(arguments, EXPORTERS[to].suffix)
    options = ["--to", to, *(f"--{name.replace('_', '-')}" for name in PASSED_ON if getattr(arguments, name))]
    for plugin in arguments.plugin:
        options += ["--plugin", plugin]
    for name in VALUES:
        value = getattr(arguments, name)
        options += [f"--{name.replace('_', '-')}", str(value)] if value not in (None, "") else []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        outcomes = _shown(arguments, options, EXPORTERS[to].suffix, pool)
    if arguments.junit:
        output.write_text(Path(arguments.junit), batch.junit(outcomes))
    code = REFUSED if any(outcome.failed for outcome in outcomes) else DONE
    if arguments.json:
        print_json({"models": [asdict(outcome) for outcome in outcomes]}, code)
    else:
        _show(outcomes)
    return code


def _guard_junit(arguments: argparse.Namespace, suffix: str) -> None:
    """Refuses to write the report over what the run reads or writes, before there is any."""
    if not arguments.junit:
        return
    goal, jobs = Path(arguments.junit), batch.placed(batch.found(arguments.models), Path(arguments.output), suffix)
    if goal.resolve() in [target.resolve() for _, target in jobs]:
        raise FileExistsError(f"{goal} is one of the converted files")
    output.guard(goal, [*(source for source, _ in jobs), *map(Path, arguments.plugin)], arguments.force)


def _shown(arguments: argparse.Namespace, options: list[str], suffix: str, pool: ThreadPoolExecutor) -> list[Outcome]:
    """The conversions, behind one bar on a terminal."""
    with many_shown(len(batch.found(arguments.models))) as tick:
        return batch.convert_many(
            arguments.models, arguments.output, options, suffix=suffix, executor=pool, done=lambda outcome: tick()
        )


def _show(outcomes: list[Outcome]) -> None:
    """A row for each model, and how many of each verdict there are."""
    from converter.tables import VERDICTS, of_rows

    rows = [
        {
            "file": outcome.source,
            "verdict": outcome.verdict,
            "error": "" if outcome.error is None else f"{outcome.error:.1e}",
            "seconds": f"{outcome.seconds:.2f}",
            "": outcome.message or "; ".join(outcome.warnings),
        }
        for outcome in outcomes
    ]
    show(of_rows(rows, {"verdict": VERDICTS}))
    counts = Counter(outcome.verdict for outcome in outcomes)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
