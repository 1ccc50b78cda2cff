"""A TFLite file in LiteRT: whole, as its users run it, and cut into the parts of the model's nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, first_line
from converter.formats.tflite import PACKAGE, Contents, pack, read
from converter.model import Array, Model, Shape, Value
from converter.verification.graph_cutting import GIVEN, NOTHING, Listed, Operator
from converter.verification.rounding import Kernels
from converter.verification.runnable import Runnable
from converter.verification.tflite.claims import held_by, lite_claims_of
from converter.verification.tflite.cutting import cut
from converter.verification.weight_accounting import Accounts, account

THREADS = 1
# XNNPACK's, which LiteRT uses by default; of 2 million numbers each, LiteRT 2.3: exp is off by 63 u at 79,
# log by 2 u near 1, sqrt by 3.2 u of itself, tanh by 4.7, the logistic function by 1.5 u, sin and cos by 5.3 u.
KERNELS = Kernels(
    bias_first=True,
    flushes=True,
    unary={
        "exp": lambda x, y: (8 + np.abs(x)) * np.abs(y),
        "log": lambda x, y: 4 + 4 * np.abs(y),
        "sqrt": lambda x, y: 5 * np.abs(y),
        "sin": lambda x, y: 8 + 4 * np.abs(y),
        "cos": lambda x, y: 8 + 4 * np.abs(y),
    },
)
STATES = "@states"  # behind the name of a tensor: what it shows of an operator's states


class LiteFile:
    """A TFLite file; see `converter.verification.runnable.Runnable`.

    Raises InvalidModel for what is none, Unsupported where the runtime is not installed, OSError for what cannot be
    read.
    """

    kernels = KERNELS
    resizes = True

    def __init__(self, path: Path) -> None:
        self.contents: Contents = read(path)
        self.calibrated = "quantized" in self.contents.metadata
        self.title = f"LiteRT {version(PACKAGE)}"
        names = self.contents.names
        graph = self.contents.graph
        self.inputs = tuple(names[place] for place in graph.inputs)
        self.outputs = tuple(names[place] for place in graph.outputs)
        self.sizes = tuple(_sizes(graph.tensors[place]) for place in graph.inputs)
        self.tensors = self.contents.said("values")
        self.initializers = {names[place]: place for place in self.contents.constants(graph)}
        made = {names[place] for op in graph.operators for place in op.outputs}
        self.known = frozenset(made) | set(self.initializers) | set(self.inputs)

    @property
    def listed(self) -> list[Listed]:
        """The operators of the main graph, in order; each is called as its first output."""
        names = self.contents.names
        return [
            Listed(
                names[op.outputs[0]], owner, self.contents.kind(op),
                tuple(names[place] for place in op.inputs if place >= 0), tuple(names[place] for place in op.outputs),
            )
            for op, owner in zip(self.contents.graph.operators, self.contents.owners(), strict=True)
        ]  # fmt: skip

    def constant(self, name: str) -> Array:
        """The values of a constant."""
        return self.contents.values(self.contents.graph, self.initializers[name])

    def whole(self) -> Interpreted:
        """The file as it is."""
        return Interpreted(self.contents.data, self.inputs, self.outputs)

    def parts(self, tensors: Mapping[str, Sequence[Value]], inside: Mapping[str, Sequence[Value]] = NOTHING) -> Cuts:
        """The file cut at these tensors; it has no Scans."""
        return Cuts(self.contents, tensors)

    def account(self, model: Model, needed: frozenset[str]) -> Accounts:
        """What each constant is."""
        return account(model, needed, held_by(self.contents), lite_claims_of)


class Interpreted:
    """A file in the interpreter, on one thread. Raises InvalidModel where it cannot be loaded or run."""

    def __init__(self, data: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self._inputs, self._outputs = inputs, outputs
        try:
            with _quiet():
                self._interpreter = _interpreter()(model_content=data, num_threads=THREADS)
        except (ValueError, RuntimeError) as error:
            raise InvalidModel(f"LiteRT cannot load it: {first_line(error)}") from error
        self._given = self._interpreter.get_input_details()
        self._made = self._interpreter.get_output_details()
        self._shapes: list[tuple[int, ...]] = []

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name for inputs by name, which are cast to the file's types."""
        given = [np.asarray(feed[name], one["dtype"]) for name, one in zip(self._inputs, self._given, strict=True)]
        try:
            self._fit([array.shape for array in given])
            for one, array in zip(self._given, given, strict=True):
                self._interpreter.set_tensor(one["index"], array)
            self._interpreter.invoke()
            made = [self._interpreter.get_tensor(one["index"]) for one in self._made]
        except (ValueError, RuntimeError) as error:
            raise InvalidModel(f"LiteRT cannot run it: {first_line(error)}") from error
        return dict(zip(self._outputs, made, strict=True))

    def _fit(self, shapes: list[tuple[int, ...]]) -> None:
        """Makes room for inputs of these shapes; the states stay what they are where nothing changes."""
        if shapes == self._shapes:
            return
        with _quiet():
            for one, shape in zip(self._given, shapes, strict=True):
                self._interpreter.resize_tensor_input(one["index"], shape)
            self._interpreter.allocate_tensors()
        self._shapes = shapes


class Cuts:
    """The parts of a file's graph; see `converter.verification.runnable.Parts`."""

    def __init__(self, contents: Contents, tensors: Mapping[str, Sequence[Value]]) -> None:
        model, shown = cut(contents, tensors)
        self.operators = tuple(Operator(one.owner, True, (f"{one.tensor}{STATES}",)) for one in shown)
        self._time_major = {one.tensor: one.time_major for one in shown}
        graph = model.subgraphs[0]
        self._names = [bytes(graph.tensors[place].name).decode() for place in graph.inputs]
        made = [bytes(graph.tensors[place].name).decode() for place in graph.outputs]
        self._session = Interpreted(pack(model), self._names, made)

    def run(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Tensors by name in and out; sequences of states as [time, 1, batch, units]."""
        made = self._session.run({name: values[name.removesuffix(GIVEN)] for name in self._names})
        found = dict(made)
        for name, time_major in self._time_major.items():
            steps = made[name]
            found[f"{name}{STATES}"] = (steps if time_major else np.swapaxes(steps, 0, 1))[:, None]
        return found


def opened(path: Path) -> Runnable:
    """The file, ready to run."""
    return LiteFile(path)


def _sizes(tensor: Any) -> Shape:
    said = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return () if said is None else tuple(None if n < 0 else int(n) for n in said)


def _interpreter() -> Any:
    try:
        return import_module("ai_edge_litert.interpreter").Interpreter
    except ImportError as error:
        raise Unsupported(f"{PACKAGE} is not installed", hint=f"pip install {PACKAGE}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the runtime writes to the standard error of its own accord."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        with suppress(OSError):
            os.dup2(kept, 2)
        os.close(kept)
