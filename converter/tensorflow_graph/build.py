"""From a signature of a graph to a neutral model."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from converter.errors import Unsupported, clean
from converter.model import Array, LayerInfo, Model, Node, Provenance, State, Value, Weight, dtype_of, layers
from converter.model.naming import free_name
from converter.model.renaming import renamed
from converter.tensorflow_graph.meaning import outputs_of
from converter.tensorflow_graph.running import Variable
from converter.tensorflow_graph.running_wide import RunningWide
from converter.tensorflow_graph.signature import Entry
from converter.tensorflow_graph.sizes import Dims
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import Resource, Stored, as_array
from converter.tensorflow_graph.walking import Walk

STATE_NAMES = ("h", "c")
MAX_RUN = 20_000_000  # steps of a run, those of loops included


def recover(entry: Entry, variables: Mapping[str, Weight], source: Provenance) -> Model:
    """The neutral model of what a signature computes.

    Args:
        entry: the signature.
        variables: what is stored for each variable of the main graph, by the name of its handle.
        source: where the graph comes from.

    Raises:
        InvalidModel: the graph is broken.
        Unsupported: an operator, or a loop, that has no neutral form.
    """
    t, outputs = _translated(entry, variables, {})
    states: dict[str, Value] = {}
    if t.assigned:  # variables that are written to are states; now they come in from outside
        for k, name in enumerate(t.assigned):
            stored = variables[name]
            states[name] = Value(f"{clean(name.replace('/', '_'), 100)}_{k}_in", stored.shape, stored.dtype)
        t, outputs = _translated(entry, variables, states)
    carried = [State(states[name], t.assigned[name]) for name in states]
    model = Model(
        name=clean(entry.name, 100),
        inputs=tuple(t.feed[port.ref[0]] for port in entry.inputs),
        outputs=tuple(outputs),
        output_names=_output_names(entry),
        nodes=tuple(t.graph.nodes),
        states=tuple(carried),
        layers=(),
        source=source,
        warnings=_warnings(variables, states),
        origin=lambda inputs: run_graph(entry, variables, inputs, states),
    )
    model = _named_states(_without_idle_states(settled(model, t.pending)))
    return replace(model, layers=_described(model, {id(weight) for weight in variables.values()}))


def _translated(
    entry: Entry, variables: Mapping[str, Weight], states: Mapping[str, Value]
) -> tuple[Translating, list[Value]]:
    """The translation of the whole signature, and its outputs."""
    stored: dict[str, Any] = {name: states.get(name, Stored(weight)) for name, weight in variables.items()}
    t = Translating(entry.library, {name: Resource(name, value) for name, value in stored.items()}, outputs_of)
    for port in entry.inputs:
        if port.shape is None:
            raise Unsupported(f"the input {clean(port.name, 60)} has no number of axes")
        t.feed[port.ref[0]] = t.input(clean(port.name, 100), port.shape, port.dtype)
    for value in states.values():
        t.know(value, value.shape)
    made = Walk(t).call(entry.body, [])
    found = []
    for port, value in zip(entry.outputs, made, strict=True):
        if not isinstance(value, Value | Dims) and as_array(value) is None:
            raise Unsupported(f"the output {clean(port.name, 60)} is no tensor that the model computes")
        found.append(t.value(entry.body.steps[port.ref[0]], value))
    return t, found


def run_graph(
    entry: Entry, variables: Mapping[str, Weight], inputs: Mapping[str, Array], zeros: Container[str] = ()
) -> list[Array]:
    """What the graph itself gives, by the kernels of `converter.tensorflow_graph.kernels`; half precision as float32.

    Args:
        inputs: arrays by the names of the signature's inputs.
        zeros: variables that are zeros at first, whatever is stored: states.
    """
    held = {
        name: Variable(name, np.zeros(w.shape, dtype_of(w.dtype)) if name in zeros else w.read())
        for name, w in variables.items()
    }
    feed = {port.ref[0]: np.asarray(inputs[clean(port.name, 100)]) for port in entry.inputs}
    return [np.asarray(made) for made in Walk(RunningWide(entry.library, held, feed), MAX_RUN).call(entry.body, [])]


def _output_names(entry: Entry) -> tuple[str, ...]:
    taken, names = {clean(port.name, 100) for port in entry.inputs}, list[str]()
    counts: dict[str, int] = {}
    for port in entry.outputs:
        names.append(free_name(clean(port.name, 100), taken, counts))
        taken.add(names[-1])
    return tuple(names)


def _warnings(variables: Mapping[str, Weight], states: Mapping[str, Value]) -> tuple[str, ...]:
    if any(variables[name].read().any() for name in states):
        return (
            "stateful layers were saved after some calls: TensorFlow would go on from their states, which are not "
            "exported",
        )
    return ()


def _without_idle_states(model: Model) -> Model:
    """The model without states that no output depends on, in this call or a later one: seeds of random numbers."""
    makers = {value.name: node for node in model.nodes for value in node.outputs}
    after = {state.input.name: state.output.name for state in model.states}
    seen: set[str] = set()
    waiting = [value.name for value in model.outputs]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            node = makers.get(name)
            waiting += [v.name for v in node.inputs if v is not None] if node is not None else []
            waiting += [after[name]] if name in after else []
    return replace(model, states=tuple(state for state in model.states if state.input.name in seen))


def settled(model: Model, pending: Mapping[str, tuple[Value, Value, Value | None]]) -> Model:
    """The model with last outputs made by their layers: by themselves, or where sequences are read, next to these.

    Args:
        pending: last output -> itself, the sequence it is the end of, and the final state that it is, if it is one.
    """
    by_sequence = {y.name: (last, final) for last, y, final in pending.values()}
    maker = {last.name: y.name for last, y, _ in pending.values()}
    needed = {v.name for v in model.outputs} | {state.output.name for state in model.states}
    kept: list[Node] = []
    for node in reversed(model.nodes):
        if {v.name for v in node.outputs} & needed or any(maker.get(n) == node.outputs[0].name for n in needed):
            kept.append(node)
            needed |= {v.name for v in node.inputs if v is not None}
    nodes: list[Node] = []
    same: dict[str, Value] = {}
    for node in reversed(kept):
        node = replace(node, inputs=tuple(v if v is None else same.get(v.name, v) for v in node.inputs))
        y = node.outputs[0]
        if y.name not in by_sequence or not isinstance(node.layer, layers.Recurrent):
            nodes.append(node)
            continue
        last, final = by_sequence[y.name]
        if y.name not in needed:
            layer = layers.Recurrent(node.layer.directions, masked_output=node.layer.masked_output)
            nodes.append(replace(node, layer=layer, outputs=(last, *node.outputs[1:])))
            continue
        nodes.append(node)
        if last.name in needed and final is not None:
            same[last.name] = final
        elif last.name in needed:
            nodes += _end_of(node, y, last)
    outputs = tuple(same.get(v.name, v) for v in model.outputs)
    states = tuple(State(s.input, same.get(s.output.name, s.output)) for s in model.states)
    return replace(model, nodes=tuple(nodes), outputs=outputs, states=states)


def _end_of(node: Node, y: Value, last: Value) -> list[Node]:
    """The last step of a sequence."""
    cut = Value(f"{last.name}/cut", (y.shape[0], 1, *y.shape[2:]), y.dtype)
    slice_layer = layers.Slice((1,), (-1,), (None,), (1,))
    return [
        Node(f"{node.name}/cut", slice_layer, (y,), (cut,), node.keras_layer),
        Node(f"{node.name}/last", layers.Squeeze((1,)), (cut,), (last,), node.keras_layer),
    ]


def _named_states(model: Model) -> Model:
    """States called after the layer that reads them: <layer>_h_in, <layer>_h_out."""
    if not model.states:
        return model
    names: dict[str, str] = {}
    outputs = {state.output.name: state for state in model.states}
    for state in model.states:
        for node in model.nodes:
            if isinstance(node.layer, layers.Recurrent) and state.input in node.inputs[2:]:
                which = STATE_NAMES[node.inputs[2:].index(state.input)]
                base = f"{node.keras_layer.replace('/', '_')}_{which}"
                names[state.input.name], names[state.output.name] = f"{base}_in", f"{base}_out"
    if len(set(names.values())) != len(names) or len(outputs) != len(model.states):
        return model
    return renamed(model, names)


def _described(model: Model, variables: Container[int]) -> tuple[LayerInfo, ...]:
    """What `inspect` says of the layers that hold weights; of constants, those that are variables by their ids."""
    found: dict[str, LayerInfo] = {}
    for node in layers.every_node(model.nodes):
        weights = weights_of(node.layer)
        if isinstance(node.layer, layers.Scan) and node.keras_layer in found:  # whose body came before it
            shapes = (node.outputs[-1].shape,)
            found[node.keras_layer] = replace(found[node.keras_layer], class_name="Scan", output_shapes=shapes)
        if not weights or (isinstance(node.layer, layers.Constant) and id(weights[0]) not in variables):
            continue
        known = found.get(node.keras_layer)
        if known is not None and known.class_name == "Constant":
            known = replace(known, class_name=class_name(node.layer), output_shapes=(node.outputs[0].shape,))
        name = class_name(node.layer)
        found[node.keras_layer] = LayerInfo(
            node.keras_layer,
            name if known is None else known.class_name,
            (node.outputs[0].shape,) if known is None else known.output_shapes,
            weights if known is None else (*known.weights, *weights),
        )
    return tuple(found.values())


def weights_of(layer: Any) -> tuple[Weight, ...]:
    """The weights of a layer, its cells' included."""
    if isinstance(layer, layers.Recurrent):
        return tuple(w for side in layer.directions for w in weights_of(side.cell))
    found: Sequence[Any] = [getattr(layer, name) for name in layer.__struct_fields__]
    return tuple(item for item in found if isinstance(item, Weight))


def class_name(layer: Any) -> str:
    """The Keras class that a layer is most like."""
    if isinstance(layer, layers.Recurrent):
        return type(layer.directions[0].cell).__name__.removesuffix("Cell")
    return {"Conv": "Convolution"}.get(type(layer).__name__, type(layer).__name__)
