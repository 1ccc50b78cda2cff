"""What can be known of a layer or model before it is called."""

from __future__ import annotations

from converter import limits
from converter.errors import Unsupported
from converter.keras.eras.switches import Era
from converter.keras.spec import Bound, LayerSpec, ModelSpec


def check_size(root: LayerSpec) -> None:
    """Refuse a model that would grow without bound, before anything is inlined.

    Raises:
        Unsupported: it calls more layers, needed or not, than its own number explains.
    """
    most = min(limits.CALLS_FREE + limits.CALLS_PER_LAYER * _layers(root), limits.MODEL_NODES)
    if inlined_calls(root) > most:
        raise Unsupported(f"the model calls more than {most} layers once nested models are inlined")


def _layers(spec: LayerSpec) -> int:
    """How many layers a layer or model holds, itself too."""
    inner = spec.config.layers if isinstance(spec.config, ModelSpec) else spec.children.values()
    return 1 + sum(_layers(layer) for layer in inner)


def inlined_calls(spec: LayerSpec) -> int:
    """How many layers are called when a layer or model is called once."""
    if isinstance(spec.config, ModelSpec):
        calls = spec.config.calls
        return 1 + sum(len(calls.get(layer.name, ())) * inlined_calls(layer) for layer in spec.config.layers)
    return 1 + sum(inlined_calls(child) for child in spec.children.values())


def acts_if_asked(spec: LayerSpec, era: Era) -> bool:
    """Whether a call with training=True computes something else than `predict`."""
    by_default = spec.row is not None and spec.row.trains_by_default
    return not era.switch("training_written") if by_default else acts_in_training(spec)


def acts_in_training(spec: LayerSpec) -> bool:
    """Whether training=True could change what a layer computes."""
    if isinstance(spec.config, ModelSpec):
        return any(acts_in_training(layer) for layer in spec.config.layers)
    by_itself = spec.row is not None and spec.row.acts_in_training(spec.config)
    return by_itself or any(acts_in_training(child) for child in spec.children.values())


def trainable_values(spec: LayerSpec, bound: Bound, era: Era) -> int:
    """How many values of a layer, and of what it wraps, training changes."""
    if not spec.trainable:
        return 0
    changed = () if spec.row is None else spec.row.variables(spec.config, era)
    own = (bound.variables.get(variable.name) for variable in changed if variable.trainable)
    inner = (trainable_values(child, bound.children[key], era) for key, child in spec.children.items())
    return sum(weight.size for weight in own if weight is not None and weight.dtype != "string") + sum(inner)
