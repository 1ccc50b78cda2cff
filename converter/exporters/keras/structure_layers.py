"""A layer of a file in Keras 3's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from converter.exporters.keras.activations import argument_of, name_of, scale
from converter.exporters.keras.arguments import MODES
from converter.exporters.keras.graph import policy
from converter.exporters.keras.structure_recurrent import RECURRENT, Made, arguments, recurrent, refuse
from converter.exporters.keras.training import kept
from converter.exporters.weights import owned
from converter.keras.building.ops import FLOATS
from converter.keras.schema import Config, policy_name
from converter.keras.spec import LayerSpec
from converter.model import Node, Weight, layers

FIELDS: Mapping[type, tuple[str, ...]] = {
    layers.Dense: ("kernel", "bias"),
    layers.Conv: ("kernel", "bias"),
    layers.Embedding: ("table",),
    layers.BatchNormalization: ("gamma", "beta", "mean", "variance"),
    layers.LayerNormalization: ("gamma", "beta"),
}
"""Neutral fields in the order in which Keras keeps them."""


def made(spec: LayerSpec, nodes: Sequence[Node]) -> Made:
    """A layer, of which one call made these nodes.

    Raises:
        Unsupported: it is not one of `ARGUMENTS`, or Keras 3 cannot compute it.
    """
    if spec.class_name == "TimeDistributed":
        (child,) = spec.children.values()
        inner = made(child, nodes)
        config = {**arguments(spec), "layer": inner.entry(child.name)}
        return Made(spec.class_name, config, inner.below("layer"), inner.factor)
    if spec.class_name == "Merge":
        return _merge(spec)
    return (recurrent if spec.class_name in RECURRENT else _plain)(spec, nodes)


def _merge(spec: LayerSpec) -> Made:
    kind = MODES.get(str(spec.full_config.get("mode")))
    if kind is None or spec.children:  # its own branches of layers
        refuse(spec.name)
    axis = {"axis": spec.full_config.get("concat_axis", -1)} if kind == "Concatenate" else {}
    return Made(kind, {**axis, **kept(spec.full_config)})


def _plain(spec: LayerSpec, nodes: Sequence[Node]) -> Made:
    """A layer that is not recurrent; the weights before a scaled activation are scaled."""
    config = arguments(spec)
    config |= {"activation": "linear"} if spec.class_name == "Activation" else {}
    weights, factor = dict(_weights(spec, nodes)), 1.0
    acts = [(n.layer.activation, len(n.outputs[0].shape)) for n in nodes if isinstance(n.layer, layers.Activate)]
    if spec.full_config.get("activation") not in (None, "linear"):
        ((activation, rank),) = acts if len(acts) == 1 else refuse(spec.name)
        dtype = nodes[-1].outputs[0].dtype
        found = argument_of(activation, rank - 1, dtype) if weights else (name_of(activation, rank - 1), 1.0)
        config["activation"], factor = found if found is not None and found[0] else refuse(spec.name)
        weights = {key: scale(weight, [factor]) for key, weight in weights.items()}
    if weights:
        held, weights = policy(next(n for n in nodes if type(n.layer) in FIELDS), weights)
        config |= held
    elif isinstance(spec.config, Config) and spec.config.compute_dtype in FLOATS:  # an old Reshape may say int32
        config["dtype"] = policy_name(spec.config.dtype)
    if isinstance(axis := config.get("axis"), list) and len(axis) == 1:  # as tf.keras writes it
        config["axis"] = axis[0]
    return Made(spec.class_name, config, weights, factor)


def _weights(spec: LayerSpec, nodes: Sequence[Node]) -> Iterator[tuple[str, Weight]]:
    owners = [n.layer for n in nodes if not isinstance(n.layer, layers.Constant) and any(owned(n.layer))]
    if len(owners) > 1 or any(type(owner) not in FIELDS for owner in owners):
        refuse(spec.name)
    found: list[Any] = [getattr(owner, name) for owner in owners for name in FIELDS[type(owner)]]
    for k, weight in enumerate(weight for weight in found if weight is not None):
        yield f"vars/{k}", weight
