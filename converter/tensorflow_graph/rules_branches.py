"""Branches of which the model takes one: both are computed, and each result is picked from what both made of it.

That gives the same numbers, as Where only picks; it is done where no branch has an effect, and where both make tensors
of the same sizes. Source: tensorflow/core/ops/functional_ops.cc.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.model import Node, Value, layers
from converter.tensorflow_graph.definitions import Body, Step
from converter.tensorflow_graph.running import branch_of, branches_of
from converter.tensorflow_graph.sizes import Dims
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.walking import Walk


def translate_branches(t: Translating, step: Step, inputs: Sequence[Any], walk: Walk) -> list[Any]:
    """The results of an If or a Case.

    Raises:
        Unsupported: a branch has an effect, or the branches make different things.
    """
    which, *arguments = inputs
    bodies = branches_of(step, t.library)
    if isinstance(which, np.ndarray | np.generic):
        return walk.call(branch_of(step, bodies, which), arguments)
    which = t.value(step, which)
    if which.shape:
        raise Unsupported(f"{step.text()} chooses by a tensor of shape {which.shape}")
    made = [_made(t, step, body, arguments, walk) for body in bodies]
    o = t.ops(step)
    if len(bodies) == 2 and step.op.endswith("If"):
        if which.dtype != "bool":
            which = o.elementwise("not_equal", which, o.constant(0, which.dtype))
        t.settle()
        return [_picked(t, step, which, *pair) for pair in zip(*reversed(made), strict=True)]
    results = made[-1]  # which is taken for every other number, too
    for k, branch in enumerate(made[:-1]):
        chosen = o.elementwise("equal", which, o.constant(k, which.dtype))
        t.settle()
        results = [_picked(t, step, chosen, *pair) for pair in zip(branch, results, strict=True)]
    return results


def _made(t: Translating, step: Step, body: Body, arguments: Sequence[Any], walk: Walk) -> list[Any]:
    """What one branch makes.

    Raises:
        Unsupported: it has an effect, or divides whole numbers: by 0 perhaps, where it is not taken.
    """
    assigned, begun = dict(t.assigned), len(t.graph.nodes)
    results = walk.call(body, arguments)
    if t.assigned != assigned:
        raise Unsupported(f"{step.text()} writes to variables in one of its branches")
    if any(_divides(node) for node in t.graph.nodes[begun:]):
        raise Unsupported(f"{step.text()} divides whole numbers in one of its branches")
    return results


def _divides(node: Node) -> bool:
    dividing = isinstance(node.layer, layers.Elementwise) and node.layer.op in ("divide", "floor_divide", "mod")
    return dividing and "int" in node.outputs[0].dtype


def _picked(t: Translating, step: Step, condition: Value, one: Any, other: Any) -> Any:
    """One where the condition is true, else the other.

    Raises:
        Unsupported: they are not tensors of the same sizes.
    """
    if one is other or _equal(one, other):
        return one
    if not all(isinstance(x, Value | np.ndarray | np.generic | Dims) or hasattr(x, "weight") for x in (one, other)):
        raise Unsupported(f"{step.text()} makes lists or variables in its branches")
    a, b = t.value(step, one), t.value(step, other)
    if a.dtype != b.dtype or t.axes(a) != t.axes(b):
        raise Unsupported(f"{step.text()} makes tensors of sizes in its branches of which nothing says that they agree")
    made = t.ops(step).where(condition, a, b)
    return t.know(made, t.axes(a))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Dims) and isinstance(other, Dims):
        return one.dtype == other.dtype and one.array.shape == other.array.shape and one.axes() == other.axes()
    arrays = all(isinstance(x, np.ndarray | np.generic) for x in (one, other))
    return arrays and one.dtype == other.dtype and np.array_equal(one, other) and np.shape(one) == np.shape(other)
