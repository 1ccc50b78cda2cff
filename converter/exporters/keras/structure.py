"""The layers of a Keras file as they are: a Sequential stays one, TimeDistributed, Masking and Dropout stay.

Keras 3 reads some old layers as something else (masks, states, activations). So what is written is parsed again as
Keras 3 means it, and kept only where that is the same graph; else the model is written as what its layers compute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from converter.errors import ConversionError, Unsupported
from converter.exporters.keras.activations import argument_of, factors, name_of, scale
from converter.exporters.keras.archive import KERAS_VERSION, config_of
from converter.exporters.keras.graph import Graph, Ref, policy
from converter.exporters.keras.recurrent import keras_cell, last_axis
from converter.exporters.keras.same import same
from converter.exporters.keras.training import RATES, kept
from converter.exporters.weights import DIRECTIONS, owned
from converter.keras.build import build
from converter.keras.building.ops import FLOATS
from converter.keras.schema import Config, policy_name
from converter.keras.source import FlatWeights, Source
from converter.keras.spec import CallSpec, LayerSpec, ModelSpec
from converter.keras.spec import Ref as History
from converter.model import Model, Node, Provenance, Weight, layers
from converter.model.layers import Direction, Recurrent

_WINDOW = ("strides", "padding", "data_format")
_CONV = ("filters", "kernel_size", "dilation_rate", "groups", "use_bias", *_WINDOW)
_SEQUENCE = ("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask", *RATES)
_MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
# Arguments that mean today what they meant, by class; other classes are written as what they compute.
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "Dense": ("units", "use_bias"), "Embedding": ("input_dim", "output_dim", "mask_zero"), "Masking": ("mask_value",),
    **{f"Conv{k}D": _CONV for k in (1, 2, 3)},
    **{f"{kind}Pooling{k}D": ("pool_size", *_WINDOW) for kind in ("Max", "Average") for k in (1, 2, 3)},
    **{f"Global{kind}Pooling{k}D": ("data_format", "keepdims") for kind in ("Max", "Average") for k in (1, 2, 3)},
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU"), _SEQUENCE),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _SEQUENCE),
    "Bidirectional": ("merge_mode",), "TimeDistributed": (),
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "LayerNormalization": ("axis", "epsilon", "center", "scale"),
    "Dropout": ("rate", "noise_shape", "seed"), "SpatialDropout1D": ("rate", "seed"),
    "SpatialDropout2D": ("rate", "data_format", "seed"), "SpatialDropout3D": ("rate", "data_format", "seed"),
    "GaussianNoise": ("stddev", "seed"), "GaussianDropout": ("rate", "seed"),
    "AlphaDropout": ("rate", "noise_shape", "seed"), "ActivityRegularization": ("l1", "l2"),
    "Flatten": ("data_format",), "Reshape": ("target_shape",), "Permute": ("dims",), "RepeatVector": ("n",),
    "Activation": (), "LeakyReLU": ("negative_slope",), "ELU": ("alpha",), "Softmax": ("axis",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    **{name: () for name in _MERGES}, "Concatenate": ("axis",), "Dot": ("axes", "normalize"),
    "ZeroPadding1D": ("padding",), "Cropping1D": ("cropping",), "UpSampling1D": ("size",),
}  # fmt: skip
_FIELDS: Mapping[type, tuple[str, ...]] = {
    layers.Dense: ("kernel", "bias"),
    layers.Conv: ("kernel", "bias"),
    layers.Embedding: ("table",),
    layers.BatchNormalization: ("gamma", "beta", "mean", "variance"),
    layers.LayerNormalization: ("gamma", "beta"),
}
"""Neutral fields in the order in which Keras keeps them."""


@dataclass(frozen=True)
class _Made:
    """A layer as Keras 3 has it: its class, arguments, arrays, and what their gates were multiplied by, by side."""

    class_name: str
    config: dict[str, Any]
    weights: dict[str, Weight] = field(default_factory=dict)
    scaled: dict[str, Sequence[float]] = field(default_factory=dict)

    def entry(self, name: str) -> dict[str, Any]:
        """It inside another layer's arguments."""
        config = {"name": name, **self.config}
        return {"module": "keras.layers", "class_name": self.class_name, "config": config, "registered_name": None}


