"""A raw architecture (JSON as any Keras wrote it) -> `LayerSpec`s and `ModelSpec`s. Nothing is built here.

Raises InvalidModel where the JSON is malformed and Unsupported where a class or argument is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from converter import limits
from converter.errors import ConversionError, InvalidModel, Unsupported, clean, formed
from converter.keras.architecture import dialects
from converter.keras.architecture.context import Context
from converter.keras.architecture.dialects import MODELS
from converter.keras.architecture.inbound import call_specs, is_listed, refs
from converter.keras.architecture.ownership import refuse_strangers
from converter.keras.eras.existence import had
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType
from converter.keras.layers import LAYERS
from converter.keras.layers.refused import REFUSED
from converter.keras.schema import Config, validate
from converter.keras.spec import PREFIX, CallSpec, LayerSpec, ModelSpec, Opaque, Ref
from converter.model.naming import first_repeated


def parse_layer(raw: Any, context: Context, depth: int = 0, position: int = 0) -> LayerSpec:
    """A serialized layer or model {"class_name", "config"}; `position` names it where Keras 1 left out the name."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("config"), Mapping | list):
        raise InvalidModel("a layer must be an object with class_name and config")
    if depth > limits.MODEL_DEPTH:
        raise Unsupported(f"layers are nested more than {limits.MODEL_DEPTH} deep")
    own = layer_name(raw) or f"{str(raw.get('class_name')).lower()}_{position + 1}"
    try:
        key = context.plugin_for(raw, own)
        if key and isinstance(raw["config"], Mapping):
            return _parse_plugged(raw, context, key, own, depth)
        name = dialects.class_name(raw, context.era)
        if name in MODELS:
            return _parse_model(raw, context, name, own, depth)
        if not isinstance(raw["config"], Mapping):
            raise InvalidModel("the configuration of a layer must be an object")
        with formed("a configuration"):
            return _parse_leaf(raw, context, name, own, depth)
    except RecursionError:
        raise Unsupported("layers are nested too deeply") from None


def layer_name(raw: Mapping[str, Any]) -> str:
    """A layer's own name, wherever that Keras put it; "" if nowhere."""
    config = raw.get("config")
    found = raw.get("name") or (config.get("name") if isinstance(config, Mapping) else None)
    if found is not None and not isinstance(found, str):
        raise InvalidModel(f"a layer's name is {clean(found)}, not text")
    return found or ""


def _parse_leaf(raw: Mapping[str, Any], context: Context, name: str, own: str, depth: int) -> LayerSpec:
    row = LAYERS.get(name)
    if row is None:
        operation = name.removeprefix(PREFIX)
        if "trainable" not in raw["config"] and had("operations", operation, context.era):  # every layer writes it
            raise Unsupported(f"the operation {operation} of Keras is not converted", hint=dialects.SUPPLY)
        raise refused(name) if name in REFUSED else dialects.custom(raw)
    written = context.activated(dialects.config(name, row, raw["config"], context.era, context.ordering))
    config = validate(row.config, written | {"name": own})
    return replace(_leaf(row, config, context, name, str(raw["class_name"]), depth), full_config=written)


def refused(name: str) -> Unsupported:
    """The refusal of a class of Keras' own."""
    why = f"{name} is a class of Keras' own that is not converted: {REFUSED[name]}"
    return Unsupported(why, hint=dialects.SUPPLY)


def _parse_plugged(raw: Mapping[str, Any], context: Context, key: str, own: str, depth: int) -> LayerSpec:
    """A layer that a plugin explains; of a Lambda, what is code is left out."""
    row, written_as = context.plugins[key], str(raw["class_name"]).rpartition(">")[2]
    written = context.activated(dialects.shaped(raw["config"]))
    if written_as == "Lambda":
        written = {k: v for k, v in written.items() if k not in LAMBDA_CODE and (k != "arguments" or v)}
    try:
        config = validate(row.config, written | {"name": own})
    except ConversionError as problem:
        problem.hint = problem.hint or f"add it to {row.config.__name__} of the plugin, as a field or as inert"
        raise
    return _leaf(row, config, context, key, written_as, depth)


