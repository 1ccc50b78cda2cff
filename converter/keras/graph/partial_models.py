"""Parts of a model: what --outputs names, what can be converted without a layer, and the refusals that say so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from converter.errors import ConversionError, InvalidModel, Unsupported, clean
from converter.keras.architecture.parse import references
from converter.keras.spec import ALL, LayerSpec, ModelSpec, Opaque, Ref

Call = tuple[str, int]  # a layer's name and the number of its call
_OF_TRAINING = {"AddLoss", "AddMetric"}  # refused, but where no output needs them


def opaque_layers(spec: LayerSpec) -> list[tuple[tuple[str, ...], LayerSpec]]:
    """Every layer at or below `spec` that is not understood, with the names that lead from `spec` to it."""
    if isinstance(spec.config, Opaque):
        return [((), spec)]
    return [((child.name, *p), found) for child in spec.children.values() for p, found in opaque_layers(child)]


def without_losses(root: LayerSpec) -> LayerSpec:
    """A model without what only its add_loss and add_metric read: no output needs it."""
    model = root.config
    assert isinstance(model, ModelSpec)
    if not any(layer.written_as in _OF_TRAINING for layer in model.layers):
        return root
    needed = {(ref.layer, ref.node) for ref in upstream(model, model.outputs)}
    calls = {
        name: {node: call for node, call in made.items() if (name, node) in needed or name in _inputs(model)}
        for name, made in model.calls.items()
    }
    return replace(root, config=replace(model, calls=calls))


def _inputs(model: ModelSpec) -> set[str]:
    return {ref.layer for ref in model.inputs}


def refuse_opaque(root: LayerSpec) -> None:
    """Without --outputs every layer of the file must be understood, needed or not.

    Raises:
        ConversionError: the first one that is not, and what --outputs could name instead.
    """
    model = root.config
    assert isinstance(model, ModelSpec)
    for layer in model.layers:
        unread = layer.written_as in _OF_TRAINING and not model.calls[layer.name]
        for path, found in () if unread else opaque_layers(layer):
            assert isinstance(found.config, Opaque)
            problem = found.config.problem
            if path:
                problem = problem.at(f"layer {clean(found.name)!r} ({clean(found.written_as)})")
                problem.layers = path
            raise placed(problem, model, layer.name, layer.written_as, outermost=True)


def placed(
    problem: ConversionError, model: ModelSpec, layer: str, class_name: str, *, outermost: bool
) -> ConversionError:
    """The error with its layer, and in the outermost model with the layers that --outputs could name instead."""
    problem = problem.at(f"layer {clean(layer)!r} ({clean(class_name)})", layer)
    if outermost and isinstance(problem, Unsupported):
        names = ",".join(clean(name, 60) for name in frontier(model, problem.layers)[:6])
        part = f"convert the part that does without it with --outputs {names}" if names else ""
        problem.hint = ", or ".join(text for text in (part, problem.hint) if text)
    return problem


def frontier(model: ModelSpec, refused: tuple[str, ...], prefix: str = "") -> list[str]:
    """The last layers that do not depend on `refused` or on a layer that is not understood: what can be converted.

    Args:
        model: the model that holds the refused layer.
        refused: its name, after those of the layers of `model` that hold it.
        prefix: of the names, in a nested model.
    """
    bad = {refused[0]} | {layer.name for layer in model.layers if opaque_layers(layer)}
    inputs = {ref.layer for ref in model.inputs}
    sound = _sound_calls(model, bad)
    wanted = list(model.outputs)
    for name, calls in model.calls.items():
        wanted += [ref for node, call in calls.items() if (name, node) not in sound for ref in references(call)]
    names = dict.fromkeys(ref.layer for ref in wanted if (ref.layer, ref.node) in sound)
    found = [prefix + name for name in names if name not in inputs and (name, last_call(model, name)) in sound]
    holder = next(layer for layer in model.layers if layer.name == refused[0])
    if not isinstance(holder.config, ModelSpec) or not refused[1:] or len(model.calls[holder.name]) != 1:
        return found
    given = [ref for call in model.calls[holder.name].values() for ref in references(call)]
    if any((ref.layer, ref.node) not in sound for ref in given):
        return found
    return frontier(holder.config, refused[1:], f"{prefix}{holder.name}/") + found


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

    A layer of a nested model is named by its path, "encoder/lstm".

    Raises:
        InvalidModel: no such layer, or one of a model that is called several times.
    """
    spec = root.config
    assert isinstance(spec, ModelSpec)
    kept = _wanting(spec, names, names)
    seen = upstream(kept, kept.wanted)
    inputs = tuple(ref for ref in spec.inputs if (ref.layer, ref.node) in {(r.layer, r.node) for r in seen})
    return replace(root, config=replace(kept, inputs=inputs, outputs=(), output_names=names))


def _wanting(model: ModelSpec, names: Sequence[str], given: Sequence[str]) -> ModelSpec:
    """A model with the calls of the named layers as `wanted`; `given` are the names as the user wrote them."""
    layers = {layer.name: layer for layer in model.layers}
    own = tuple(dict.fromkeys(name for name in names if name in layers))
    below: dict[str, list[tuple[str, str]]] = {}
    for name, whole in zip(names, given, strict=True):
        if name not in layers:
            holder = _holder(model, name, whole)
            below.setdefault(holder, []).append((name[len(holder) + 1 :], whole))
    wanted = tuple(Ref(name, last_call(model, name), ALL) for name in dict.fromkeys((*own, *below)))
    read = {ref.layer for ref in upstream(model, wanted) if ref.tensor != ALL}
    for holder, inner in below.items():
        nested = layers[holder].config
        assert isinstance(nested, ModelSpec)
        nested = _wanting(nested, *zip(*inner, strict=True))
        if holder not in own and holder not in read:
            nested = replace(nested, outputs=(), output_names=())
        layers[holder] = replace(layers[holder], config=nested)
    return replace(model, layers=tuple(layers.values()), wanted=wanted)


def _holder(model: ModelSpec, name: str, whole: str) -> str:
    """The nested model that a path starts with.

    Raises:
        InvalidModel: there is none, or it is called several times, so that its layers have several outputs.
    """
    models = [layer.name for layer in model.layers if isinstance(layer.config, ModelSpec)]
    holder = next((one for one in models if name.startswith(f"{one}/")), None)
    if holder is None:
        have = ", ".join(clean(layer.name, 40) for layer in model.layers[-12:])
        raise InvalidModel(f"{clean(whole)!r} is no layer of the model", hint=f"the last layers are {have}")
    count = len(model.calls.get(holder, {}))
    if count != 1:
        hint = f"name {clean(holder)!r} itself, or a layer behind it"
        raise InvalidModel(f"{clean(whole)!r} is in a model that is called {count} times", hint=hint)
    return holder


def upstream(model: ModelSpec, refs: Sequence[Ref]) -> set[Ref]:
    """These tensors and every one that they depend on. Iterative, so that no depth can overflow a stack."""
    seen: set[Ref] = set()
    stack = list(refs)
    while stack:
        ref = stack.pop()
        if ref not in seen:
            seen.add(ref)
            call = model.calls.get(ref.layer, {}).get(ref.node)
            stack += references(call) if call else []
    return seen
