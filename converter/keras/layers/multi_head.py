"""MultiHeadAttention and GroupQueryAttention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import Ops
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType
from converter.keras.layers.activations import masked_softmax
from converter.keras.layers.attention import flag, lower_triangle, positions
from converter.keras.schema import Config, Ints, Positive, Sizes
from converter.keras.shared.biases import refuse_misplaced
from converter.keras.shared.constants import as_tensors
from converter.keras.shared.einsum import einsum
from converter.keras.shared.masks import explicit_mask
from converter.keras.spec import Call
from converter.model import Value, layers
from converter.model.activations import SIGMOID, Activation


class MultiHeadConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/attention_layers/multi_head_attention/"""

    inert = frozenset({"flash_attention"})  # another way to the same numbers
    num_heads: Positive
    key_dim: Positive
    value_dim: Positive | None = None
    dropout: float = 0.0
    use_bias: bool = True
    use_gate: bool = False
    output_shape: Ints | None = None
    attention_axes: Ints | None = None
    sliding_window: Positive | None = None
    softmax_robust_masking: bool = False
    # Shapes that tf.keras notes in order to build the layer again.
    query_shape: Sizes | None = None
    key_shape: Sizes | None = None
    value_shape: Sizes | None = None


class GroupQueryConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/attention_layers/group_query_attention/"""

    inert = frozenset({"flash_attention"})
    head_dim: Positive
    num_query_heads: Positive
    num_key_value_heads: Positive
    dropout: float = 0.0
    use_bias: bool = True
    use_gate: bool = False
    sliding_window: Positive | None = None


def _projections(config: Any, era: Era) -> Mapping[str, Mapping[str, Any]]:
    """The inner EinsumDense layers by attribute name; their equations depend on the input and are made at the call."""
    mark = era.switch("attention_projections") if isinstance(config, MultiHeadConfig) else "_"
    marks = {"query": mark, "key": mark, **({"gate": "_"} if config.use_gate else {}), "value": mark}
    dense = {
        f"{mark}{kind}_dense": _dense(kind, "abc,cde->abde", "de" if config.use_bias else None)
        for kind, mark in marks.items()
    }
    return {
        **dense,
        f"{mark}output_dense": _dense("attention_output", "abcd,cde->abe", "e" if config.use_bias else None),
    }


def _dense(name: str, equation: str, bias_axes: str | None) -> dict[str, Any]:
    config = {"name": name, "equation": equation, "output_shape": [None], "bias_axes": bias_axes}
    return {"class_name": "EinsumDense", "config": config}


def project(call: Call, key: str, x: Value, inner: tuple[int, ...], outer: tuple[int, ...]) -> Value:
    """x [..., *inner] times a kernel [*inner, *outer], plus a bias [*outer]."""
    arrays = next(b.variables for name, b in call.bound.children.items() if name.lstrip("_") == key)
    kernel, bias = arrays.get("kernel"), arrays.get("bias")
    if kernel is None:
        raise InvalidModel(f"the kernel of {key} is missing")
    call.check(kernel, f"{key} kernel", *inner, *outer)
    letters = "abcdefghijklmnopqrstuvwxyz"
    free = letters[: len(x.shape) - len(inner)]
    bound = letters[len(free) : len(x.shape)]
    made = letters[len(x.shape) : len(x.shape) + len(outer)]
    ops = call.ops
    y = einsum(ops, f"{free}{bound},{bound}{made}->{free}{made}", [x, ops.weight(kernel.astype(call.dtype))])
    if bias is None:
        return y
    call.check(bias, f"{key} bias", *outer)
    refuse_misplaced(call, y.shape, bias.shape)
    return ops.elementwise("add", y, ops.weight(bias.astype(call.dtype)))


def equations(rank: int, axes: tuple[int, ...]) -> tuple[str, str]:
    """Keras' equations for scores (key, query) and for their sums of values, for projections of `rank` axes."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    target = letters[:rank]
    whole = [k for k in range(rank) if k not in axes and k != rank - 1]
    fresh = iter(letters[rank:])
    source = "".join(target[k] if k in whole or k == rank - 1 else next(fresh) for k in range(rank))
    product = "".join([target[k] for k in whole] + [target[k] for k in axes] + [source[k] for k in axes])
    return f"{source},{target}->{product}", f"{product},{source}->{target}"


