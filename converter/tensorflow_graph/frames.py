"""TensorFlow 1's loops, frames of Enter, Merge, Switch, NextIteration and Exit, as While steps with two bodies.

A frame holds, for each loop variable, Enter -> Merge -> Switch -> ... -> NextIteration -> Merge, and Switch -> Exit;
what the loop only reads enters by an Enter that is constant. Source: tensorflow/tensorflow,
`core/ops/control_flow_ops.cc`; Abadi and others, "Dynamic control flow in large-scale machine learning", 2018.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from converter.errors import InvalidModel, Unsupported, clean
from converter.tensorflow_graph.definitions import Body, Ref, Step

_FRAME = {"Enter", "RefEnter"}


@dataclass(frozen=True)
class _Variable:
    """One loop variable: names of its steps."""

    merge: str
    switch: str
    next: Ref


class Unrolled(Mapping[str, Step]):
    """The steps of a graph, each Exit replaced by an Identity of an output of its loop's While."""

    def __init__(self, steps: Mapping[str, Step], made: Mapping[str, Step]) -> None:
        self._steps, self._made = steps, made

    def __getitem__(self, name: str) -> Step:
        made = self._made.get(name)
        return self._steps[name] if made is None else made

    def __iter__(self) -> Iterator[str]:
        yield from self._steps
        yield from (name for name in self._made if name not in self._steps)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def without_frames(steps: Mapping[str, Step]) -> Mapping[str, Step]:
    """The same steps with every frame as a While.

    Raises:
        InvalidModel: a frame is no loop.
        Unsupported: a loop within a loop.
    """
    frames: dict[str, list[Step]] = defaultdict(list)
    for step in steps.values():
        if step.op in _FRAME:
            frames[step.attributes.get("frame_name", "")].append(step)
    readers = _readers(steps)
    made: dict[str, Step] = {}
    for name, enters in frames.items():
        made.update(_while(name, enters, steps, readers))
    return Unrolled(steps, made) if made else steps


def _while(
    frame: str, enters: list[Step], steps: Mapping[str, Step], readers: Mapping[str, list[Step]]
) -> dict[str, Step]:
    """The While of a frame, and an Identity for each Exit."""
    constants = [step for step in enters if step.attributes.get("is_constant")]
    changing = [step for step in enters if not step.attributes.get("is_constant")]
    variables = [_variable(step, steps, readers) for step in changing]
    conditions = {steps[v.switch].inputs[1] for v in variables}
    if len(conditions) != 1:
        raise InvalidModel(f"the loop {clean(frame, 80)} has {len(conditions)} conditions")
    condition = steps[conditions.pop()[0]]
    if any(step.op in _FRAME for v in variables for step in readers[v.switch]):
        raise Unsupported(f"the loop {clean(frame, 80)} has a loop inside")
    fixed: dict[Ref, int] = {(step.name, 0): len(variables) + k for k, step in enumerate(constants)}
    merged: dict[Ref, int] = {(v.merge, 0): k for k, v in enumerate(variables)}
    switched: dict[Ref, int] = {(v.switch, 1): k for k, v in enumerate(variables)}
    passed = tuple((step.name, 0) for step in constants)
    cond = Body(f"{frame}/cond", steps, {**merged, **fixed}, (condition.inputs[0],))
    body = Body(f"{frame}/body", steps, {**switched, **fixed}, (*(v.next for v in variables), *passed))
    name = f"{frame}/while" if frame else "while"
    inputs = tuple(step.inputs[0] for step in (*changing, *constants))
    made = {name: Step(name, "While", inputs, (), loop=(cond, body))}
    for k, v in enumerate(variables):
        for step in readers[v.switch]:
            if step.op in ("Exit", "RefExit"):
                made[step.name] = Step(step.name, "Identity", ((name, k),), ())
    return made


def _readers(steps: Mapping[str, Step]) -> dict[str, list[Step]]:
    """Which steps read each step."""
    readers: dict[str, list[Step]] = defaultdict(list)
    for step in steps.values():
        for ref in step.inputs:
            readers[ref[0]].append(step)
    return readers


def _variable(enter: Step, steps: Mapping[str, Step], readers: Mapping[str, list[Step]]) -> _Variable:
    merge = next((s for s in readers[enter.name] if s.op in ("Merge", "RefMerge")), None)
    switch = next((s for s in readers[merge.name] if s.op in ("Switch", "RefSwitch")), None) if merge else None
    if merge is None or switch is None or len(merge.inputs) != 2:
        raise InvalidModel(f"{clean(enter.name, 80)} enters no loop")
    back = next(steps[name] for name, _ in merge.inputs if name != enter.name)
    if back.op not in ("NextIteration", "RefNextIteration"):
        raise InvalidModel(f"{clean(enter.name, 80)} enters no loop")
    return _Variable(merge.name, switch.name, back.inputs[0])
