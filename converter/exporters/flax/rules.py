"""Layers as lines of a linen module: `rule(layer, writer, node)`. Every name of the file goes in as a quoted string."""

from __future__ import annotations

from functools import singledispatch

from converter.errors import Unsupported
from converter.exporters.flax.expressions import EXPRESSIONS, activated
from converter.exporters.torch.source import Names
from converter.model import Model, Node, Value, Weight, layers
from converter.model.activations import LINEAR, SIGMOID, TANH, Activation
from converter.model.layers import Direction, Recurrent


class Writer:
    """Gathers the lines of `__call__`."""

    def __init__(self, model: Model) -> None:
        self.lines: list[str] = []
        self.read = {value.name for value in model.outputs}
        self.read |= {value.name for node in model.nodes for value in node.inputs if value is not None}
        self._variables = Names()
        self._modules: dict[tuple[int, ...], str] = {}

    def module(self, node: Node, expression: str, *weights: Weight | None) -> str:
        """The variable of a module, made once for the same weights."""
        key = tuple(id(weight) for weight in weights)
        if key not in self._modules:
            self._modules[key] = self.local(f"{node.name} module")
            self.lines.append(f"{self._modules[key]} = {expression}")
        return self._modules[key]

    def value(self, value: Value | None, place: str = "") -> str:
        """The variable of a value."""
        if value is None:
            raise Unsupported("an input that is missing", where=place)
        return self._variables(f"v {value.name}")

    def local(self, name: str) -> str:
        """A further variable."""
        return self._variables(name)

    def assign(self, value: Value, expression: str) -> None:
        """A line."""
        self.lines.append(f"{self.value(value)} = {expression}")


def _called(node: Node) -> str:
    """The name of a module, by which its variables are found."""
    return ascii(node.name.replace("/", "_"))


@singledispatch
def rule(layer: object, writer: Writer, node: Node) -> None:
    """Writes a node whose layer is of this type.

    Raises:
        Unsupported: linen has nothing that computes exactly this.
    """
    raise Unsupported(f"{type(layer).__name__} has no counterpart in Flax here", where=node.name)


def _one(layer: object, writer: Writer, node: Node, expression: str) -> None:
    writer.assign(node.outputs[0], expression)
    activation = getattr(layer, "activation", LINEAR)
    if activation != LINEAR:
        writer.assign(node.outputs[0], activated(activation, writer.value(node.outputs[0]), node.name))


def _cell(cell: layers.Cell, place: str) -> str:
    def function(activation: Activation) -> str:
        return f"lambda x: {activated(activation, 'x', place)}"

    act = getattr(cell, "activation", TANH)
    gate = getattr(cell, "recurrent_activation", SIGMOID)
    further = [] if act == TANH else [f"activation_fn={function(act)}"]
    further += [] if gate == SIGMOID else [f"gate_fn={function(gate)}"]
    if isinstance(cell, layers.LSTMCell) and cell.peephole is None:
        return f"nn.LSTMCell({', '.join([str(cell.units), *further, 'parent=None'])})"
    if isinstance(cell, layers.GRUCell) and cell.reset_after:
        return f"nn.GRUCell({', '.join([str(cell.units), *further, 'parent=None'])})"
    if isinstance(cell, layers.SimpleRNNCell):
        return f"nn.SimpleCell({', '.join([str(cell.units), *further, 'parent=None'])})"
    raise Unsupported(f"no counterpart of this {type(cell).__name__} in Flax", where=place)


def _rnn(direction: Direction, place: str, last: str) -> str:
    """nn.RNN; linen turns both sides round, or the input alone."""
    if direction.reverse_output and not direction.reverse_input:
        raise Unsupported("outputs reversed in time", where=place)
    turned = ["reverse=True"] if direction.reverse_input else []
    turned += ["keep_order=True"] if direction.reverse_output else []
    return f"nn.RNN({', '.join([_cell(direction.cell, place), *turned, 'return_carry=True', last])})"


@rule.register
def recurrent(layer: Recurrent, writer: Writer, node: Node) -> None:
    """nn.RNN, two of them below one name for two directions."""
    if any(value is not None for value in node.inputs[1:]) or layer.time_major:
        raise Unsupported("masks, initial states and time before the batch are not written for Flax", where=node.name)
    x = writer.value(node.inputs[0], node.name)
    pair = layer.directions
    ys, ends = [], []
    carries = [writer.local(f"{node.name} carry {k}") for k in range(len(pair))]
    heads = [writer.local(f"{node.name} y {k}") for k in range(len(pair))]
    if len(pair) == 1:
        made = _rnn(pair[0], node.name, f"name={_called(node)}")
        run = writer.module(node, made, pair[0].cell.kernel)
        writer.lines.append(f"{carries[0]}, {heads[0]} = {run}({x})")
    else:
        plain = [(d.reverse_input, d.reverse_output) for d in pair] == [(False, False), (True, True)]
        if not plain:
            raise Unsupported("two directions that are not forward and backward", where=node.name)
        cells = ", ".join(f"nn.RNN({_cell(d.cell, node.name)}, parent=None)" for d in pair)
        rest = f"merge_fn=lambda a, b: (a, b), return_carry=True, name={_called(node)}"
        run = writer.module(node, f"nn.Bidirectional({cells}, {rest})", *(d.cell.kernel for d in pair))
        writer.lines.append(f"({', '.join(carries)}), ({', '.join(heads)}) = {run}({x})")
    for direction, carry, y in zip(pair, carries, heads, strict=True):
        lstm = isinstance(direction.cell, layers.LSTMCell)
        ends += [f"{carry}[1]", f"{carry}[0]"] if lstm else [carry]
        ys.append(y if layer.return_sequences else ends[-2 if lstm else -1])
    merged = {
        "concat": "jnp.concatenate([{0}, {1}], -1)",
        "sum": "{0} + {1}",
        "mul": "{0} * {1}",
        "ave": "({0} + {1}) / 2",
    }
    ys = ys if layer.merge is None else [merged[layer.merge].format(*ys)]
    for value, expression in zip(node.outputs, [*ys, *ends], strict=True):
        if value.name in writer.read:
            writer.assign(value, expression)