def tensors_of(call: Call) -> tuple[Tensor, Tensor, Tensor | None]:
    """Query, value, and key if it is given.

    Raises:
        InvalidModel: query or value is missing.
    """
    names = ("query", "value", "key")
    found = {**dict(zip(names, call.args, strict=False)), **{k: call.kwargs[k] for k in names if k in call.kwargs}}
    query, value, key = (as_tensors(call.ops, found.get(name)) for name in names)
    if not isinstance(query, Tensor) or not isinstance(value, Tensor) or not isinstance(key, Tensor | None):
        raise InvalidModel(f"{call.spec.class_name} needs a query and a value")
    return query, value, key


def attention_mask(
    call: Call, query: Tensor, value: Tensor, key: Tensor | None, scores: Value, count: int
) -> Value | None:
    """Everything that masks scores [..., *queries, *keys], of as many axes and bool; None if nothing does."""
    ops = call.ops
    carried = call.era.switch("attention_takes_masks")
    masks: list[Value] = []
    for tensor, name, axis in ((query, "query_mask", -1), (value, "value_mask", -2), (key, "key_mask", -2)):
        own = tensor.mask if tensor is not None and carried else None
        mask = explicit_mask(call, name)
        mask = ops.cast(own, "bool") if mask is None and own is not None else mask
        masks += [] if mask is None else [ops.expand_dims(mask, axis)]
    if flag(call, "use_causal_mask"):
        masks.append(lower_triangle(ops, scores))
    window = getattr(call.config, "sliding_window", None)
    if window is not None:
        rows, columns = positions(ops, scores)
        far = ops.unary("abs", ops.elementwise("subtract", rows, columns))
        masks.append(ops.with_scalar("less", far, window))
    if count > 1 and masks:
        raise Unsupported("masked attention over several axes")
    given = explicit_mask(call, "attention_mask")
    masks += [] if given is None else [given]
    masks = [_as_scores(ops, mask, len(scores.shape), count) for mask in masks]
    return masks[0] if len(masks) == 1 else ops.elementwise("and", *masks) if masks else None


def _as_scores(ops: Ops, mask: Value, rank: int, count: int) -> Value:
    """A mask [..., *queries, *keys] with axes of size 1 before those, until it has `rank` axes."""
    while len(mask.shape) < rank:
        mask = ops.expand_dims(mask, len(mask.shape) - 2 * count)
    return mask


def weights_of(call: Call, scores: Value, mask: Value | None, count: int) -> Value:
    """softmax over the last `count` axes, as the era masks it."""
    ops = call.ops
    fused = call.era.switch("attention_fused") and call.config.dropout == 0 and count == 1 and len(scores.shape) == 4
    if fused and not flag(call, "return_attention_scores"):
        if mask is not None:
            scores = ops.where(mask, scores, ops.constant(-1e9 if scores.dtype != "float16" else -3e4, scores.dtype))
        return ops.activate(scores, Activation("softmax", (-1,)))
    axes = list(range(len(scores.shape) - count, len(scores.shape)))
    return masked_softmax(call, scores, axes, mask)


