"""Two attention layers that many people wrote themselves: python -m converter model.h5 --plugin plugin_attention.py

The first keeps its own arrays, the second layers of its own. What they compute in Keras:

    class SimpleAttention(Layer):
        def build(self, input_shape):
            self.W = self.add_weight(name="att_weight", shape=(input_shape[-1], 1))
            self.b = self.add_weight(name="att_bias", shape=(input_shape[1], 1))

        def call(self, x):
            e = K.tanh(K.dot(x, self.W) + self.b)
            a = K.softmax(e, axis=1)
            return K.sum(x * a, axis=1)

    class BahdanauAttention(Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.W1, self.W2, self.V = Dense(units), Dense(units), Dense(1)

        def call(self, inputs):
            values, query = inputs
            score = self.V(tf.nn.tanh(self.W1(values) + self.W2(tf.expand_dims(query, 1))))
            weights = tf.nn.softmax(score, axis=1)
            return tf.reduce_sum(weights * values, axis=1), weights
"""

from __future__ import annotations

from converter.plugin import (
    Activation,
    Call,
    Config,
    Era,
    InvalidModel,
    LayerType,
    Ops,
    Positive,
    Tensor,
    Value,
    Variable,
)

TANH = Activation("tanh")
SOFTMAX_OVER_TIME = Activation("softmax", (1,))


class SimpleConfig(Config, frozen=True):
    """`get_config` adds nothing to what every layer has."""


def simple_variables(config: SimpleConfig, era: Era) -> tuple[Variable, ...]:
    """W [features, 1] and b [time, 1]."""
    return (Variable("W"), Variable("b"))


def simple_attention(call: Call) -> tuple[Tensor, ...]:
    """x [batch, time, features] -> [batch, features]."""
    ops, x = call.ops, call.x.value
    w, b = call.need("W"), call.need("b")
    call.check(w, "W", x.shape[-1], 1)
    call.check(b, "b", x.shape[1], 1)
    scores = ops.elementwise("add", ops.matmul(x, ops.weight(w)), ops.weight(b))  # [batch, time, 1]
    return (Tensor(weighted_sum(ops, ops.activate(scores, TANH), x)[0]),)


def weighted_sum(ops: Ops, scores: Value, values: Value) -> tuple[Value, Value]:
    """scores [batch, time, 1], values [batch, time, features] -> [batch, features] and the weights [batch, time, 1]."""
    weights = ops.activate(scores, SOFTMAX_OVER_TIME)
    return ops.reduce("sum", ops.elementwise("multiply", weights, values), [1]), weights


class BahdanauConfig(Config, frozen=True):
    """`get_config` adds units."""

    units: Positive


def bahdanau_children(config: BahdanauConfig, era: Era) -> dict[str, dict[str, object]]:
    """The three Dense layers, by attribute."""
    sizes = {"W1": config.units, "W2": config.units, "V": 1}
    return {name: {"class_name": "Dense", "config": {"name": name, "units": n}} for name, n in sizes.items()}


def bahdanau_attention(call: Call) -> tuple[Tensor, ...]:
    """[values [batch, time, features], query [batch, units]] -> [batch, features], [batch, time, 1]."""
    if len(call.tensors) != 2:
        raise InvalidModel("BahdanauAttention takes [values, query]")
    ops, (values, query) = call.ops, call.tensors
    keys = call.wrapped("W1", values)[0].value
    asked = call.wrapped("W2", Tensor(ops.expand_dims(query.value, 1)))[0].value
    hidden = ops.activate(ops.elementwise("add", keys, asked), TANH)
    context, weights = weighted_sum(ops, call.wrapped("V", Tensor(hidden))[0].value, values.value)
    return (Tensor(context), Tensor(weights))


LAYERS = {
    "SimpleAttention": LayerType(SimpleConfig, simple_attention, simple_variables),
    "BahdanauAttention": LayerType(BahdanauConfig, bahdanau_attention, children=bahdanau_children),
}
