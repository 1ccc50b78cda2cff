"""Source -> Model: parse, bind, build the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from converter.errors import ConversionError, InvalidModel, Unsupported, clean
from converter.keras.architecture.context import Context
from converter.keras.architecture.dialects import MODELS, class_name, is_foreign, ordering_of
from converter.keras.architecture.ownership import is_complete
from converter.keras.architecture.parse import parse_layer
from converter.keras.architecture.plugin_calls import Plugins, notes
from converter.keras.arrays.binding import bind
from converter.keras.arrays.slots import Reading
from converter.keras.arrays.unordered import ambiguous
from converter.keras.building.graph import Graph, Tensor
from converter.keras.eras.candidates import agreed, candidates
from converter.keras.eras.signs import era_of, says_ragged
from converter.keras.eras.switches import Era
from converter.keras.graph.ordering import in_keras_order
from converter.keras.graph.partial_models import cut, refuse_opaque, without_losses
from converter.keras.graph.picks import WHOLE, Picks, chosen, streaming
from converter.keras.graph.topology import Topology
from converter.keras.graph.traits import check_size
from converter.keras.layer_type import LayerType
from converter.keras.source import Source
from converter.keras.spec import Bound, LayerSpec, ModelSpec, Part
from converter.model import LayerInfo, Model, Provenance, Value
from converter.model.likeness import mark
from converter.model.naming import free_name
from converter.model.renaming import beginning_at, renamed
from converter.model.sizes import OPEN, Sizes


def build(
    source: Source,
    part: Part | None = None,
    plugins: Mapping[str, LayerType] | None = None,
    sizes: Sizes = OPEN,
) -> Model:
    """The neutral model of a file.

    Args:
        source: what the reader found.
        part: what of the model is wanted; by default all of it, as it is.
        plugins: layers that the user supplies, see `converter.plugin`.
        sizes: of the inputs, where the user fixes them.

    Raises:
        ConversionError: with the layer in `where`.
        Unsupported: no version is stated, and those that may have written the file mean different things by it.
    """
    if source.weights is None:
        raise InvalidModel("the file holds an architecture but no weights")
    if source.provenance.keras_version:
        return _built(source, part, plugins, sizes)
    eras = candidates(era_of(source), source.architecture, source.weights, says_ragged(source))
    return agreed(eras, lambda era: _built(source, part, plugins, sizes, era), mark)


def _built(
    source: Source, part: Part | None, plugins: Mapping[str, LayerType] | None, sizes: Sizes, era: Era | None = None
) -> Model:
    """The model as one version of Keras means it, by default the one that the file names."""
    assert source.weights is not None
    root, era = parsed(source, plugins, era)
    picks = chosen(root, part or Part())
    if picks.outputs:
        root = cut(root, picks.paths)
    else:
        root = without_losses(root)
        refuse_opaque(root)
    reading = Reading(source.given, source.by_name)
    ways = bind(root, source.weights, era, reading)
    model = _first_that_fits(root, ways, era, source.provenance, reading, sizes, picks)
    plugin_notes = notes(root, ways[0], plugins or {})
    return replace(model, warnings=(*source.warnings, *reading.notes, *plugin_notes, *model.warnings))


def parsed(
    source: Source, plugins: Mapping[str, LayerType] | None = None, era: Era | None = None
) -> tuple[LayerSpec, Era]:
    """The layers of a file as its Keras has them, and which Keras that is.

    Raises:
        ConversionError: as `build`.
    """
    era = era or era_of(source)
    ordering = ordering_of(source.architecture) if era.switch("keras1_spellings") else ""
    activations = plugins.activations if isinstance(plugins, Plugins) else {}
    context = Context(era, plugins or {}, ordering, is_complete(source.architecture), activations)
    root = parse_layer(source.architecture, context) if is_model(source.architecture, era) else None
    if root is None or not isinstance(root.config, ModelSpec):
        raise subclassed(source.architecture)
    check_size(root)
    return in_keras_order(root), era


def _first_that_fits(
    root: LayerSpec, ways: Sequence[Bound], era: Era, provenance: Provenance, reading: Reading, sizes: Sizes,
    picks: Picks,
) -> Model:  # fmt: skip
    """The model with its arrays given out in the only one of some ways in which all shapes fit.

    Raises:
        ConversionError: none fits; the reason is that of the first one. Unsupported: several do.
    """
    models: list[Model] = []
    problems: list[ConversionError] = []
    for bound in ways:
        try:
            models.append(assemble(root, bound, era, provenance, sizes, picks))
        except ConversionError as problem:
            problems.append(problem)
    if len(models) > 1:
        raise ambiguous()
    if not models:
        first = problems[0]
        first.hint = first.hint or "; ".join(reading.notes)
        raise first
    return models[0]


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


def assemble(
    root: LayerSpec, bound: Bound, era: Era, provenance: Provenance, sizes: Sizes = OPEN, picks: Picks = WHOLE
) -> Model:
    """The neutral model of a parsed and bound architecture, or the part of it between `picks`."""
    graph = Graph()
    topology = Topology(graph, era, is_stateful(root), sizes)  # a batch that the file fixes for its states stays
    root = streaming(root) if picks.stateful else root
    spec = root.config
    assert isinstance(spec, ModelSpec)
    sizes.check([ref.layer for ref in spec.inputs])
    inputs = topology.inputs(spec, bound)
    made = topology.run(spec, bound, inputs, "")
    names = spec.output_names
    if spec.wanted and not picks.outputs:  # a survey, which has no outputs
        made = [topology.wanted[name] for name in names]
    if picks.outputs:
        made = [pick.of(topology.wanted) for pick in picks.outputs]
        names = tuple(pick.name for pick in picks.outputs)
    model = Model(
        name=spec.name,
        inputs=tuple(with_batch(inputs[ref.layer].value, graph.batch) for ref in spec.inputs),
        outputs=tuple(t.value for tensors in made for t in tensors),
        output_names=_unique_names(names, made, inputs),
        nodes=tuple(graph.nodes),
        states=tuple(graph.states),
        layers=_in_order([layer.name for layer in spec.layers], graph.layers),
        source=_described(provenance, era),
        warnings=tuple(graph.warnings),
        written=None if picks.outputs or picks.stateful or sizes != OPEN else root,
    )
    if picks.inputs:
        model = beginning_at(model, picks.begin(inputs, topology.wanted))
    return renamed(model, _names_of_states(model))


def _in_order(names: Sequence[str], infos: Mapping[str, LayerInfo]) -> tuple[LayerInfo, ...]:
    """What is known of the layers: in the model's order, those of a nested model in its place."""
    inside: dict[str, list[LayerInfo]] = {}
    for path, info in infos.items():
        inside.setdefault(path.partition("/")[0], []).append(info)
    found = [info for name in names for info in ([infos[name]] if name in infos else []) + inside.get(name, [])]
    return tuple(dict.fromkeys([*found, *infos.values()]))


