"""Genuine models in other runtimes: one row a model, one column each, as in benchmarks/runtimes.py.

    python -m benchmarks.whole_models --environments FOLDER [--only "onnxruntime 1.6"] fixtures/good

Each folder holds cases with a model's files and inputs.npz, whose first call is taken. Files with known sizes have
those of that call. What is not read, or has text as input, is left out. Run by hand.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runtimes import COLUMNS, run
from benchmarks.runtimes_table import print_cells
from converter import interpret, load
from converter.errors import ConversionError
from converter.exporters.onnx import export
from converter.model import Model
from converter.model.sizes import Sizes

NAMES = ("*.keras", "*.h5", "*.hdf5", "saved_model")
TOLERANCE, HALF = 2e-6, 1e-2
Feed = dict[str, np.ndarray]


def models(folders: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Files and the arrays next to them."""
    for case in sorted(case for folder in folders for case in folder.iterdir()):
        for path in sorted(path for name in NAMES for path in case.glob(name)):
            if (case / "inputs.npz").exists():
                yield path, case / "inputs.npz"


def opened(path: Path, inputs: Path) -> tuple[Model, Model, Feed] | None:
    """The model, with open and with known sizes, and its inputs; None where it is left out."""
    with np.load(inputs, allow_pickle=True) as file:
        names = sorted((key for key in file if key.startswith(("call0_in", "in"))), key=lambda key: (len(key), key))
        first = [file[key] for key in names]
    try:
        model = load(path)
        feed = dict(zip((value.name for value in model.inputs), first, strict=True))
        fixed = load(path, sizes=Sizes(shapes={name: array.shape for name, array in feed.items()}))
    except (ConversionError, ValueError):
        return None
    if any(value.dtype == "string" for value in model.inputs):
        return None
    types = {value.name: value.dtype if value.dtype != "bfloat16" else "f4" for value in model.inputs}
    feed = {name: array.astype(types[name]) for name, array in feed.items()}
    batch = next(iter(feed.values())).shape[0]
    for state in model.states:
        feed[state.input.name] = np.zeros([batch if n is None else n for n in state.input.shape], "f4")
    return model, fixed, feed


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--environments", required=True, type=Path, help="folder of the environments")
    parser.add_argument("--only", action="append", choices=COLUMNS, help="a column")
    parser.add_argument("folders", nargs="+", type=Path)
    given = parser.parse_args()
    columns = given.only or list(COLUMNS)
    work: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for number, (path, inputs) in enumerate(models(given.folders)):
            found = opened(path, inputs)
            if found is not None:
                work += cells(Path(name) / str(number), f"{path.parent.name}/{path.name}", columns, found, len(work))
        run(Path(name), given.environments.absolute(), work)
    for item in work:
        wrong = not item["why"] and item["error"] > item["tolerance"]
        item["verdict"] = "refused" if item["why"] else "WRONG" if wrong else "right"
    print_cells(work, columns)
    return int(any(item["verdict"] == "WRONG" for item in work))


def cells(
    start: Path, case: str, columns: list[str], found: tuple[Model, Model, Feed], number: int
) -> Iterator[dict[str, Any]]:
    """The cells of one model."""
    model, fixed, feed = found
    states = {state.input.name: feed[state.input.name] for state in model.states}
    truth = interpret.run(model, feed, states=states)
    values = (*model.outputs, *(state.output for state in model.states))
    half = any(value.dtype in ("float16", "bfloat16") for node in model.nodes for value in node.outputs)
    data = start.with_suffix(".npz")
    given = {f"in_{name}": array for name, array in feed.items()}
    np.savez(data, **given, **{f"out{k}": truth[value.name] for k, value in enumerate(values)})  # type: ignore[arg-type]
    for place, column in enumerate(columns):
        row, refused = COLUMNS[column], ""
        target = start.with_name(f"{start.name}-{row.runtime}-{row.static}.onnx")
        try:
            if not target.exists():
                export(fixed if row.static else model, target, runtime=row.runtime)
        except ConversionError as error:
            refused = str(error)
        tolerance = max(row.tolerance, HALF if half else TOLERANCE)
        yield {"number": number + place, "case": case, "column": column, "runner": row.runner, "why": refused,
               "files": [[str(target), str(data)]], "tolerance": tolerance}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
