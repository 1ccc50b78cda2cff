"""Source -> Model: parse, bind, build the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.binding import bind
from converter.keras.context import Context
from converter.keras.cutting import cut, refuse_opaque
from converter.keras.dialects import class_name, is_foreign
from converter.keras.era import Era, parse
from converter.keras.graph import Graph, Tensor
from converter.keras.parse import MODELS, parse_layer
from converter.keras.source import FlatWeights, Source
from converter.keras.spec import Bound, LayerSpec, LayerType, ModelSpec
from converter.keras.topology import Topology, check_size
from converter.model import Model, Provenance, Value


def build(source: Source, outputs: tuple[str, ...] = (), plugins: Mapping[str, LayerType] | None = None) -> Model:
    """The neutral model of a file.

    Args:
        source: what the reader found.
        outputs: names of layers whose outputs the model shall have instead of its own.
        plugins: layers that the user supplies, see `converter.plugin`.

    Raises:
        ConversionError: with the layer in `where`.
    """
    era = era_of(source)
    if source.weights is None:
        raise InvalidModel("the file holds an architecture but no weights")
    context = Context(era, plugins or {})
    root = parse_layer(source.architecture, context) if is_model(source.architecture, era) else None
    if root is None or not isinstance(root.config, ModelSpec):
        raise subclassed(source.architecture)
    check_size(root)
    if outputs:
        root = cut(root, outputs)
    else:
        refuse_opaque(root)
    bound = bind(root, source.weights, era)
    model = assemble(root, bound, era, source.provenance)
    return replace(model, warnings=(*source.warnings, *model.warnings))


def is_model(architecture: Mapping[str, Any], era: Era) -> bool:
    """Whether the outermost class is one whose structure is in its configuration."""
    return not is_foreign(architecture) and class_name(architecture, era) in MODELS


def subclassed(architecture: Mapping[str, Any]) -> Unsupported:
    """The refusal of a model whose structure is Python code, or may be."""
    name, config = clean(architecture.get("class_name")), architecture.get("config")
    if isinstance(config, Mapping) and "input_layers" in config:
        hint = (
            'if it only adds training code, say "class_name": "Functional" in its JSON and pass that as --architecture'
        )
        return Unsupported(f"the model is of the custom class {name}, whose code is not in the file", hint=hint)
    hint = "rebuild it as a functional model, set its weights, and save that"
    return Unsupported(
        f"a subclassed model ({name}): how its layers are joined is Python code, which no file holds", hint=hint
    )


def assemble(root: LayerSpec, bound: Bound, era: Era, provenance: Provenance) -> Model:
    """The neutral model of a parsed and bound architecture."""
    spec = root.config
    assert isinstance(spec, ModelSpec)
    graph = Graph()
    topology = Topology(graph, era, fixed_batch=is_stateful(root))
    inputs = topology.inputs(spec, bound)
    made = topology.run(spec, bound, inputs, "")
    infos = {layer.name: graph.layers.get(layer.name) for layer in spec.layers}
    return Model(
        name=spec.name,
        inputs=tuple(with_batch(inputs[ref.layer].value, graph.batch) for ref in spec.inputs),
        outputs=tuple(t.value for tensors in made for t in tensors),
        output_names=_unique_names(spec, made, inputs),
        nodes=tuple(graph.nodes),
        states=tuple(graph.states),
        layers=tuple(dict.fromkeys([*(i for i in infos.values() if i is not None), *graph.layers.values()])),
        source=_described(provenance, era),
        warnings=tuple(graph.warnings),
    )


def with_batch(value: Value, batch: int | None) -> Value:
    """A model input whose batch, if open, is the one that constants fix."""
    return value if value.shape[0] is not None else replace(value, shape=(batch, *value.shape[1:]))


def _described(source: Provenance, era: Era) -> Provenance:
    return Provenance(source.path, source.format, source.keras_version, str(era), era.backend, source.sha256)


def _unique_names(spec: ModelSpec, made: list[tuple[Tensor, ...]], inputs: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Keras' output names (the layer's), numbered where a layer gives several, never an input's name."""
    taken = {tensor.value.name for tensor in inputs.values()}
    names: list[str] = []
    for name in [name for name, tensors in zip(spec.output_names, made, strict=True) for _ in tensors]:
        unique, k = name, 0
        while unique in taken:
            k += 1
            unique = f"{name}_{k}"
        taken.add(unique)
        names.append(unique)
    return tuple(names)


def is_stateful(spec: LayerSpec) -> bool:
    """Whether any layer carries its states from call to call."""
    return bool(getattr(spec.config, "stateful", False)) or any(is_stateful(c) for c in spec.children.values())


def era_of(source: Source) -> Era:
    """The Keras that wrote a file: by its version; failing that, by how the architecture is written.

    Raises:
        InvalidModel: a version no Keras has.
    """
    version, backend = source.provenance.keras_version, source.provenance.backend
    if not version:
        version = guess_version(source.architecture)
    try:
        era = parse(version, backend, tensorflow2=shows_tensorflow2(source))
    except ValueError as problem:
        raise InvalidModel(str(problem)) from None
    if era.major > 3:
        raise Unsupported(f"the file says Keras {clean(version)}, which is newer than this program knows")
    if era.major == 1 and not backend:
        era = Era(era.family, era.version, keras1_backend(source))
    return era


def keras1_backend(source: Source) -> str:
    """Keras 1 does not say its backend, but TensorFlow's names of arrays end in ":0"."""
    arrays = [w for ws in source.weights.layers.values() for w in ws] if isinstance(source.weights, FlatWeights) else []
    return "tensorflow" if not arrays or any(w.name.endswith(":0") for w in arrays) else "theano"


def guess_version(architecture: Mapping[str, Any]) -> str:
    """A version for architectures that state none: Keras 3's to_json(), and weights files of Keras 1."""
    text = set(_keys(architecture))
    if {"batch_shape", "registered_name", "module"} & text:
        return "3.0.0"
    if {"inner_activation", "output_dim", "consume_less", "border_mode", "nb_filter"} & (
        text - {"input_dim"}
    ) and "units" not in text:
        return "1.2.2"
    return "2.4.0" if "time_major" in text or architecture.get("class_name") == "Functional" else "2.2.4"


def _keys(tree: Any) -> list[str]:
    if isinstance(tree, Mapping):
        return [str(k) for k in tree] + [k for v in tree.values() for k in _keys(v)]
    return [k for item in tree for k in _keys(item)] if isinstance(tree, list) else []


def shows_tensorflow2(source: Source) -> bool:
    """For "2.2.4-tf": TF 2.0's LSTM and GRU default to implementation 2, those of TF 1.13 and 1.15 to 1."""
    if "TensorFlow 2" in source.provenance.format:
        return True
    return _implementation2(source.architecture)


def _implementation2(tree: Any) -> bool:
    if isinstance(tree, Mapping):
        config = tree.get("config")
        if (
            tree.get("class_name") in {"LSTM", "GRU"}
            and isinstance(config, Mapping)
            and config.get("implementation") == 2
        ):
            return True
        return any(_implementation2(v) for v in tree.values())
    return any(_implementation2(item) for item in tree) if isinstance(tree, list) else False
