"""Layers that only Keras 1 had: Merge, Highway, MaxoutDense, ParametricSoftplus, SReLU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.activation_argument import activation_of
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import Ops
from converter.keras.eras.switches import Era
from converter.keras.layer_type import Keras1, LayerType, Variable
from converter.keras.layers.core import bias_variables
from converter.keras.layers.dot import batch_dot, dot_axes
from converter.keras.layers.merge import concatenated_mask, merge_masks, merge_values
from converter.keras.schema import ActivationField, Config, Ints, Positive
from converter.keras.spec import Call
from converter.model import Value, Weight, layers

EPSILON = 1e-7  # of keras.backend.epsilon(), below which a cosine's denominator never falls


class MergeConfig(Config, frozen=True):
    """keras/engine/topology.py of 1.2.2. `layers` are the branches of a Sequential that starts with a Merge."""

    inert = frozenset({"output_mask"})
    mode: Any = "sum"
    mode_type: str = "raw"
    concat_axis: int = -1
    dot_axes: Ints = -1
    output_shape: Any = None
    output_shape_type: str = "raw"
    output_mask_type: str = "raw"
    arguments: dict[str, Any] | None = None
    layers: list[dict[str, Any]] | None = None


# Keras 1 modes as the merge layers of Keras 2.
MODES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum"}


def _merge(call: Call) -> tuple[Tensor, ...]:
    config: MergeConfig = call.config
    if config.mode_type != "raw" or not isinstance(config.mode, str):
        raise Unsupported("a Merge by a Python function, which is never run")
    tensors, ops = call.tensors, call.ops
    if len(tensors) < 2:
        raise InvalidModel(f"Merge is called on {len(tensors)} tensors")
    if config.mode == "concat":
        axis = config.concat_axis % len(tensors[0].shape)
        return (Tensor(ops.concatenate([t.value for t in tensors], axis), concatenated_mask(call, tensors, axis)),)
    if config.mode in {"dot", "cos"}:
        return (Tensor(_product(ops, config, tensors)),)
    if config.mode not in MODES:
        raise InvalidModel(f"Merge with mode {clean(config.mode)}")
    y = merge_values(ops, MODES[config.mode], [t.value for t in tensors])
    if config.mode == "max" and any(t.mask is not None for t in tensors):
        raise InvalidModel("Merge with mode max of masked inputs, which Keras 1 cannot do")
    return (Tensor(y, merge_masks(ops, tensors, by_or=False)),)


def _product(ops: Ops, config: MergeConfig, tensors: list[Tensor]) -> Value:
    """The dot product, or the cosine with an axis more after the batch, as Keras 1 gives it."""
    if len(tensors) != 2:
        raise InvalidModel(f"Merge with mode {config.mode} takes two inputs, not {len(tensors)}")
    x, y = tensors[0].value, tensors[1].value
    if max(len(x.shape), len(y.shape)) > 3:
        raise Unsupported(f"Merge with mode {config.mode} of inputs {x.shape} and {y.shape}")
    a, b = dot_axes(config.dot_axes, x.shape, y.shape)
    product = batch_dot(ops, x, y, a, b)
    if config.mode == "dot":
        return product
    if len(x.shape) != 2:
        raise Unsupported(f"Merge with mode cos of inputs {x.shape}")
    lengths = ops.unary("sqrt", ops.elementwise("multiply", batch_dot(ops, x, x, a, a), batch_dot(ops, y, y, b, b)))
    cosine = ops.elementwise("divide", product, ops.with_scalar("maximum", lengths, EPSILON))
    return ops.expand_dims(cosine, 1)


def _branches(config: Any, era: Era) -> Mapping[str, Mapping[str, Any]]:
    """The whole models that a Merge at the head of a Sequential joins."""
    return {f"branch_{k}": branch for k, branch in enumerate(config.layers or ())}


class HighwayConfig(Config, frozen=True):
    """keras/layers/core.py of 1.2.2: y = t·h(x·W + b) + (1 - t)·x with t = sigmoid(x·W_carry + b_carry)."""

    inert = frozenset({"transform_bias"})
    activation: ActivationField = "linear"
    use_bias: bool = True


def _highway_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    if not config.use_bias:
        return (Variable("W"), Variable("W_carry"))
    kernels_first = era.switch("highway_kernels_first")
    names = ("W", "W_carry", "b", "b_carry") if kernels_first else ("W", "b", "W_carry", "b_carry")
    return tuple(Variable(name) for name in names)


def _highway(call: Call) -> tuple[Tensor, ...]:
    x, size = call.x.value, call.x.shape[-1]
    kernel, carry = call.need("W"), call.need("W_carry")
    bias, carry_bias = call.weight("b"), call.weight("b_carry")
    for name, weight in (("W", kernel), ("W_carry", carry)):
        call.check(weight, name, size, size)
    ops = call.ops
    gate = ops.activate(call.emit(layers.Dense(carry, carry_bias), [x], x.shape), activation_of("sigmoid", call.era))
    made = call.emit(layers.Dense(kernel, bias), [x], x.shape)
    made = ops.activate(made, activation_of(call.config.activation, call.era))
    rest = ops.elementwise("subtract", ops.constant(1.0, x.dtype), gate)
    kept = ops.elementwise("multiply", rest, x)
    return (Tensor(ops.elementwise("add", ops.elementwise("multiply", gate, made), kept)),)


class MaxoutDenseConfig(Config, frozen=True, kw_only=True):
    """keras/layers/core.py of 1.2.2: the maximum of several linear layers."""

    output_dim: Positive
    nb_feature: Positive = 4
    use_bias: bool = True


def _maxout(call: Call) -> tuple[Tensor, ...]:
    """max over features of x·W + b, with W [feature, input, output] and b [feature, output]."""
    config: MaxoutDenseConfig = call.config
    x, size = call.x.value, call.x.shape[-1]
    kernel, bias = call.need("kernel"), call.weight("bias")
    count, width = config.nb_feature, config.output_dim
    call.check(kernel, "W", count, size, width)
    call.check(bias, "b", count, width)
    if len(x.shape) != 2 or size is None:
        raise InvalidModel(f"MaxoutDense of an input of shape {x.shape}")
    flat = kernel.map(lambda values: values.transpose(1, 0, 2).reshape(size, count * width), (size, count * width))
    flat_bias: Weight | None = None
    if bias is not None:
        flat_bias = bias.map(lambda values: values.reshape(count * width), (count * width,))
    y = call.emit(layers.Dense(flat, flat_bias), [x], (x.shape[0], count * width))
    each = call.ops.reshape(y, [0, count, width], (x.shape[0], count, width))
    return (Tensor(call.ops.reduce("max", each, [1])),)


class ParametricConfig(Config, frozen=True):
    """keras/layers/advanced_activations.py of 1.2.2; `shared_axes` shows only in the shapes of the arrays."""

    inert: ClassVar[frozenset[str]] = frozenset(
        {"alpha_init", "beta_init", "t_left_init", "a_left_init", "t_right_init", "a_right_init"}
    )


def _parameters(call: Call, *names: str) -> list[Value]:
    """Arrays of a size for each place of the input, or of 1 where places share them; of t_right the absolute value."""
    made = []
    for name in names:
        weight = call.need(name)
        sizes = call.x.shape[1:]
        call.check(weight, name, *(1 if have == 1 else n for have, n in zip(weight.shape, sizes, strict=False)))
        if len(weight.shape) != len(sizes):
            raise InvalidModel(f"{name} of shape {weight.shape} for an input of shape {call.x.shape}")
        made.append(call.ops.weight(weight.map(np.abs, weight.shape) if name == "t_right" else weight))
    return made


def _parametric_softplus(call: Call) -> tuple[Tensor, ...]:
    """alpha·log(1 + exp(beta·x))."""
    ops, (alpha, beta) = call.ops, _parameters(call, "alphas", "betas")
    curve = ops.activate(ops.elementwise("multiply", beta, call.x.value), activation_of("softplus", call.era))
    return (Tensor(ops.elementwise("multiply", curve, alpha)),)


def _s_relu(call: Call) -> tuple[Tensor, ...]:
    """x between two thresholds, `t_left` and |t_right| above it, and beyond each a line of a slope of its own."""
    ops, relu = call.ops, activation_of("relu", call.era)
    left, slope_left, width, slope_right = _parameters(call, *S_RELU)
    x = ops.elementwise("subtract", call.x.value, left)
    middle = ops.activate(x, relu)
    below = ops.elementwise("multiply", slope_left, ops.activate(ops.unary("negative", x), relu))
    if call.era.switch("s_relu_caps_below"):
        middle = ops.elementwise("minimum", ops.elementwise("subtract", middle, below), width)
    else:
        middle = ops.elementwise("subtract", ops.elementwise("minimum", middle, width), below)
    above = ops.elementwise("multiply", slope_right, ops.activate(ops.elementwise("subtract", x, width), relu))
    return (Tensor(ops.elementwise("add", ops.elementwise("add", left, middle), above)),)


S_RELU = ("t_left", "a_left", "t_right", "a_right")

BIAS = Keras1({"bias": "use_bias"})

TYPES: dict[str, LayerType] = {
    "ParametricSoftplus": LayerType(
        ParametricConfig, _parametric_softplus, lambda c, e: (Variable("alphas"), Variable("betas")), masking="pass"
    ),
    "SReLU": LayerType(ParametricConfig, _s_relu, lambda c, e: tuple(map(Variable, S_RELU)), masking="pass"),
    "Merge": LayerType(
        MergeConfig,
        _merge,
        children=_branches,
        masking="own",
        joins_models=True,
        note="modes that are names, not functions",
    ),
    "Highway": LayerType(HighwayConfig, _highway, _highway_variables, keras1=BIAS),
    "MaxoutDense": LayerType(MaxoutDenseConfig, _maxout, bias_variables, keras1=BIAS),
}
