"""What a proof asks of a file that is run, whatever its format and runtime."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from converter.errors import InvalidModel
from converter.exporters import EXPORTERS, row_of
from converter.lines import shape
from converter.model import Array, Model, Shape, Value
from converter.verification.graph_cutting import NOTHING, Listed, Operator
from converter.verification.rounding import Kernels
from converter.verification.weight_accounting import Accounts


class PlacesUnknown(InvalidModel):
    """A file does not say which of its tensors a value is: another program's, or one that lost its metadata."""

    def __init__(self, value: str) -> None:
        super().__init__(
            f"the file does not say which of its tensors is {value}; its outputs alone are compared with --tolerance"
        )


class Session(Protocol):
    """A file that is ready to run."""

    def run(self, feed: Mapping[str, Array]) -> Mapping[str, Array]:
        """All outputs by name for inputs by name, which are cast to the file's types."""


class Parts(Protocol):
    """The parts of a file's graph, one for each node of the model."""

    @property
    def operators(self) -> Sequence[Operator]:
        """The recurrent operators, and the tensors that show their states."""

    def run(self, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """What each part makes of given values: tensors by name in and out, and the states that operators show."""


class Runnable(Protocol):
    """An exported file.

    Attributes:
        title: the runtime and its version.
        kernels: what its kernels do.
        calibrated: whether it was made for values as those of the user's data, and is off beyond them.
        resizes: whether its runtime takes batches of other sizes than the one it fixes.
    """

    title: str
    kernels: Kernels
    calibrated: bool
    resizes: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names in the file's order, states included."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The same of its outputs."""

    @property
    def sizes(self) -> tuple[Shape, ...]:
        """Shapes of its inputs, None where they are open; () where it takes what the model takes."""

    @property
    def tensors(self) -> Mapping[str, str]:
        """By the name of the model's value which tensor holds it, as the file says."""

    @property
    def known(self) -> frozenset[str]:
        """Every tensor that there is."""

    @property
    def initializers(self) -> Collection[str]:
        """Names of its weights and constants."""

    @property
    def listed(self) -> Sequence[Listed]:
        """The operators of its main graph, in order."""

    def constant(self, name: str) -> Array:
        """The values of one of them."""

    def whole(self) -> Session:
        """The file as its users run it."""

    def parts(self, tensors: Mapping[str, Sequence[Value]], inside: Mapping[str, Sequence[Value]] = NOTHING) -> Parts:
        """The file cut at these tensors, each with the values of the model that it holds.

        `inside`: tensors of the bodies of Scans, to be shown after each step.
        """

    def account(self, model: Model, needed: frozenset[str]) -> Accounts:
        """What each of its weights and constants is."""


def opened(path: Path) -> Runnable:
    """A file, in the runtime of its target; what looks like none is tried as ONNX.

    Raises:
        InvalidModel, Unsupported, OSError: it cannot be read, or its runtime is not installed.
    """
    row = row_of(path, "runs") or EXPORTERS["onnx"]
    file: Runnable = import_module(row.runs).opened(path)
    return file


def differs(model: Model, file: Runnable) -> str:
    """Why the file's inputs and outputs cannot be this model's, or ""."""
    for what, have, want in (
        ("inputs", len(file.inputs), len(model.inputs) + len(model.states)),
        ("outputs", len(file.outputs), len(model.outputs) + len(model.states)),
    ):
        if have != want:
            given = "; name the --outputs, --inputs and --stateful that it was made with"
            return f"the exported file has {have} {what}, the model {want} (states included){given}"
    values = [*model.inputs, *(state.input for state in model.states)]
    first = 1 if file.resizes else 0
    for name, theirs, value in zip(file.inputs, file.sizes, values, strict=False):
        if len(theirs) == len(value.shape) and any(
            None not in (a, b) and a != b for a, b in zip(theirs[first:], value.shape[first:], strict=True)
        ):
            return f"its input {name} is {shape(theirs)}, the model's {value.name} {shape(value.shape)}"
    return ""
