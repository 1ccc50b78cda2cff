"""What each runtime that a file may be made for computes rightly: one row a runtime, found by running it.

Measured by benchmarks/runtimes.py, which prints the table of docs/runtimes.md. A recurrent layer that a runtime's
operators do not compute becomes a Scan, if it has that; else it is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from converter.errors import Unsupported
from converter.model.activations import NATIVE

EVERY = frozenset(name for name, _ in NATIVE.values())


@dataclass(frozen=True)
class Runtime:
    """One row.

    Attributes:
        title: what users call it.
        operators: recurrent operators that are right.
        activations: of those operators, by ONNX' names.
        bidirectional: whether one operator may have both directions.
        reverse: whether direction="reverse" is right.
        lengths: whether sequence_lens may be given, as a hint that saves work.
        compaction: whether a masked layer may be an operator too, see masks.py; else it becomes a Scan.
        scans: whether it has Scan.
        scan_options: whether that may go backwards, and put its outputs along another axis than the first.
        static: whether all sizes must be known.
    """

    title: str
    operators: frozenset[str] = frozenset({"LSTM", "GRU", "RNN"})
    activations: frozenset[str] = EVERY
    bidirectional: bool = True
    reverse: bool = True
    lengths: bool = True
    compaction: bool = True
    scans: bool = True
    scan_options: bool = True
    static: bool = False


DEFAULT = "onnxruntime"
PLAIN = frozenset({"Sigmoid", "Tanh"})
RUNTIMES: Mapping[str, Runtime] = {
    DEFAULT: Runtime("onnxruntime"),
    "openvino": Runtime("OpenVINO", activations=PLAIN | {"Relu"}),
    "reference": Runtime("onnx.reference", frozenset({"LSTM"}), PLAIN, lengths=False, scan_options=False),
    "tract": Runtime(
        "tract", activations=PLAIN, bidirectional=False, reverse=False, lengths=False, compaction=False, static=True
    ),
    "c": Runtime("C by emx-onnx-cgen", frozenset({"LSTM"}), PLAIN, bidirectional=False, reverse=False, static=True),
}


def runtime(name: str) -> Runtime:
    """A row by its name.

    Raises:
        Unsupported: there is none.
    """
    if name not in RUNTIMES:
        raise Unsupported(f"runtime {name}", hint=f"choose one of {', '.join(RUNTIMES)}")
    return RUNTIMES[name]
