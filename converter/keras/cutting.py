"""Parts of a model: what --outputs names, what can be converted without a layer, and the refusals that say so."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from converter.errors import ConversionError, InvalidModel, Unsupported, clean
from converter.keras.parse import references
from converter.keras.spec import ALL, LayerSpec, ModelSpec, Opaque, Ref

Call = tuple[str, int]  # a layer's name and the number of its call


def opaque_layers(spec: LayerSpec) -> list[LayerSpec]:
    """Every layer of a model, nested ones included, that is not understood."""
    if isinstance(spec.config, Opaque):
        return [spec]
    return [found for child in spec.children.values() for found in opaque_layers(child)]


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


def placed(
    problem: ConversionError, model: ModelSpec, layer: str, class_name: str, *, outermost: bool
) -> ConversionError:
    """The error with its layer, and in the outermost model with the layers that --outputs could name instead."""
    if outermost and isinstance(problem, Unsupported):
        names = ",".join(clean(name, 60) for name in frontier(model, layer)[:4])
        part = f"convert the part that does without it with --outputs {names}" if names else ""
        hint = ", or ".join(text for text in (part, problem.hint) if text)
        problem = Unsupported(problem.what, where=problem.where, hint=hint)
    return problem.at(f"layer {clean(layer)!r} ({clean(class_name)})")


def frontier(model: ModelSpec, refused: str) -> list[str]:
    """The last layers that do not depend on `refused` or on a layer that is not understood: what can be converted."""
    bad = {refused} | {layer.name for layer in model.layers if opaque_layers(layer)}
    inputs = {ref.layer for ref in model.inputs}
    sound = _sound_calls(model, bad)
    wanted = list(model.outputs)
    for name, calls in model.calls.items():
        wanted += [ref for node, call in calls.items() if (name, node) not in sound for ref in references(call)]
    names = dict.fromkeys(ref.layer for ref in wanted if (ref.layer, ref.node) in sound)
    return [name for name in names if name not in inputs and (name, last_call(model, name)) in sound]


def _sound_calls(model: ModelSpec, bad: Collection[str]) -> set[Call]:
    """The calls that depend on no bad layer. Iterative, so that no depth can overflow a stack."""
    readers: dict[Call, list[Call]] = {}
    spoilt = [(name, node) for name in bad for node in model.calls.get(name, {})]
    every = {(ref.layer, ref.node) for ref in model.inputs if ref.layer not in bad}
    for name, calls in model.calls.items():
        for node, call in calls.items():
            every.add((name, node))
            for ref in references(call):
                readers.setdefault((ref.layer, ref.node), []).append((name, node))
    found: set[Call] = set()
    while spoilt:
        key = spoilt.pop()
        if key not in found:
            found.add(key)
            spoilt += readers.get(key, [])
    return every - found


def last_call(model: ModelSpec, layer: str) -> int:
    """The number of a layer's last call."""
    return max(model.calls.get(layer, {}), default=0)


def cut(root: LayerSpec, names: tuple[str, ...]) -> LayerSpec:
    """The part of a model that leads to all outputs of the named layers, each of its last call.

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
    refs = tuple(Ref(name, last_call(spec, name), ALL) for name in names)
    inputs = needed_inputs(spec, refs)
    kept = ModelSpec(spec.name, spec.layers, spec.calls, inputs, refs, names)
    return replace(root, config=kept)


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
