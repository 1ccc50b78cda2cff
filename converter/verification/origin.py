"""A model recovered from a graph next to the graph itself: the second proof of that route.

The graph runs in NumPy as it is in the file, loops and all, by kernels that share nothing with the translation;
the neutral model runs on `reference_lstm`. Both must give the same on inputs that reach masks and lengths; neither
rounds to half precision, so that what the graph says of that does not hide an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from converter.errors import SURPRISES, ConversionError, InvalidModel, Unsupported, clean
from converter.interpret import run
from converter.model import Array, Model
from converter.verification.calls import check_batches
from converter.verification.inputs import LENGTHS, SHAPES, cases_of

if TYPE_CHECKING:
    from converter.readers.function_graph import Served

BOUND = 1e-5
FACTOR = 10
OTHER = 1e-3  # of the largest output: what shows that a configuration and a graph mean different things


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


def check_configuration(model: Model, served: Served) -> None:
    """Compares a model that was read by its Keras configuration with the function graph in the same SavedModel.

    A class or function of the author's that is called as one of Keras' is in the graph alone. What cannot be compared
    (states, other names of inputs, operators that NumPy does not run) says nothing.

    Raises:
        Unsupported: they differ by more than OTHER of the largest output, and by more than FACTOR times what float32
            costs.
    """
    names = {value.name for value in model.inputs}
    if model.states or names != {*served.inputs} or len(model.outputs) != served.outputs:
        return
    batch = next((shape[0] for shape in served.inputs.values() if shape and shape[0]), None)
    try:
        inputs, exact = _first_taken(model, batch)
        single, found = run(model, inputs, dtype="float32"), served.run(inputs)
    except (ConversionError, OSError, MemoryError, *SURPRISES):
        return
    for value, name, made in zip(model.outputs, model.output_names, found, strict=True):
        error, own, scale = _difference(exact[value.name], single[value.name], made)
        if not error <= max(OTHER * scale, FACTOR * own):
            raise Unsupported(
                f"the Keras configuration gives another {clean(name)} than the function graph, by {error:.1e}: "
                f"{_cause(model)}a class or function of the author's is called as one of Keras', or what is served is "
                "more than the model",
                hint="--route graph converts what the graph computes, --route keras what the configuration says",
            )


def _cause(model: Model) -> str:
    """What else may be the cause in this model: adapt() puts the mean into the graph as constants, next to arrays."""
    adapted = [info.path for info in model.layers if info.class_name == "Normalization" and info.weights]
    return f"the arrays of {clean(adapted[0])!r} (Normalization) were set after adapt(), or " if adapted else ""


def _first_taken(model: Model, batch: int | None = None) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs that the model takes, which may need more steps than we begin with, and what it makes of them."""
    usual, first = SHAPES[-1]
    for length in (first, *LENGTHS):
        (case,) = cases_of(model, shapes=[(batch or usual, length)])
        inputs = dict(case.calls[0])
        try:
            return inputs, run(model, inputs)
        except (ValueError, IndexError) as error:
            why = error
    check_batches(model, hint="save it with inputs of that batch, or with a Keras configuration and use --batch {rows}")
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
