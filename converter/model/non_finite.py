"""What the values of a model's weights say about it."""

from __future__ import annotations

import numpy as np

from converter.model import Array, Model


def non_finite(model: Model) -> tuple[str, ...]:
    """A warning for each layer that holds values that are infinite or not a number."""
    warnings = []
    for layer in model.layers:
        bad = sum(
            _count(rows)
            for weight in layer.weights
            if weight.dtype.startswith(("float", "bfloat"))
            for rows in weight.rows()
        )
        if bad:
            warnings.append(f"{layer.path}: {bad} weight value{'s are' if bad > 1 else ' is'} infinite or not a number")
    return tuple(warnings)


def _count(values: Array) -> int:
    """How many are not finite; a sum that is finite is one of finite values, and the cheaper test."""
    with np.errstate(all="ignore"):
        return 0 if np.isfinite(values.sum()) else int(np.count_nonzero(~np.isfinite(values)))
