"""Which runtimes and tools make of an export what Keras makes of the model: one row a configuration, one column each.

    python -m benchmarks.runtimes --python RUNTIMES/bin/python [--only openvino] [--only reference]

RUNTIMES is an environment of its own:
`pip install onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 tract==0.23.9 emx-onnx-cgen==1.4.0 onnxslim onnxsim
onnxconverter-common sympy`; C also needs gcc. Each cell is "right" (within 2e-5 of the scale of the float64 reference),
"refused" (by us or by the runtime), or "WRONG". The exit code is 1 where a cell is silently wrong. Run by hand.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import HERE, ROOT, table
from converter import interpret
from converter.errors import ConversionError
from converter.exporters.onnx import export
from converter.model import Model, Node, Provenance, Value, constant, layers
from converter.model.activations import NAMES, SIGMOID, TANH, Activation

BATCH, STEPS, FEATURES, UNITS = 3, 7, 3, 4
GATES = {"sigmoid": SIGMOID, "hard_sigmoid": Activation("hard_sigmoid", (1 / 6, 0.5)), "relu": NAMES["relu"]}
TOLERANCE = 2e-5
# Column -> the runtime the file is written for, and whether with known sizes.
COLUMNS = {
    "onnxruntime": ("onnxruntime", False),
    "openvino": ("openvino", False),
    "openvino, default file": ("onnxruntime", False),
    "openvino, known sizes": ("openvino", True),
    "reference": ("reference", False),
    "tract": ("tract", True),
    "c": ("c", True),
    "onnxslim": ("onnxruntime", False),
    "onnxsim": ("onnxruntime", True),
    "quant_pre_process": ("onnxruntime", False),
}


@dataclass(frozen=True)
class Case:
    """One configuration of a recurrent layer."""

    cell: str
    direction: str
    gate: str
    masked: bool
    sequences: bool
    states: bool

    def __str__(self) -> str:
        gate = self.gate if self.gate != "sigmoid" else ""
        parts = [self.cell, self.direction, gate, "masked" * self.masked, "sequences" if self.sequences else "last"]
        return ", ".join(filter(None, [*parts, "states" * self.states]))


def cases() -> Iterator[Case]:
    """Cells × directions × gates × masks × outputs."""
    for cell, direction, masked, sequences in itertools.product(
        ("LSTM", "GRU", "SimpleRNN"), ("forward", "backwards", "bidirectional"), (False, True), (True, False)
    ):
        yield Case(cell, direction, "sigmoid", masked, sequences, False)
    for cell, masked in itertools.product(("LSTM", "GRU"), (False, True)):
        yield Case(cell, "forward", "sigmoid", masked, True, True)
        yield Case(cell, "forward", "hard_sigmoid", masked, True, False)
        yield Case(cell, "forward", "relu", masked, False, True)


def model_of(case: Case, static: bool) -> Model:
    """A neutral model with random weights."""
    rng = np.random.default_rng(7)
    width = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[case.cell] * UNITS

    def cell() -> layers.Cell:
        kernel, recurrent = (constant("w", rng.normal(0, 0.5, (n, width)).astype("f")) for n in (FEATURES, UNITS))
        if case.cell == "GRU":
            bias = constant("b", rng.normal(0, 0.5, (2, width)).astype("f"))
            return layers.GRUCell(UNITS, kernel, recurrent, bias, TANH, GATES[case.gate], True)
        bias = constant("b", rng.normal(0, 0.5, width).astype("f"))
        if case.cell == "SimpleRNN":
            return layers.SimpleRNNCell(UNITS, kernel, recurrent, bias, TANH)
        return layers.LSTMCell(UNITS, kernel, recurrent, bias, TANH, GATES[case.gate])

    sides = {"forward": [(False, False)], "backwards": [(True, False)], "bidirectional": [(False, False), (True, True)]}
    directions = tuple(layers.Direction(cell(), *side) for side in sides[case.direction])
    lead: tuple[int | None, ...] = (BATCH, STEPS) if static else (None, None)
    x, mask = Value("x", (*lead, FEATURES), "float32"), Value("mask", lead, "bool")
    merge = "concat" if len(directions) == 2 else None
    count = sum(direction.cell.states for direction in directions)
    end = (UNITS * len(directions),)
    y = Value("rnn:0", (*lead, *end) if case.sequences else (lead[0], *end), "float32")
    states = tuple(Value(f"rnn:{k + 1}", (lead[0], UNITS), "float32") for k in range(count))
    given = mask if case.masked else None
    layer = layers.Recurrent(directions, merge, case.sequences)
    node = Node("rnn", layer, (x, given, *[None] * count), (y, *states), "rnn")
    wanted = (y, *states) if case.states else (y,)
    inputs = (x, mask) if case.masked else (x,)
    names = tuple(f"y{k}" for k in range(len(wanted)))
    source = Provenance("m", "made here", "3.15.1", "Keras 3.15.1", "", "")
    return Model("m", inputs, wanted, names, (node,), (), (), source, ())


def prepare(folder: Path, columns: list[str]) -> list[dict[str, str]]:
    """Writes a file, inputs and expected outputs for each cell; gives the work of the other environment."""
    work = []
    rng = np.random.default_rng(1)
    for number, (case, column) in enumerate(itertools.product(cases(), columns)):
        runtime, static = COLUMNS[column]
        model, path = model_of(case, static), folder / f"{number}.onnx"
        x = rng.normal(0, 1, (BATCH, STEPS, FEATURES)).astype("f")
        mask = rng.random((BATCH, STEPS)) < 0.6
        mask[-1] = False
        feed = {"x": x, "mask": mask} if case.masked else {"x": x}
        item = {"case": str(case), "column": column, "path": str(path), "refused": ""}
        try:
            export(model, path, runtime=runtime)
        except ConversionError as error:
            item["refused"] = str(error)
        truth = interpret.run(model, feed)
        outputs = {f"out{k}": truth[value.name] for k, value in enumerate(model.outputs)}
        np.savez(path.with_suffix(".npz"), **{f"in_{name}": a for name, a in feed.items()}, **outputs)
        work.append(item)
    return work


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", required=True, help="of the environment with the runtimes")
    parser.add_argument("--only", action="append", choices=COLUMNS, help="a column")
    given = parser.parse_args()
    columns = given.only or list(COLUMNS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "work.json").write_text(json.dumps(prepare(folder, columns)))
        command = [given.python, str(HERE / "run_exports.py"), str(folder / "work.json")]
        subprocess.run(command, check=True, cwd=ROOT)
        found = json.loads((folder / "work.json").read_text())
    by_case: dict[str, dict[str, str]] = {}
    for item in found:
        by_case.setdefault(item["case"], {})[item["column"]] = item["verdict"]
    table(["", *columns], [[case, *(row[column] for column in columns)] for case, row in by_case.items()])
    for verdict in ("right", "refused", "WRONG"):
        counts = [sum(row[column].startswith(verdict) for row in by_case.values()) for column in columns]
        print(f"{verdict}: " + ", ".join(f"{column} {n}" for column, n in zip(columns, counts, strict=True)))
    for item in found:
        if item.get("why"):
            print(f"{item['column']}: {item['case']}: {item['why']}")
    return int(any(v.startswith("WRONG") for row in by_case.values() for v in row.values()))


if __name__ == "__main__":
    sys.exit(main())
