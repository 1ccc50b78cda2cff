"""The input shape of a Sequential whose file states none: its first layers and their arrays imply it.

Keras before 2.3 does not write an InputLayer that was added to a Sequential, and cannot open such a file itself
(https://github.com/keras-team/keras/issues/10417).
"""

from __future__ import annotations

from converter.errors import Unsupported, clean
from converter.keras.spec import Bound, LayerSpec, ModelSpec
from converter.model import Shape


def implied_shape(model: ModelSpec, bound: Bound) -> Shape:
    """Rank by the first class that has one alone, features by the first kernel, as far as no layer before changes them.

    Raises:
        Unsupported: the layers do not settle both.
    """
    rank = least = None
    features: list[int | None] = []
    first_channels = False
    for spec in model.layers[1:]:
        row, config = spec.row, spec.config
        if row is None or getattr(config, "axis", None) not in (None, -1, [-1]):
            break
        if row.input_rank is not None and rank is None:
            least = least or row.input_rank
            rank = None if row.stepwise else row.input_rank
            first_channels = getattr(config, "data_format", None) == "channels_first"
        features = features or _features(spec, bound)
        if (rank and features) or not (row.keeps_features or row.stepwise) or first_channels:
            break
    rank = rank or least
    if rank is None or not features:
        where = f"layer {clean(model.layers[1].name)!r}"
        raise Unsupported(
            "the file does not say the model's input shape, nor do its first layers",
            where=where, hint="give the architecture with a shape: --architecture model.json",
        )  # fmt: skip
    shape: list[int | None] = [None] * rank
    shape[1 - rank if first_channels else -1] = features[0]
    return tuple(shape)


def _features(spec: LayerSpec, bound: Bound) -> list[int | None]:
    """The last axis of what a layer is called on, [None] for indices; nothing where its arrays do not say it."""
    row, arrays = spec.row, bound.children.get(spec.name)
    weights = arrays.all() if arrays else ()
    if row is None or not weights:
        return []
    if row.takes == "indices":
        return [None]
    if row.input_rank is not None:
        return [weights[0].shape[-2]] if len(weights[0].shape) > 1 else []
    return [weights[0].shape[-1]] if row.keeps_features else []