@rule.register
def dense(layer: layers.Dense, writer: Writer, node: Node) -> None:
    """nn.Dense."""
    bias = "" if layer.bias is not None else "use_bias=False, "
    made = f"nn.Dense({layer.kernel.shape[1]}, {bias}name={_called(node)})"
    _one(layer, writer, node, f"{writer.module(node, made, layer.kernel)}({writer.value(node.inputs[0])})")


@rule.register
def embedding(layer: layers.Embedding, writer: Writer, node: Node) -> None:
    """nn.Embed."""
    rows, size = layer.table.shape
    made = writer.module(node, f"nn.Embed({rows}, {size}, name={_called(node)})", layer.table)
    _one(layer, writer, node, f"{made}({writer.value(node.inputs[0])})")


@rule.register
def conv(layer: layers.Conv, writer: Writer, node: Node) -> None:
    """nn.Conv, whose "SAME" is TensorFlow's."""
    if layer.data_format != "channels_last":
        raise Unsupported("convolutions with the channels first are not written for Flax", where=node.name)
    settings = [str(layer.kernel.shape[-1]), str(tuple(layer.kernel.shape[: layer.rank])), f"strides={layer.strides}"]
    settings += [f"padding={layer.padding.upper()!r}", f"kernel_dilation={layer.dilation}"]
    settings += [f"feature_group_count={layer.groups}"] if layer.groups > 1 else []
    settings += [] if layer.bias is not None else ["use_bias=False"]
    made = writer.module(node, f"nn.Conv({', '.join(settings)}, name={_called(node)})", layer.kernel)
    _one(layer, writer, node, f"{made}({writer.value(node.inputs[0])})")


@rule.register
def pool(layer: layers.Pool, writer: Writer, node: Node) -> None:
    """nn.max_pool and avg_pool."""
    if layer.data_format != "channels_last":
        raise Unsupported("pooling with the channels first is not written for Flax", where=node.name)
    kind, rest = ("max", "") if layer.kind == "max" else ("avg", ", count_include_pad=False")
    sizes = f"{layer.window}, {layer.strides}, {layer.padding.upper()!r}{rest}"
    writer.assign(node.outputs[0], f"nn.{kind}_pool({writer.value(node.inputs[0])}, {sizes})")


@rule.register
def layer_normalization(layer: layers.LayerNormalization, writer: Writer, node: Node) -> None:
    """nn.LayerNorm."""
    if layer.rms or layer.axes != (len(node.outputs[0].shape) - 1,):
        raise Unsupported("normalization over other axes than the last is not written for Flax", where=node.name)
    settings = f"epsilon={layer.epsilon!r}, use_scale={layer.gamma is not None}, use_bias={layer.beta is not None}"
    made = writer.module(node, f"nn.LayerNorm({settings}, name={_called(node)})", layer.gamma, layer.beta)
    _one(layer, writer, node, f"{made}({writer.value(node.inputs[0])})")


@rule.register
def batch_normalization(layer: layers.BatchNormalization, writer: Writer, node: Node) -> None:
    """nn.BatchNorm by its running averages; `train` is the caller's."""
    settings = f"use_running_average=not train, axis={layer.axis}, momentum={layer.momentum!r}, "
    settings += f"epsilon={layer.epsilon!r}, use_scale={layer.gamma is not None}, use_bias={layer.beta is not None}"
    made = writer.module(node, f"nn.BatchNorm({settings}, name={_called(node)})", layer.mean)
    _one(layer, writer, node, f"{made}({writer.value(node.inputs[0])})")


@rule.register
def constant(layer: layers.Constant, writer: Writer, node: Node) -> None:
    """A variable of its own collection."""
    weight = layer.weight
    made = f'self.variable("constants", {_called(node)}, jnp.zeros, {weight.shape}, jnp.{weight.dtype}).value'
    writer.assign(node.outputs[0], made)


@rule.register
def activate(layer: layers.Activate, writer: Writer, node: Node) -> None:
    """An expression."""
    writer.assign(node.outputs[0], activated(layer.activation, writer.value(node.inputs[0]), node.name))


def _line(layer: object, writer: Writer, node: Node) -> None:
    try:
        made = EXPRESSIONS[type(layer)](layer, *(writer.value(value, node.name) for value in node.inputs))
    except Unsupported as error:
        raise error.at(node.name) from error
    writer.assign(node.outputs[0], made)


for _type in EXPRESSIONS:
    rule.register(_type, _line)
