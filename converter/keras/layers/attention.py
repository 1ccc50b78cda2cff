"""Attention and AdditiveAttention: of a list [query, value] or [query, value, key], each [batch, time, features]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import Ops
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.layers.activations import LARGE_NEGATIVE
from converter.keras.layers.merge import lists_end_masks
from converter.keras.schema import Config
from converter.keras.shared.constants import as_tensors
from converter.keras.shared.masks import given_mask
from converter.keras.spec import Call, flatten
from converter.model import Value, layers
from converter.model.activations import TANH, Activation


class AttentionConfig(Config, frozen=True):
    """https://keras.io/api/layers/attention_layers/attention/; `causal` is tf.keras' before 2.10."""

    use_scale: bool = False
    score_mode: Literal["dot", "concat"] = "dot"
    dropout: float = 0.0
    causal: bool = False


class AdditiveAttentionConfig(Config, frozen=True):
    """https://keras.io/api/layers/attention_layers/additive_attention/"""

    use_scale: bool = True
    dropout: float = 0.0
    causal: bool = False


def _variables(config: Any, era: Era) -> tuple[Variable, ...]:
    weight = [Variable("concat_score_weight")] * (getattr(config, "score_mode", "dot") == "concat")
    return (*[Variable("scale")] * config.use_scale, *weight)


def lower_triangle(ops: Ops, scores: Value) -> Value:
    """A mask that broadcasts against scores [..., query, key]: True where the key is not later than the query."""
    rows, columns = positions(ops, scores)
    return ops.elementwise("greater_equal", rows, columns)


def positions(ops: Ops, scores: Value) -> tuple[Value, Value]:
    """The numbers of the query [query, 1] and of the key [1, key] of scores [..., query, key], counted from 1."""
    queries, keys = scores.shape[-2:]
    if queries is not None and keys is not None:
        column, row = np.arange(1, queries + 1)[:, None], np.arange(1, keys + 1)[None, :]
        return ops.constant(column, "int32"), ops.constant(row, "int32")
    truth = ops.cast(scores, "bool")
    ones = ops.cast(ops.elementwise("or", truth, ops.unary("not", truth)), "int32")
    rank = len(scores.shape)
    rows = ops.one(layers.CumSum(rank - 2), [ones], scores.shape, "int32")
    return rows, ops.one(layers.CumSum(rank - 1), [ones], scores.shape, "int32")


def _dot_scores(call: Call, query: Value, key: Value) -> Value:
    ops, config = call.ops, call.config
    if config.score_mode == "dot":
        scores = ops.matmul(query, key, transpose_b=True)
        if not config.use_scale:
            return scores
        return ops.elementwise("multiply", scores, ops.weight(call.need("scale")))
    sums = _pairwise_sums(ops, query, key)
    if config.use_scale:
        sums = ops.elementwise("multiply", sums, ops.weight(call.need("scale")))
    scores = ops.reduce("sum", ops.activate(sums, TANH), [-1])
    return ops.elementwise("multiply", scores, ops.weight(call.need("concat_score_weight")))


def _additive_scores(call: Call, query: Value, key: Value) -> Value:
    ops = call.ops
    sums = ops.activate(_pairwise_sums(ops, query, key), TANH)
    if call.config.use_scale:
        scale = call.need("scale")
        call.check(scale, "scale", query.shape[-1])
        sums = ops.elementwise("multiply", sums, ops.weight(scale))
    return ops.reduce("sum", sums, [-1])


def _pairwise_sums(ops: Ops, query: Value, key: Value) -> Value:
    """Every query plus every key: [..., query, key, features]."""
    return ops.elementwise("add", ops.expand_dims(query, -2), ops.expand_dims(key, -3))


def masked_weights(call: Call, scores: Value, mask: Value | None) -> Value:
    """softmax over the keys; masked scores are lowered by 1e9 (see activations.masked_softmax), by 65504 in float16."""
    ops = call.ops
    if mask is not None:
        low = -65504.0 if scores.dtype == "float16" else LARGE_NEGATIVE
        lowered = ops.with_scalar("add", scores, low) if scores.dtype == "float64" else ops.constant(low, scores.dtype)
        scores = ops.where(mask, scores, lowered)
    return ops.activate(scores, Activation("softmax", (-1,)))


def attention_masks(call: Call, tensors: list[Tensor]) -> list[Value | None]:
    """The masks of query and value: those given as a list by keyword, else those the inputs carry.

    Raises:
        Unsupported: the keyword holds something else.
    """
    given = call.kwargs.get("mask")
    if given is None:
        carried = [t.mask for t in tensors[:2]]
        return [None if m is None else call.ops.cast(m, "bool") for m in carried]
    if not isinstance(given, list | tuple) or len(given) < 2:
        raise Unsupported("the masks of an Attention must be a list")
    return [given_mask(call, m, "mask") for m in given[:2]]


def flag(call: Call, name: str) -> bool:
    """A keyword argument that is True or False."""
    return bool(call.kwargs.get(name) or False)


def _attend(scores_of: Callable[[Call, Value, Value], Value]) -> Callable[[Call], tuple[Tensor, ...]]:
    def attend(call: Call) -> tuple[Tensor, ...]:
        tensors = flatten(list(call.args)) or flatten(as_tensors(call.ops, call.kwargs.get("inputs")))
        if not 2 <= len(tensors) <= 3:
            raise InvalidModel(f"{call.spec.class_name} takes [query, value] or [query, value, key]")
        ops, query, value = call.ops, tensors[0].value, tensors[1].value
        key = tensors[-1].value if len(tensors) == 3 else value
        query_mask, value_mask = attention_masks(call, tensors)
        scores = scores_of(call, query, key)
        mask = None if value_mask is None else ops.expand_dims(value_mask, -2)
        if call.config.causal or flag(call, "use_causal_mask"):
            triangle = lower_triangle(ops, scores)
            mask = triangle if mask is None else ops.elementwise("and", mask, triangle)
        weights = masked_weights(call, scores, mask)
        y = ops.matmul(weights, value)
        if query_mask is not None:
            y = ops.where(ops.expand_dims(query_mask, -1), y, ops.constant(0.0, y.dtype))
        outputs = (Tensor(y, None if lists_end_masks(call.era) else query_mask),)
        return (*outputs, Tensor(weights)) if flag(call, "return_attention_scores") else outputs

    return attend


TYPES: dict[str, LayerType] = {
    "Attention": LayerType(AttentionConfig, _attend(_dot_scores), _variables, masking="own"),
    "AdditiveAttention": LayerType(AdditiveAttentionConfig, _attend(_additive_scores), _variables, masking="own"),
}
