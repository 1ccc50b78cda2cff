"""Every node of a model held to its own equation: its part of the exported graph against `reference_lstm`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from converter.holding import with_values
from converter.model import Array, Model, Node
from converter.model.layers import Constant, Recurrent, Scan
from converter.model.prune import directions_read
from converter.verification.coverage import Coverage, observing
from converter.verification.following import Worst
from converter.verification.graph_cutting import Operator, owners
from converter.verification.node_truth import truth_of
from converter.verification.recurrence import Equation, equation_of, recurrent_truth
from converter.verification.report import ONLY_ZEROS, NodeResult
from converter.verification.rounding import Near
from converter.verification.scans import Inside, steps_of, wires

SAID = 0.5  # a bound below this share of the largest value of its kind says something of it


@dataclass(frozen=True)
class PartsRun:
    """One run of the parts.

    Attributes:
        given, made: values by the model's names.
        shown: the states that operators went through, by tensor.
        tensors: which tensor holds each value.
        copied: of outputs of the file that should be copies of what was given, whether they are.
        inside: the values of the bodies of Scans.
    """

    given: Mapping[str, Array]
    made: Mapping[str, Array]
    shown: Mapping[str, Array]
    copied: Mapping[str, bool]
    tensors: Mapping[str, str]
    inside: Inside = field(default_factory=Inside)


def check_nodes(
    model: Model,
    needed: frozenset[str],
    runs: Sequence[PartsRun],
    operators: Sequence[Operator],
    coverage: Coverage,
    progress: Callable[[str], None] = lambda what: None,
) -> list[NodeResult]:
    """One result for each node that an output depends on.

    Args:
        model: the neutral model.
        needed: names of the values that an output depends on.
        runs: of the exported graph's parts.
        operators: recurrent ones in that graph.
        coverage: notes every choice.
        progress: called with each node.
    """
    by_owner: dict[str, list[Operator]] = {}
    for operator in operators:
        by_owner.setdefault(operator.owner, []).append(operator)
    names = {name: owner for owner, name in owners(node.name for node in model.nodes).items()}
    found = []
    for number, node in enumerate(model.nodes, 1):
        progress(f"nodes {number} of {len(model.nodes)}")
        if any(value.name in needed for value in node.outputs):
            own = by_owner.get(names.get(node.name, ""), [])
            found += _checked(node, runs, own, coverage, needed)
    return found


def _checked(
    node: Node, runs: Sequence[PartsRun], operators: Sequence[Operator], coverage: Coverage, needed: frozenset[str]
) -> list[NodeResult]:
    """A node and those of its body over all runs; its weights are held no longer."""
    held = replace(node, layer=with_values(node.layer))
    check = _Check(held, operators, coverage, needed)
    body = [_Check(inner, [], coverage, needed) for inner in held.layer.nodes] if isinstance(held.layer, Scan) else []
    for run in runs:
        check.run(run)
        for step in _steps(held, run) if body else ():
            for inner in body:
                inner.run(step)
    return [one.result() for one in (*body, check)]


def _steps(node: Node, run: PartsRun) -> Iterator[PartsRun]:
    """Each step of a Scan, as a run of the parts that its body is."""
    for values in steps_of(node, run.given, run.inside):
        yield PartsRun(values, values, {}, {}, {name: name for name in values})


class _Check:
    """One node, over some runs."""

    def __init__(self, node: Node, operators: Sequence[Operator], coverage: Coverage, needed: frozenset[str]) -> None:
        self._node, self._operators, self._coverage = node, operators, coverage
        self._equation: Equation | None = None
        if isinstance(node.layer, Recurrent):
            self._equation, self._read = equation_of(node.layer, node.outputs[0].dtype), directions_read(node, needed)
        self._worst, self._note = Worst(), ""
        self._values = self._steps = self._said = self._floats = self._nonzero = 0

    def run(self, run: PartsRun) -> None:
        """Compares what one run made."""
        node = self._node
        if isinstance(node.layer, Scan):
            for have, wired in wires(node, run.given, run.made, run.inside):
                self._compare(have, Near(wired))
            self._steps += len(run.given[node.inputs[node.layer.states].name])  # type: ignore[union-attr]
            return
        given = tuple(None if value is None else _exact(run.given[value.name]) for value in node.inputs)
        with observing(self._coverage, node.name), np.errstate(all="ignore"):
            wanted = self._recurrent(self._equation, given, run) if self._equation else [truth_of(node, given)]
        self._coverage.values(node, given, wanted[0].value)
        for value, want in zip(node.outputs, wanted, strict=True):
            if value.name in run.made:
                self._compare(self._made(value.name, run), want)

    def _made(self, name: str, run: PartsRun) -> Array:
        """What the node's part makes; where one tensor is both its input and its output, that: there is no part."""
        inputs = {run.tensors[value.name] for value in self._node.inputs if value is not None}
        return run.given[name] if run.tensors[name] in inputs else run.made[name]

    def _recurrent(self, equation: Equation, given: tuple[Array | None, ...], run: PartsRun) -> Sequence[Near]:
        seen = [states for operator in self._operators for states in _sequences(operator, run, self._node)]
        truth = recurrent_truth(equation, given, seen, self._read)
        self._steps += truth.steps
        if truth.worst.share > self._worst.share:
            self._worst = truth.worst
        return truth.outputs

    def _compare(self, have: Array, want: Near) -> None:
        if have.shape != want.value.shape:
            self._note = self._note or f"shape {list(have.shape)}, expected {list(want.value.shape)}"
            return
        if want.value.dtype.hasobject or have.dtype.hasobject:
            same = have == want.value
            self._worst.note(np.where(same, 0.0, 1.0), np.zeros(same.shape), 0.0)
            self._said += int(np.size(same))
        else:
            value = want.value.astype(np.float64)
            self._worst.note(have, value, want.error)
            self._said += _said(value, want.error)
            self._floats += value.size if have.dtype.kind == "f" else 0
            self._nonzero += int(np.count_nonzero(value))
        self._values += have.size

    def result(self) -> NodeResult:
        """What was found."""
        note = self._note
        if not note and self._values and not self._said:
            note = "no value is larger than its bound, so nothing is said of it"
        if not note and self._floats and not self._nonzero and not isinstance(self._node.layer, Constant):
            note = ONLY_ZEROS
        kind = type(self._node.layer).__name__
        return NodeResult(
            self._node.name, kind, self._values, self._steps, self._worst.share, self._worst.error, self._worst.allowed,
            wrong=bool(self._note) or self._worst.share > 1, note=note,
        )  # fmt: skip