def structured(model: Model) -> tuple[Graph, list[Ref]] | None:
    """The layers of the file, as operations of a Keras 3 model, and its outputs; None where Keras 3 would differ."""
    if model.written is None or not isinstance(model.written.config, ModelSpec):
        return None
    try:
        graph, outputs = _written(model, model.written)
        config = config_of(graph, outputs)
        arrays = {op.name: tuple(op.weights.values()) for op in graph.ops.values() if op.weights}
        source = Source(config, FlatWeights(arrays), Provenance("", "", keras_version=KERAS_VERSION))
        return (graph, outputs) if same(model, build(source), bool(graph.scaled)) else None
    except ConversionError:
        return None


def _written(model: Model, root: LayerSpec) -> tuple[Graph, list[Ref]]:
    assert isinstance(root.config, ModelSpec)
    graph, spec = Graph(model), root.config
    graph.sequential = root.class_name == "Sequential" and len(model.inputs) == 1
    made = {(ref.layer, 0): graph.inputs[k] for k, ref in enumerate(spec.inputs)}
    shapes = {info.path: info.output_shapes for info in model.layers}
    for layer in spec.layers:
        if layer.class_name == "InputLayer":
            continue
        (call,) = spec.calls[layer.name].values() if len(spec.calls.get(layer.name, ())) == 1 else _refuse(layer.name)
        args, kwargs = _arguments(call, made, layer)
        nodes = [n for n in model.nodes if n.keras_layer == layer.name or n.keras_layer.startswith(f"{layer.name}/")]
        one = _layer(layer, nodes)
        name = graph.layer(layer.name, one.class_name, one.config, args, one.weights, kwargs)
        if name != layer.name:
            _refuse(layer.name)
        for side, by in one.scaled.items():
            graph.note_scaled(f"{name} {side}".strip(), by)
        dtype = nodes[-1].outputs[0].dtype if nodes else _first(args).dtype
        for k, shape in enumerate(shapes.get(layer.name, ())):
            made[layer.name, k] = Ref(name, k, shape, dtype)
    return graph, [made[ref.layer, ref.tensor] for ref in spec.outputs]


def _refuse(name: str) -> Any:
    raise Unsupported("written as what it computes", where=name)


def _first(args: Any) -> Ref:
    while isinstance(args, list | tuple):
        args = args[0]
    assert isinstance(args, Ref)
    return args


