"""ReversibleEmbedding, which also turns vectors back into scores of words, and Pipeline, a row of layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.layers.core import EmbeddingConfig, embedding
from converter.keras.schema import Config
from converter.keras.spec import Call, flatten
from converter.model import Weight, layers
from converter.model.activations import Activation


class ReversibleEmbeddingConfig(EmbeddingConfig, frozen=True):
    """https://keras.io/api/layers/core_layers/reversible_embedding/"""

    modes = frozenset()
    tie_weights: bool = True
    reverse_dtype: str | None = None
    logit_soft_cap: float | None = None


def _reversible_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    table = Variable("embeddings")
    return (table,) if config.tie_weights else (table, Variable("reverse_embeddings"))


def _reversible_embedding(call: Call) -> tuple[Tensor, ...]:
    config: ReversibleEmbeddingConfig = call.config
    reverse = call.kwargs.get("reverse", call.args[1] if len(call.args) > 1 else False)
    if not isinstance(reverse, bool):
        raise Unsupported("ReversibleEmbedding with reverse= that is no constant")
    if not reverse:
        return embedding(call)
    ops, dtype = call.ops, config.reverse_dtype or call.dtype
    x, kernel = ops.cast(call.x.value, dtype), _back(call).astype(dtype)
    y = ops.one(layers.Dense(kernel, None), [x], (*x.shape[:-1], config.input_dim), dtype)
    if config.logit_soft_cap is not None:
        y = ops.activate(ops.with_scalar("divide", y, config.logit_soft_cap), Activation("tanh"))
        y = ops.with_scalar("multiply", y, config.logit_soft_cap)
    return (Tensor(y),)


def _back(call: Call) -> Weight:
    """[output_dim, input_dim]: the table reversed, unless the layer keeps one of its own."""
    config: ReversibleEmbeddingConfig = call.config
    shape = (config.output_dim, config.input_dim)
    if not config.tie_weights:
        kernel = call.need("reverse_embeddings")
        call.check(kernel, "reverse_embeddings", *shape)
        return kernel
    table = call.need("embeddings")
    call.check(table, "embeddings", *shape[::-1])
    return table.map(np.transpose, shape)


class PipelineConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/preprocessing_layers/pipeline/"""

    layers: list[dict[str, Any]]


def _stages(config: Any, era: Era) -> Mapping[str, Mapping[str, Any]]:
    return {f"layers/{k}": layer for k, layer in enumerate(config.layers)}


def _pipeline(call: Call) -> tuple[Tensor, ...]:
    """One layer after the other; masks go from one to the next, and out, as far as the layers hand them on."""
    tensors: tuple[Tensor, ...] = (call.x,)
    for name in call.spec.children:
        tensors = tuple(flatten(list(call.wrapped(name, *tensors))))
    return tensors


TYPES: dict[str, LayerType] = {
    "ReversibleEmbedding": LayerType(
        ReversibleEmbeddingConfig, _reversible_embedding, _reversible_variables, masking="own"
    ),
    "Pipeline": LayerType(PipelineConfig, _pipeline, children=_stages, masking="own", trains_by_default=True),
}