def _multi_head(call: Call) -> tuple[Tensor, ...]:
    config: MultiHeadConfig = call.config
    query, value, key = tensors_of(call)
    source = key if key is not None else value
    heads, size = config.num_heads, config.key_dim
    width = config.value_dim or size
    ops, rank = call.ops, len(value.shape)
    features = [t.shape[-1] for t in (query, source, value)]
    if None in features or len(query.shape) != rank or rank < 3:
        raise Unsupported(f"MultiHeadAttention of shapes {query.shape} and {value.shape}")
    q, k, v = (
        project(call, f"{name}_dense", t.value, (int(n or 0),), (heads, depth))
        for name, t, n, depth in zip(("query", "key", "value"), (query, source, value), features,
                                     (size, size, width), strict=True)
    )  # fmt: skip
    given = config.attention_axes
    axes = (
        tuple(range(1, rank - 1))
        if given is None
        else tuple(a % rank for a in ([given] if isinstance(given, int) else given))
    )
    score_equation, sum_equation = equations(rank + 1, axes)
    scores = einsum(ops, score_equation, [k, ops.with_scalar("multiply", q, 1 / math.sqrt(size))])
    weights = weights_of(call, scores, attention_mask(call, query, value, key, scores, len(axes)), len(axes))
    y = einsum(ops, sum_equation, [weights, v])
    if config.use_gate:
        gate = ops.activate(project(call, "gate_dense", query.value, (int(features[0] or 0),), (heads, width)), SIGMOID)
        y = ops.elementwise("multiply", y, gate)
    made = config.output_shape if config.output_shape is not None else features[0]
    outer = (made,) if isinstance(made, int) else tuple(made or ())
    return _finish(call, project(call, "output_dense", y, (heads, width), outer), weights, query)


def _finish(call: Call, y: Value, weights: Value, query: Tensor) -> tuple[Tensor, ...]:
    mask = query.mask if call.era.switch("attention_takes_masks") else None
    outputs = (Tensor(y, mask),)
    return (*outputs, Tensor(weights)) if flag(call, "return_attention_scores") else outputs


def _group_query(call: Call) -> tuple[Tensor, ...]:
    config: GroupQueryConfig = call.config
    query, value, key = tensors_of(call)
    source = key if key is not None else value
    heads, groups, size = config.num_query_heads, config.num_key_value_heads, config.head_dim
    features = [t.shape[-1] for t in (query, source, value)]
    if None in features or heads % groups or any(len(t.shape) != 3 for t in (query, source, value)):
        raise InvalidModel(f"GroupQueryAttention of {heads} heads in {groups} groups over {query.shape}, {value.shape}")
    ops = call.ops
    q = project(call, "query_dense", query.value, (int(features[0] or 0),), (heads, size))
    k, v = (
        _repeated(ops, project(call, f"{name}_dense", t.value, (int(n or 0),), (groups, size)), heads // groups)
        for name, t, n in (("key", source, features[1]), ("value", value, features[2]))
    )
    scores = einsum(ops, "bquh,bkuh->buqk", [ops.with_scalar("multiply", q, 1 / math.sqrt(size)), k])
    weights = weights_of(call, scores, attention_mask(call, query, value, key, scores, 1), 1)
    y = einsum(ops, "buqk,bkuh->bquh", [weights, v])
    if config.use_gate:
        gate = project(call, "gate_dense", query.value, (int(features[0] or 0),), (heads, size))
        y = ops.elementwise("multiply", y, ops.activate(gate, SIGMOID))
    return _finish(call, project(call, "output_dense", y, (heads, size), (int(features[0] or 0),)), weights, query)


def _repeated(ops: Ops, x: Value, times: int) -> Value:
    """Every group's head once for each of its queries' heads: [batch, time, group·times, size]."""
    batch, time, groups, size = x.shape
    return ops.one(layers.Repeat(2, times), [x], (batch, time, (groups or 0) * times, size), x.dtype)


TYPES: dict[str, LayerType] = {
    "MultiHeadAttention": LayerType(MultiHeadConfig, _multi_head, children=_projections, masking="own", takes="floats"),
    "GroupQueryAttention": LayerType(
        GroupQueryConfig,
        _group_query,
        children=_projections,
        masking="own",
        takes="floats",
        stored_as="GroupedQueryAttention",
    ),
    "GroupedQueryAttention": LayerType(
        GroupQueryConfig, _group_query, children=_projections, masking="own", takes="floats"
    ),
}
