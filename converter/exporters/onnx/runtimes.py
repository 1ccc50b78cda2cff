"""What each runtime that a file may be made for computes rightly: one row a runtime, found by running it.

Measured by benchmarks/runtimes.py, which prints the table of docs/runtimes.md. A recurrent layer that a runtime's
operators do not compute becomes a Scan.
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
        peepholes: whether the LSTM operator has them.
        bidirectional: whether one operator may have both directions.
        reverse: whether direction="reverse" is right.
        time_major: whether they may read an x that has time first as it comes.
        lengths: whether sequence_lens may be given, as a hint that saves work.
        compaction: whether a masked layer may be an operator too, see masks.py; else it becomes a Scan.
        named_forward: whether direction="forward", the default, may be said.
        each_alpha: whether activation_alpha and activation_beta have one for each activation, not for some alone.
        scan_options: whether a Scan may go backwards, and put its outputs along another axis than the first.
        negative_steps: whether Slice may go backwards.
        static: whether all sizes must be known.
    """

    title: str
    operators: frozenset[str] = frozenset({"LSTM", "GRU", "RNN"})
    activations: frozenset[str] = EVERY
    peepholes: bool = True
    bidirectional: bool = True
    reverse: bool = True
    time_major: bool = True
    lengths: bool = True
    compaction: bool = True
    named_forward: bool = True
    each_alpha: bool = False
    scan_options: bool = True
    negative_steps: bool = True
    static: bool = False


DEFAULT = "onnxruntime"
PLAIN = frozenset({"Sigmoid", "Tanh"})
RUNTIMES: Mapping[str, Runtime] = {
    DEFAULT: Runtime("onnxruntime"),
    # With direction="reverse" it runs other layers over the same x backwards, too; of two over one x that comes with
    # time first it gets one wrong where sizes are known.
    "openvino": Runtime("OpenVINO", activations=PLAIN | {"Relu"}, peepholes=False, reverse=False, time_major=False),
    "reference": Runtime("onnx.reference", frozenset({"LSTM"}), PLAIN, lengths=False, scan_options=False),
    "tract": Runtime(
        "tract", activations=PLAIN, bidirectional=False, reverse=False, lengths=False, compaction=False, static=True
    ),
    "c": Runtime(
        "C by emx-onnx-cgen",
        activations=EVERY,
        bidirectional=False,
        reverse=False,
        named_forward=False,
        each_alpha=True,
        scan_options=False,
        negative_steps=False,
        static=True,
    ),
}


def runtime(name: str) -> Runtime:
    """A row by its name.

    Raises:
        Unsupported: there is none.
    """
    if name not in RUNTIMES:
        raise Unsupported(f"runtime {name}", hint=f"choose one of {', '.join(RUNTIMES)}")
    return RUNTIMES[name]
