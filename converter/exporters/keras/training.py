"""What only training uses: rates, regularizers, constraints and `trainable`, as Keras 3 takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from converter.keras.spec import LayerSpec
from converter.model import Model

_ROLES = ("regularizer", "constraint")
# Keras' own classes (keras/src/regularizers, keras/src/constraints) by their names in any version, and their arguments.
_KNOWN: Mapping[str, Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "regularizer": {
        "l1": ("L1", ("l1",)), "l2": ("L2", ("l2",)), "l1l2": ("L1L2", ("l1", "l2")), "l1_l2": ("L1L2", ("l1", "l2")),
        "orthogonalregularizer": ("OrthogonalRegularizer", ("factor", "mode")),
    },
    "constraint": {
        "maxnorm": ("MaxNorm", ("max_value", "axis")), "max_norm": ("MaxNorm", ("max_value", "axis")),
        "nonneg": ("NonNeg", ()), "non_neg": ("NonNeg", ()),
        "unitnorm": ("UnitNorm", ("axis",)), "unit_norm": ("UnitNorm", ("axis",)),
        "minmaxnorm": ("MinMaxNorm", ("min_value", "max_value", "rate", "axis")),
        "min_max_norm": ("MinMaxNorm", ("min_value", "max_value", "rate", "axis")),
    },
}  # fmt: skip
RATES = ("dropout", "recurrent_dropout")


def kept(full_config: Mapping[str, Any]) -> dict[str, Any]:
    """The regularizers and constraints of a layer that Keras 3 has, and whether it is trained at all."""
    out: dict[str, Any] = {"trainable": bool(full_config.get("trainable", True))}
    for key, role in _given(full_config):
        found = _serialized(full_config[key], role)
        if found is not None:
            out[key] = found
    return out


def _given(full_config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in sorted(full_config):
        role = key.rpartition("_")[2]
        if role in _ROLES and full_config[key] is not None:
            yield key, role


def _serialized(value: Any, role: str) -> dict[str, Any] | None:
    """A regularizer or constraint as Keras 3 writes it; None where it is not one of Keras' own."""
    name = value.get("class_name") or value.get("name") if isinstance(value, Mapping) else value
    known = _KNOWN[role].get(str(name).lower())
    config = value.get("config", value) if isinstance(value, Mapping) else {}
    if known is None or not isinstance(config, Mapping):
        return None
    class_name, arguments = known
    settings = {key: config[key] for key in arguments if key in config}
    if not all(isinstance(x, int | float | str) or _is_axes(x) for x in settings.values()):
        return None
    return {"module": f"keras.{role}s", "class_name": class_name, "config": settings, "registered_name": None}


def _is_axes(value: Any) -> bool:
    return isinstance(value, list) and all(type(axis) is int for axis in value)


def lost(model: Model, structure_kept: bool) -> tuple[str, ...]:
    """One line on what the archive has lost of it, if anything.

    Args:
        model: what is written.
        structure_kept: whether the layers are written as the file has them; all is lost otherwise.
    """
    if model.written is None:
        return ()
    found = [fact for spec in _layers(model.written) for fact in _facts(spec, structure_kept)]
    if not found:
        return ()
    shown = f"{', '.join(found[:4])}{f', and {len(found) - 4} more' if len(found) > 4 else ''}"
    why = "Keras 3 has no such class of its own" if structure_kept else (
        "the model is written as what its layers compute, because Keras 3 would read them as something else"
    )  # fmt: skip
    return (f"what only training uses is left out: {shown} ({why})",)


def _layers(spec: LayerSpec) -> Iterator[LayerSpec]:
    yield spec
    for child in spec.children.values():
        yield from _layers(child)


def _facts(spec: LayerSpec, structure_kept: bool) -> Iterator[str]:
    for key, role in _given(spec.full_config):
        if not structure_kept or _serialized(spec.full_config[key], role) is None:
            yield f"{key} of {spec.name}"
    if structure_kept:
        return
    yield from (f"{name} of {spec.name}" for name in RATES if spec.full_config.get(name))
    if spec.row is not None and spec.row.training_only:
        yield f"{spec.class_name} {spec.name}"
    if not spec.trainable:
        yield f"trainable=False of {spec.name}"
