"""Where Keras 3 adds a bias on TensorFlow: its `add` takes some operands for vectors along another axis.

Source: `add` of keras/src/backend/tensorflow/numpy.py, in 3.10 and 3.15, not in 3.3.
"""

from __future__ import annotations

from converter.errors import Unsupported
from converter.keras.spec import Call
from converter.model import Shape


def refuse_misplaced(call: Call, x: Shape, bias: Shape) -> None:
    """Refuse the sum of x and a bias that TensorFlow's backend adds along another axis than it is meant for.

    Raises:
        Unsupported: the axes are of one size, and the file does not say which backend is meant.
    """
    if call.era.switch("adds_vectors_misplaced") and is_misplaced(x, bias):
        hint = "Keras 3 adds it along another axis of that size, on TensorFlow only; files do not say which backend"
        raise Unsupported(f"the bias of shape {bias} of a tensor of shape {x}", hint=hint)


def is_misplaced(x: Shape, bias: Shape) -> bool:
    """Whether a bias that is a vector but for axes of 1 goes to the last axis or axis 1, and not where it should."""
    sizes = [n for n in bias if n != 1]
    if len(sizes) != 1 or sizes[0] is None or len(x) < 2 or sizes[0] not in {x[1], x[-1]}:
        return False
    taken = len(x) - 1 if x[-1] == sizes[0] else 1
    return taken != len(x) - len(bias) + bias.index(sizes[0])
