"""A model of which some layers cannot be converted: all of its layers all the same, with what is wrong with which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from converter.errors import ConversionError, clean, sentence
from converter.keras.arrays.binding import bind
from converter.keras.arrays.slots import Reading
from converter.keras.build import assemble, parsed
from converter.keras.eras.switches import Era
from converter.keras.graph.partial_models import cut, frontier, opaque_layers
from converter.keras.layer_type import LayerType
from converter.keras.source import Source
from converter.keras.spec import Bound, LayerSpec, ModelSpec, Opaque
from converter.model import LayerInfo, Model, Provenance

MAX_PROBLEMS = 50
Path = tuple[str, ...]
Problems = Mapping[Path, ConversionError]  # of layers, by their paths


def overview(source: Source, plugins: Mapping[str, LayerType] | None = None) -> Model:
    """A model without outputs, to be looked at: the layers of the file, and a warning for each that is refused.

    Raises:
        ConversionError: the architecture or the arrays cannot be read at all.
    """
    whole, era = parsed(source, plugins)
    root = whole
    reading = Reading(source.given, source.by_name)
    bound = Bound({}, {}) if source.weights is None else bind(root, source.weights, era, reading)[0]
    problems = {path: (found, found.config.problem) for path, found in opaque_layers(root)
                if isinstance(found.config, Opaque)}  # fmt: skip
    part = None
    for _ in range(MAX_PROBLEMS):
        names = tuple(convertible(root))
        part, problem = _part(root, names, bound, era, source.provenance)
        if problem is None or not problem.layers or problem.layers[0] not in root.children:
            break
        first = root.children[problem.layers[0]]
        problems[problem.layers] = (first, problem)
        root = _without(root, first, problem)
    problem_lines = [_line(path, spec, problem) for path, (spec, problem) in problems.items()]
    reached = part.layers if part else ()
    wrong = {path: problem for path, (_, problem) in problems.items()}
    hint = f"the part that does without them can be converted: --outputs {','.join(names)}" if part and names else ""
    return Model(
        name=root.name,
        inputs=part.inputs if part else (),
        outputs=(),
        output_names=(),
        nodes=part.nodes if part else (),
        states=(),
        layers=tuple(_layers(whole, bound, reached, wrong)),
        source=part.source if part else source.provenance,
        warnings=(*source.warnings, *reading.notes, *problem_lines, *([hint] if hint else [])),
    )


def convertible(root: LayerSpec) -> list[str]:
    """The last layers that depend on none that is not understood: what --outputs can name."""
    model = root.config
    assert isinstance(model, ModelSpec)
    bad = opaque_layers(root)
    return frontier(model, bad[0][0]) if bad else [ref.layer for ref in model.outputs]


def _part(
    root: LayerSpec, names: tuple[str, ...], bound: Bound, era: Era, provenance: Provenance
) -> tuple[Model | None, ConversionError | None]:
    """What leads to the named layers, or what is wrong with it."""
    if not names:
        return None, None
    try:
        return assemble(cut(root, names), bound, era, provenance), None
    except ConversionError as problem:
        return None, problem


def _without(root: LayerSpec, layer: LayerSpec, problem: ConversionError) -> LayerSpec:
    """The model with a layer as not understood."""
    model = root.config
    assert isinstance(model, ModelSpec)
    marked = replace(layer, config=Opaque(problem))
    layers = tuple(marked if one is layer else one for one in model.layers)
    return replace(root, config=replace(model, layers=layers), children={**root.children, layer.name: marked})


def _line(path: tuple[str, ...], spec: LayerSpec, problem: ConversionError) -> str:
    """One problem; what is refused while the graph is built says its layer itself, and what --outputs could name."""
    if problem.layers:
        return f"{problem.where}: {problem.what}"
    hint = f". {sentence(problem.hint)}" if problem.hint else ""
    return f"layer {clean('/'.join(path))!r} ({clean(spec.written_as)}): {problem.what}{hint}"


def _layers(
    holder: LayerSpec, bound: Bound, reached: Sequence[LayerInfo], problems: Problems, path: Path = ()
) -> list[LayerInfo]:
    """Every layer of a model and of those inside it, in order: as it was reached, or why it was not.

    Args:
        holder: the model.
        bound: its arrays.
        reached: what is known of layers, in all models.
        problems: what is wrong with layers.
        path: of the model.
    """
    model = holder.config
    assert isinstance(model, ModelSpec)
    infos: list[LayerInfo] = []
    within = any(len(path) < len(other) and other[: len(path)] == path for other in problems) and bool(path)
    for layer in model.layers:
        here = (*path, layer.name)
        name, problem = "/".join(here), problems.get(here)
        own = [info for info in reached if info.path == name or info.path.startswith(f"{name}/")]
        arrays = bound.children.get(layer.name, Bound({}, {}))
        if isinstance(layer.config, ModelSpec) and problem is None:
            infos += _layers(layer, arrays, reached, problems, here)
            continue
        if problem is not None or (not own and not (path and layer.class_name == "InputLayer")):
            behind = "in a model with a layer that is refused" if within else "behind a layer that is refused"
            behind = "input" if layer.class_name == "InputLayer" else behind
            effect = behind if problem is None else f"REFUSED: {problem.what}"
            infos.append(LayerInfo(name, layer.written_as, (), arrays.all(), effect))
        infos += own
    return infos
