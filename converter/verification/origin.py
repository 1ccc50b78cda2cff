"""A model recovered from a graph next to the graph itself: the second proof of that route.

The graph runs in NumPy as it is in the file, loops and all, by kernels that share nothing with the translation;
the neutral model runs on `reference_lstm`. Both must give the same on inputs that reach masks and lengths; neither
rounds to half precision, so that what the graph says of that does not hide an error.
"""

from __future__ import annotations

import numpy as np

from converter.errors import InvalidModel
from converter.interpret import run
from converter.model import Array, Model
from converter.verification.inputs import LENGTHS, SHAPES, cases_of

BOUND = 1e-5
FACTOR = 10


def check_origin(model: Model) -> None:
    """Compares a model with the graph that it was recovered from; does nothing for other models.

    Allowed are BOUND of the largest output, or FACTOR times what float32 costs the model itself.

    Raises:
        InvalidModel: they differ.
    """
    if model.origin is None:
        return
    inputs, exact = _first_taken(model)
    single = run(model, inputs, dtype="float32")
    for value, name, made in zip(model.outputs, model.output_names, model.origin(inputs), strict=True):
        error, own, scale = _difference(exact[value.name], single[value.name], made)
        if not error <= max(BOUND * scale, FACTOR * own):
            raise InvalidModel(
                f"what was recovered from the graph gives another {name} than the graph itself, by {error:.1e}",
                hint="please report it",
            )


def _first_taken(model: Model) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs that the model takes, which may need more steps than we begin with, and what it makes of them."""
    batch, first = SHAPES[-1]
    for length in (first, *LENGTHS):
        (case,) = cases_of(model, shapes=[(batch, length)])
        inputs = dict(case.calls[0])
        try:
            return inputs, run(model, inputs)
        except (ValueError, IndexError) as error:
            why = error
    raise InvalidModel(f"the model takes no sequence of {first} to {LENGTHS[-1]} steps that was tried: {why}")


def _difference(exact: Array, single: Array, made: Array) -> tuple[float, float, float]:
    """The largest error of the graph, of float32, and the largest output; infinite where only one side is finite."""
    if exact.shape != made.shape:
        return float("inf"), 0.0, 1.0
    if exact.dtype.kind != "f":
        return float(np.max(exact != made, initial=0)), 0.0, 1.0
    finite = np.isfinite(exact)
    if not np.array_equal(finite, np.isfinite(made)):
        return float("inf"), 0.0, 1.0
    truth, have, rounded = exact[finite], made[finite].astype(np.float64), single[finite].astype(np.float64)
    error, own = (float(np.max(np.abs(other - truth), initial=0.0)) for other in (have, rounded))
    return error, own, max(1.0, float(np.max(np.abs(truth), initial=0.0)))
