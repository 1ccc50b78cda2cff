"""Source -> Model: parse, bind, build the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.binding import bind
from converter.keras.dialects import class_name
from converter.keras.era import Era, parse
from converter.keras.graph import Graph, Tensor
from converter.keras.parse import MODELS, opaque_layers, parse_layer, references
from converter.keras.source import FlatWeights, Source
from converter.keras.spec import Bound, LayerSpec, ModelSpec, Opaque, Ref
from converter.keras.topology import Topology, placed
from converter.model import Model, Provenance


def build(source: Source, outputs: tuple[str, ...] = ()) -> Model:
    """The neutral model of a file.

    Args:
        source: what the reader found.
        outputs: names of layers whose outputs the model shall have instead of its own.

    Raises:
        ConversionError: with the layer in `where`.
    """
    era = era_of(source)
    if source.weights is None:
        raise InvalidModel("the file holds an architecture but no weights")
    root = parse_layer(source.architecture, era) if is_model(source.architecture, era) else None
    if root is None or not isinstance(root.config, ModelSpec):
        raise subclassed(source.architecture)
    if outputs:
        root = cut(root, outputs)
    else:
        refuse_opaque(root)
    bound = bind(root, source.weights, era)
    model = assemble(root, bound, era, source.provenance)
    return replace(model, warnings=(*source.warnings, *model.warnings))


def is_model(architecture: Mapping[str, Any], era: Era) -> bool:
    """Whether the outermost class is one whose structure is in its configuration."""
    return class_name(architecture, era) in MODELS


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


def refuse_opaque(root: LayerSpec) -> None:
    """Without --outputs every layer of the file must be understood, needed or not.

    Raises:
        ConversionError: the first one that is not, and what --outputs could name instead.
    """
    model = root.config
    assert isinstance(model, ModelSpec)
    for layer in model.layers:
        for found in opaque_layers(layer):
            assert isinstance(found.config, Opaque)
            problem = found.config.problem
            if found is not layer:
                problem = problem.at(f"layer {clean(found.name)!r} ({clean(found.written_as)})")
            raise placed(problem, model, layer.name, layer.written_as, outermost=True)


def assemble(root: LayerSpec, bound: Bound, era: Era, provenance: Provenance) -> Model:
    """The neutral model of a parsed and bound architecture."""
    spec = root.config
    assert isinstance(spec, ModelSpec)
    graph = Graph()
    topology = Topology(graph, era, fixed_batch=is_stateful(root))
    inputs = topology.inputs(spec, bound)
    results = topology.run(spec, bound, inputs, "")
    infos = {layer.name: graph.layers.get(layer.name) for layer in spec.layers}
    return Model(
        name=spec.name,
        inputs=tuple(inputs[ref.layer].value for ref in spec.inputs),
        outputs=tuple(t.value for t in results),
        output_names=_unique_names(spec, results, inputs),
        nodes=tuple(graph.nodes),
        states=tuple(graph.states),
        layers=tuple(dict.fromkeys([*(i for i in infos.values() if i is not None), *graph.layers.values()])),
        source=_described(provenance, era),
        warnings=tuple(graph.warnings),
    )


def _described(source: Provenance, era: Era) -> Provenance:
    return Provenance(source.path, source.format, source.keras_version, str(era), era.backend, source.sha256)


def _unique_names(spec: ModelSpec, results: list[Tensor], inputs: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Keras' output names (the layer's), numbered where a layer gives several, never an input's name."""
    taken = {tensor.value.name for tensor in inputs.values()}
    names: list[str] = []
    for name in spec.output_names:
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


def cut(root: LayerSpec, names: tuple[str, ...]) -> LayerSpec:
    """The part of a model that leads to the first outputs of the named layers.

    Raises:
        InvalidModel: no such layer.
    """
    spec = root.config
    assert isinstance(spec, ModelSpec)
    missing = [n for n in names if n not in {layer.name for layer in spec.layers}]
    if missing:
        have = ", ".join(clean(layer.name, 40) for layer in spec.layers[-12:])
        raise InvalidModel(
            f"--outputs names {clean(missing[0])!r}, which is no layer of the model", hint=f"the last layers are {have}"
        )
    last = {name: max(spec.calls.get(name, {}), default=0) for name in names}
    refs = tuple(Ref(name, last[name], 0) for name in names)
    inputs = needed_inputs(spec, refs)
    kept = ModelSpec(spec.name, spec.layers, spec.calls, inputs, refs, names)
    return LayerSpec(root.name, root.class_name, root.written_as, kept, root.children, root.trainable)


def needed_inputs(spec: ModelSpec, outputs: tuple[Ref, ...]) -> tuple[Ref, ...]:
    """The model inputs that some output depends on."""
    seen: set[tuple[str, int]] = set()
    stack = [(ref.layer, ref.node) for ref in outputs]
    while stack:
        key = stack.pop()
        if key not in seen:
            seen.add(key)
            call = spec.calls.get(key[0], {}).get(key[1])
            stack += [(ref.layer, ref.node) for ref in references(call)] if call else []
    return tuple(ref for ref in spec.inputs if (ref.layer, ref.node) in seen)


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