def _arguments(
    call: CallSpec, made: Mapping[tuple[str, int], Ref], layer: LayerSpec
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a layer is called with: tensors, and for recurrent ones the initial states by keyword."""

    def tensors(tree: Any) -> Any:
        if isinstance(tree, History):
            return made.get((tree.layer, tree.tensor)) or _refuse(tree.layer)
        return [tensors(item) for item in tree] if isinstance(tree, list | tuple) else _refuse(layer.name)

    kwargs = {key: value for key, value in call.kwargs.items() if value is not None}
    if set(kwargs) - {"initial_state", "training"} or len(call.args) != 1:
        _refuse(layer.name)
    given = tensors(call.args[0])
    out = {"training": kwargs["training"]} if isinstance(kwargs.get("training"), bool) else {}
    if "initial_state" in kwargs:
        out["initial_state"] = tensors(kwargs["initial_state"])
    if isinstance(given, list) and layer.class_name not in (*_MERGES, "Concatenate", "Dot"):
        given, *states = given
        out |= {"initial_state": states} if states else {}
    return (given,), out


def _layer(spec: LayerSpec, nodes: Sequence[Node]) -> _Made:
    """A layer in Keras 3's words.

    Raises:
        Unsupported: it is not one of `ARGUMENTS`, or Keras 3 cannot compute it.
    """
    if spec.class_name not in ARGUMENTS:
        _refuse(spec.name)
    full = spec.full_config
    config: dict[str, Any] = {name: full[name] for name in ARGUMENTS[spec.class_name] if name in full}
    config |= kept(full)
    directions = [d for n in nodes if isinstance(n.layer, Recurrent) for d in n.layer.directions]
    if spec.class_name == "TimeDistributed":
        (child,) = spec.children.values()
        inner = _layer(child, nodes)
        scaled = inner.scaled
        return _Made(spec.class_name, {**config, "layer": inner.entry(child.name)}, _below("layer", inner), scaled)
    if spec.class_name == "Bidirectional":
        return _pair(spec, config, directions, nodes[-1])
    if "return_sequences" in ARGUMENTS[spec.class_name]:
        return _recurrent(spec, config, directions, nodes[-1])
    return _plain(spec, config, nodes)


def _below(path: str, inner: _Made) -> dict[str, Weight]:
    return {f"{path}/{key}": weight for key, weight in inner.weights.items()}


def _recurrent(spec: LayerSpec, config: dict[str, Any], directions: Sequence[Direction], node: Node) -> _Made:
    (direction,) = directions if len(directions) == 1 else _refuse(spec.name)
    name, made_config, arrays = keras_cell(direction.cell, spec.name)
    dtype, arrays = policy(node, arrays)
    if node.outputs[0].dtype in ("float16", "bfloat16"):  # some backends have no random matrix of these
        made_config["recurrent_initializer"] = "zeros"
    by = factors(direction.cell, last_axis(direction.cell))
    return _Made(name, {**made_config, **config, **dtype}, arrays, {"": by})


def _pair(spec: LayerSpec, config: dict[str, Any], directions: Sequence[Direction], node: Node) -> _Made:
    sides = [spec.children[f"{side}_layer"] for side in DIRECTIONS]
    if len(directions) != len(sides):
        _refuse(spec.name)
    made = [_recurrent(side, _side(side), [d], node) for side, d in zip(sides, directions, strict=True)]
    weights: dict[str, Weight] = {}
    for side, one in zip(DIRECTIONS, made, strict=True):
        weights |= _below(f"{side}_layer", one)
    forward, backward = (one.entry(side.name) for side, one in zip(sides, made, strict=True))
    config |= {"layer": forward, "backward_layer": backward, **policy(node, {})[0]}
    scaled = {side: one.scaled[""] for side, one in zip(DIRECTIONS, made, strict=True)}
    return _Made(spec.class_name, config, weights, scaled)


def _side(spec: LayerSpec) -> dict[str, Any]:
    full = spec.full_config
    return {name: full[name] for name in ARGUMENTS.get(spec.class_name, ()) if name in full} | kept(full)


def _plain(spec: LayerSpec, config: dict[str, Any], nodes: Sequence[Node]) -> _Made:
    """A layer that is not recurrent; the weights before a scaled activation are scaled."""
    weights, factor = dict(_weights(spec, nodes)), 1.0
    acts = [(n.layer.activation, len(n.outputs[0].shape)) for n in nodes if isinstance(n.layer, layers.Activate)]
    if spec.full_config.get("activation") not in (None, "linear"):
        ((activation, rank),) = acts if len(acts) == 1 else _refuse(spec.name)
        found = argument_of(activation, rank - 1) if weights else (name_of(activation, rank - 1), 1.0)
        config["activation"], factor = found if found is not None and found[0] else _refuse(spec.name)
        weights = {key: scale(weight, [factor]) for key, weight in weights.items()}
    if weights:
        dtype, weights = policy(next(n for n in nodes if type(n.layer) in _FIELDS), weights)
        config |= dtype
    elif isinstance(spec.config, Config) and spec.config.compute_dtype in FLOATS:  # an old Reshape may say int32
        config["dtype"] = policy_name(spec.config.dtype)
    if isinstance(axis := config.get("axis"), list) and len(axis) == 1:  # as tf.keras writes it
        config["axis"] = axis[0]
    return _Made(spec.class_name, config, weights, {"": [factor]})


def _weights(spec: LayerSpec, nodes: Sequence[Node]) -> Iterator[tuple[str, Weight]]:
    owners = [n.layer for n in nodes if not isinstance(n.layer, layers.Constant) and any(owned(n.layer))]
    if len(owners) > 1 or any(type(owner) not in _FIELDS for owner in owners):
        _refuse(spec.name)
    found = [getattr(owner, name) for owner in owners for name in _FIELDS[type(owner)]]
    for k, weight in enumerate(weight for weight in found if weight is not None):
        yield f"vars/{k}", weight