def _leaf(row: LayerType, config: Config, context: Context, name: str, written_as: str, depth: int) -> LayerSpec:
    children = {key: parse_layer(child, context, depth + 1) for key, child in row.children(config, context.era).items()}
    return LayerSpec(config.name, name, written_as, config, children, config.trainable, row)


def _parse_listed(raw: Any, context: Context, depth: int, position: int) -> LayerSpec:
    """A layer of a model; one that is not understood becomes `Opaque`, since it may not be needed (--outputs)."""
    try:
        if isinstance(raw, Mapping):
            refuse_strangers(raw, context)
        return parse_layer(raw, context, depth, position)
    except ConversionError as problem:
        if not isinstance(raw, Mapping) or not isinstance(raw.get("class_name"), str):
            raise
        own = layer_name(raw) or f"{raw['class_name'].lower()}_{position + 1}"
        if context.plugins and dialects.SUPPLY in problem.hint:
            problem.hint += f"; LAYERS of what is given has {', '.join(map(repr, context.plugins))}"
        return LayerSpec(own, "", raw["class_name"], Opaque(problem))


# What a Lambda's configuration holds of its code; never run.
LAMBDA_CODE = frozenset({
    "function", "function_type", "module", "output_shape", "output_shape_type", "output_shape_module", "mask",
    "mask_type", "mask_module",
})  # fmt: skip


def _parse_model(raw: Mapping[str, Any], context: Context, name: str, own: str, depth: int) -> LayerSpec:
    config = raw["config"]
    listed = config if isinstance(config, list) else config.get("layers")
    if not isinstance(listed, list):
        raise Unsupported(
            "the model holds no list of layers", hint="a subclassed model keeps its structure in Python code"
        )
    if len(listed) > limits.MODEL_NODES:
        raise Unsupported(f"a model of {len(listed)} layers; {limits.MODEL_NODES} are read")
    sequential = name == "Sequential"
    layers = tuple(_parse_listed(layer, context, depth + 1, k) for k, layer in enumerate(listed))
    if (twice := first_repeated([layer.name for layer in layers])) is not None:
        raise InvalidModel(f"two layers are called {clean(twice)!r}")
    build_shape = config.get("build_input_shape") if isinstance(config, Mapping) else None
    if sequential:
        model = _sequential(own, layers, build_shape)
    else:
        model = _functional(own, layers, config, listed, context.era)
    trainable = bool(config.get("trainable", True)) if isinstance(config, Mapping) else True
    return LayerSpec(own, name, str(raw["class_name"]), model, {layer.name: layer for layer in layers}, trainable)


def _sequential(name: str, layers: tuple[LayerSpec, ...], build_shape: Any) -> ModelSpec:
    if not layers:
        raise InvalidModel("a Sequential model without layers")
    if layers[0].class_name != "InputLayer" and not _brings_input(layers[0]):
        layers = (implied_input(layers[0], build_shape), *layers)
    inputs = branch_inputs(layers[0]) if _brings_input(layers[0]) else layers[:1]
    rest = layers if _brings_input(layers[0]) else layers[1:]
    first = tuple(Ref(layer.name, 0, 0) for layer in inputs)
    calls: dict[str, dict[int, CallSpec]] = {}
    argument: Any = first[0] if len(first) == 1 else list(first)
    for layer in rest:
        calls[layer.name] = {0: CallSpec((argument,), {})}
        argument = Ref(layer.name, 0, 0)
    return ModelSpec(name, (*inputs, *rest), calls, first, (argument,), (argument.layer,))


def _brings_input(layer: LayerSpec) -> bool:
    """Whether a layer holds its own inputs: the Merge of whole models that starts a Keras 1 Sequential."""
    return layer.row is not None and layer.row.joins_models and bool(layer.children)


def branch_inputs(merge: LayerSpec) -> tuple[LayerSpec, ...]:
    """The InputLayers of the models inside a Merge, in order."""
    found: list[LayerSpec] = []
    for branch in merge.children.values():
        if isinstance(branch.config, ModelSpec):
            layers = {layer.name: layer for layer in branch.config.layers}
            found += [layers[ref.layer] for ref in branch.config.inputs]
    return tuple(found)