def _names_of_states(model: Model) -> dict[str, str]:
    """States that leave the model are called as those that enter it: <layer>_h_in, <layer>_h_out."""
    names = {state.output.name: state.input.name.removesuffix("_in") + "_out" for state in model.states}
    taken = {value.name for node in model.nodes for value in node.outputs} | {value.name for value in model.inputs}
    distinct = len(names) == len(model.states) and not taken & set(names.values())
    return names if distinct and not set(names) & {value.name for value in model.inputs} else {}


def with_batch(value: Value, batch: int | None) -> Value:
    """A model input whose batch, if open, is the one that constants fix."""
    return value if value.shape[0] is not None else replace(value, shape=(batch, *value.shape[1:]))


def _described(source: Provenance, era: Era) -> Provenance:
    return Provenance(source.path, source.format, source.keras_version, str(era), era.backend, source.sha256)


def _unique_names(
    given: Sequence[str], made: list[tuple[Tensor, ...]], inputs: Mapping[str, Tensor]
) -> tuple[str, ...]:
    """Keras' output names (the layer's), numbered where a layer gives several, never an input's name."""
    taken = {tensor.value.name for tensor in inputs.values()}
    counts: dict[str, int] = {}
    names: list[str] = []
    for name in [name for name, tensors in zip(given, made, strict=True) for _ in tensors]:
        unique = free_name(name, taken, counts)
        taken.add(unique)
        names.append(unique)
    return tuple(names)


def is_stateful(spec: LayerSpec) -> bool:
    """Whether any layer carries its states from call to call."""
    return bool(getattr(spec.config, "stateful", False)) or any(is_stateful(c) for c in spec.children.values())
