"""Which runtimes and tools make of an export what Keras makes of the model: one row a configuration, one column each.

    python -m benchmarks.runtimes --environments FOLDER [--only openvino] [--only reference] [--docs]

FOLDER holds environments, each of its own:

    runtimes: pip install onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 tract==0.23.9 emx-onnx-cgen==1.4.0 \
onnxslim==0.1.98 onnxsim==0.8.1 onnxconverter-common==1.16.0 sympy
    ort116: pip install onnxruntime==1.16.3 "numpy<2"     ort16, Python 3.8: pip install onnxruntime==1.6.0
    onnx2tf, Python 3.12: pip install onnx2tf==2.6.9      web: npm install onnxruntime-web@1.30

C also needs gcc, the web column node. Each cell is right (within the column's tolerance of the float64 reference, times
its scale), refused (by us or by the runtime), or WRONG. The exit code is 1 where a cell is silently wrong. `--docs`
writes the tables into docs/runtimes.md. Run by hand.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import HERE, ROOT
from benchmarks.recurrent_cases import Case, cases, feed_of, model_of
from benchmarks.runtimes_table import print_cells, write_docs
from converter import interpret
from converter.errors import ConversionError
from converter.exporters.onnx import export

EXACT, INT8, HALF = 5e-6, 5e-2, 5e-3  # int8: what --tolerance allows
SIZES = ((3, 7), (1, 1))  # batch, steps


@dataclass(frozen=True)
class Column:
    """A runtime or tool.

    Attributes:
        runner: a key of `run_exports.RUNNERS`.
        runtime: which one the file is written for.
        static: whether a file is written for each of the sizes.
        environment: where it is installed.
        tolerance: of outputs, times their scale.
    """

    runner: str
    runtime: str = "onnxruntime"
    static: bool = False
    environment: str = "runtimes"
    tolerance: float = EXACT


COLUMNS = {
    "onnxruntime 1.32": Column("onnxruntime"),
    "onnxruntime 1.32, known sizes": Column("onnxruntime", static=True),
    "onnxruntime 1.16": Column("onnxruntime", environment="ort116"),
    "onnxruntime 1.6": Column("onnxruntime 1.6", environment="ort16"),
    "onnxruntime-web 1.30": Column("onnxruntime-web"),
    "openvino": Column("openvino", "openvino"),
    "openvino, known sizes": Column("openvino", "openvino", True),
    "openvino, default file": Column("openvino"),
    "reference": Column("reference", "reference"),
    "tract": Column("tract", "tract", True),
    "c": Column("c", "c", True),
    "onnx2tf": Column("onnx2tf", static=True, environment="onnx2tf"),
    "onnxslim": Column("onnxslim"),
    "onnxsim": Column("onnxsim"),
    "quant_pre_process": Column("quant_pre_process"),
    "quantize_dynamic": Column("quantize_dynamic", tolerance=INT8),
    "float16 of onnxruntime": Column("float16 of onnxruntime", tolerance=HALF),
    "float16 of onnxconverter": Column("float16 of onnxconverter", tolerance=HALF),
}


def prepare(folder: Path, columns: list[str]) -> list[dict[str, Any]]:
    """Files, inputs and expected outputs for each cell: the work of the environments."""
    work, written = [], {}
    for case, column in itertools.product(cases(), columns):
        row = COLUMNS[column]
        key = (case, row.runtime, row.static)
        if key not in written:
            written[key] = files_of(folder, len(written), *key)
        files, refused = written[key]
        work.append({"number": len(work), "case": case, "column": column, "runner": row.runner, "files": files,
                     "why": refused})  # fmt: skip
    return work


def files_of(folder: Path, number: int, case: Case, runtime: str, static: bool) -> tuple[list[list[str]], str]:
    """Pairs of an ONNX file and its data, one for each of `SIZES`; or why there is none."""
    files = []
    for place, (batch, steps) in enumerate(SIZES):
        path = folder / f"{number}-{place if static else 0}.onnx"
        model = model_of(case, batch, steps) if static else model_of(case, None, None)
        try:
            if static or not place:
                export(model, path, runtime=runtime)
        except ConversionError as error:
            return [], str(error)
        feed = feed_of(model, batch, steps)
        truth = interpret.run(model, feed)
        outputs = {f"out{k}": truth[value.name] for k, value in enumerate(model.outputs)}
        data = folder / f"{number}-{place}.npz"
        np.savez(data, **{f"in_{name}": array for name, array in feed.items()}, **outputs)  # type: ignore[arg-type]
        files.append([str(path), str(data)])
    return files, ""


def run(folder: Path, environments: Path, work: list[dict[str, Any]]) -> None:
    """Adds "error" or "why" to each item; a process that ends before its work is done refuses what it was at."""
    variables = {**os.environ, "WEB": str(environments / "web"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    for environment in dict.fromkeys(column.environment for column in COLUMNS.values()):
        left = [item for item in work if COLUMNS[item["column"]].environment == environment and not item["why"]]
        while left:
            todo, found = folder / "work.json", folder / "found.jsonl"
            found.unlink(missing_ok=True)
            todo.write_text(json.dumps([{k: item[k] for k in ("number", "runner", "files")} for item in left]))
            command = [str(environments / environment / "bin/python"), str(HERE / "run_exports.py"), todo, found]
            # In that folder, as onnxruntime's tools leave files where they run.
            ended = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL).returncode
            lines = [json.loads(line) for line in found.read_text().splitlines()] if found.exists() else []
            for line in lines:
                work[line["number"]].update(line)
            left = left[len(lines) :]
            if left:
                left.pop(0)["why"] = f"the process ended with {ended}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--environments", required=True, type=Path, help="folder of the environments")
    parser.add_argument("--only", action="append", choices=COLUMNS, help="a column")
    parser.add_argument("--docs", action="store_true", help="write the tables into docs/runtimes.md")
    parser.add_argument("--quiet", action="store_true", help="no table of all cells")
    given = parser.parse_args()
    columns = given.only or list(COLUMNS)
    with tempfile.TemporaryDirectory() as name:
        work = prepare(Path(name), columns)
        run(Path(name), given.environments.absolute(), work)
    for item in work:
        wrong = not item["why"] and item["error"] > COLUMNS[item["column"]].tolerance
        item["verdict"] = "refused" if item["why"] else "WRONG" if wrong else "right"
    print_cells(work, columns, given.quiet)
    if given.docs:
        write_docs(work, columns, ROOT / "docs/runtimes.md")
    return int(any(item["verdict"] == "WRONG" for item in work))


if __name__ == "__main__":
    sys.exit(main())