def implied_input(first: LayerSpec, build_shape: Any) -> LayerSpec:
    """The InputLayer that a Sequential leaves out: its shape is on the first layer, next to the layers, or nowhere."""
    config = first.config
    shape: Any = None
    dtype: Any = None
    if isinstance(config, ModelSpec):
        inner: Any = next(layer for layer in config.layers if layer.name == config.inputs[0].layer).config
        shape, dtype = inner.batch_input_shape, inner.dtype
    elif isinstance(config, Config):
        shape, dtype = config.batch_input_shape, config.compute_dtype
        takes_indices = first.row is not None and first.row.takes == "indices"
        dtype = "int32" if takes_indices and dtype is None else dtype
    if shape is None and isinstance(build_shape, Sequence) and not isinstance(build_shape, str):
        shape = list(build_shape)
    name = f"{first.name}_input"
    raw = {"name": name, "batch_input_shape": shape, "dtype": dtype}
    row = LAYERS["InputLayer"]
    return LayerSpec(name, "InputLayer", "InputLayer", validate(row.config, raw), row=row)


def _functional(name: str, layers: tuple[LayerSpec, ...], config: Any, listed: list[Any], era: Era) -> ModelSpec:
    if not isinstance(config, Mapping) or "input_layers" not in config or "output_layers" not in config:
        raise InvalidModel("a Functional model needs input_layers and output_layers")
    known = {layer.name for layer in layers}
    inputs, _ = refs(config["input_layers"], known)
    outputs, keys = refs(config["output_layers"], known)
    calls: dict[str, dict[int, CallSpec]] = {}
    for layer, raw in zip(layers, listed, strict=True):
        calls[layer.name] = dict(enumerate(call_specs(raw.get("inbound_nodes", []), known)))
        if layer.row is not None and layer.row.makes_constants and not calls[layer.name]:
            calls[layer.name] = {0: CallSpec((), {})}
    in_outputs_only = era.switch("creation_counts_in_outputs_only")
    if in_outputs_only:
        outputs = _without_creation(layers, outputs)
    offsets = {} if in_outputs_only else _node_offsets(layers, calls, outputs)
    for layer_name_, offset in offsets.items():
        calls[layer_name_] = {k + offset: v for k, v in calls[layer_name_].items()}
    names = tuple(key or ref.layer for key, ref in zip(keys, outputs, strict=True))
    return ModelSpec(name, layers, calls, inputs, outputs, names, listed=is_listed(config["input_layers"]))


def _without_creation(layers: tuple[LayerSpec, ...], outputs: tuple[Ref, ...]) -> tuple[Ref, ...]:
    """Keras 3 counts the creation of a nested Functional model as node 0, but only in a model's list of outputs.

    Source: `Functional.get_config` and `serialize_node` in keras/src/models/functional.py, 3.0.0 to 3.15.1.
    """
    nested = {layer.name for layer in layers if layer.class_name == "Functional"}
    return tuple(replace(ref, node=ref.node - 1) if ref.layer in nested else ref for ref in outputs)


def _node_offsets(
    layers: tuple[LayerSpec, ...], calls: Mapping[str, Mapping[int, CallSpec]], outputs: tuple[Ref, ...]
) -> dict[str, int]:
    """Nested models of Keras 1 and 2 count their own creation as node 0, so their calls are numbered from 1."""
    used: dict[str, set[int]] = {}
    for ref in [
        *outputs,
        *(r for nodes in calls.values() for call in nodes.values() for r in refs_in([call.args, call.kwargs])),
    ]:
        used.setdefault(ref.layer, set()).add(ref.node)
    return {
        layer.name: 1
        for layer in layers
        if isinstance(layer.config, ModelSpec) and layer.name in used and 0 not in used[layer.name]
    }


def refs_in(structure: Any) -> list[Ref]:
    """Every tensor in lists and dicts, in Keras' order."""
    if isinstance(structure, Ref):
        return [structure]
    if isinstance(structure, Mapping):
        structure = [structure[key] for key in sorted(structure)]  # as Keras flattens dicts
    items = structure if isinstance(structure, list | tuple) else ()
    return [ref for item in items for ref in refs_in(item)]


def references(call: CallSpec) -> list[Ref]:
    """Every tensor a call reads."""
    return refs_in([list(call.args), dict(call.kwargs)])
