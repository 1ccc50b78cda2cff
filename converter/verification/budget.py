"""What the proof of a model would take, estimated from its shapes before anything is made."""

from __future__ import annotations

import math

from converter import limits
from converter.errors import Unsupported
from converter.model import Model, Shape
from converter.model.layers import Recurrent, Scan, every_node

OPEN = 3  # rows, or steps, that the proof gives to an open axis at least
_HINT = "--no-verify converts it without a proof"


def check(model: Model) -> None:
    """Refuses a model that would fill the memory of the proof, or keep it busy without end.

    Raises:
        Unsupported: a value of more than limits.PROOF_BYTES, or recurrent layers of more than limits.PROOF_STEPS steps.
    """
    values = [
        *model.inputs,
        *(state.input for state in model.states),
        *(v for node in every_node(model.nodes) for v in node.outputs),
    ]
    for value in values:
        size = 8 * math.prod(OPEN if n is None else n for n in value.shape)
        if size > limits.PROOF_BYTES:
            shown = tuple("open" if n is None else n for n in value.shape)
            raise Unsupported(
                f"the proof would hold {size} bytes for one value of shape {shown}", where=value.name, hint=_HINT
            )
    steps = [
        _steps(node.inputs[0].shape) for node in model.nodes if isinstance(node.layer, Recurrent) and node.inputs[0]
    ]
    scans = [(node, node.layer.states) for node in model.nodes if isinstance(node.layer, Scan)]
    steps += [_steps(sequence.shape[:1]) for node, place in scans if (sequence := node.inputs[place]) is not None]
    if max(steps, default=0) > limits.PROOF_STEPS or sum(steps) > limits.PROOF_STEPS_IN_ALL:
        raise Unsupported(f"the proof would take {sum(steps)} steps through recurrent layers", hint=_HINT)


def _steps(shape: Shape) -> int:
    """Steps of a sequence [batch, time, ...] or [time, batch, ...]."""
    return max((n or OPEN for n in shape[:2]), default=OPEN)