def _said(value: Array, error: Array | float) -> int:
    """How many values have a bound that is small for their channel (the last axis), or are exact."""
    size = np.abs(value)
    size = np.where(np.isfinite(size), size, 0.0)
    if size.ndim > 1:
        size = np.max(size, axis=tuple(range(size.ndim - 1)), keepdims=True, initial=0.0)
    bound = np.broadcast_to(np.asarray(error), value.shape)
    return int(np.count_nonzero((bound <= SAID * size) | (bound == 0)))


def _exact(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _sequences(operator: Operator, run: PartsRun, node: Node) -> list[tuple[Array, ...]]:
    """The states an operator went through, of each of its directions; a Scan's in the layout of the layer."""
    shown = [run.shown[name] for name in operator.shown if name in run.shown]
    if not shown:
        return []
    if operator.native:
        return [(shown[0][:, k],) for k in range(shown[0].shape[1])]
    layer: Any = node.layer
    cell = layer.directions[0].cell
    states = shown[: max(direction.cell.states for direction in layer.directions)]
    if getattr(cell, "data_format", "") == "channels_last":  # channels first inside
        states = [np.moveaxis(state, 2, -1) for state in states]
    return [tuple(states)]


def constants(model: Model) -> frozenset[str]:
    """Names of the values that constants make."""
    return frozenset(node.outputs[0].name for node in model.nodes if isinstance(node.layer, Constant))


def needed_values(model: Model) -> frozenset[str]:
    """Names of the values that an output or a state depends on; the exporters have their own, in `model.prune`."""
    needed = {value.name for value in (*model.outputs, *(state.output for state in model.states))}
    for node in reversed(model.nodes):
        if any(value.name in needed for value in node.outputs):
            needed.update(value.name for value in node.inputs if value is not None)
    return frozenset(needed)
