"""What a nested model is called with: which tensor, and which mask, is for which of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converter.errors import InvalidModel, Unsupported
from converter.keras.architecture.parse import refs_in
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.spec import CallSpec, ModelSpec, Ref, flatten


def given_inputs(model: ModelSpec, structure: Any, mask: Any, era: Era) -> list[Tensor]:
    """The tensors for the inputs of a model that is called on nested lists and dicts, with the masks of its `mask=`.

    Args:
        structure: what it is called on.
        mask: None, or a structure with a mask, or None, for each input.

    Raises:
        InvalidModel: there are more or fewer tensors than inputs.
        Unsupported: the masks are given in another form, or Keras itself gives them to other inputs.
    """
    tensors = flatten(_named(model, structure, era.switch("dicts_by_name")))
    if len(tensors) != len(model.inputs):
        raise InvalidModel(f"the model has {len(model.inputs)} inputs and is called on {len(tensors)} tensors")
    masks = leaves(_named(model, mask, era.switch("mask_dicts_by_name")))
    if any(masks) and era.switch("dicts_by_name") and leaves(_named(model, mask, True)) != masks:
        raise Unsupported("is called on a dict of masked tensors, and this Keras gives the masks to other inputs")
    return _masked(tensors, masks, era)


def masked_refs(call: CallSpec, era: Era) -> list[Ref]:
    """The tensors whose masks a call with `mask=` sets; where it holds None, Keras 3 leaves a tensor as it is."""
    read, masks = refs_in(call.args), leaves(call.kwargs["mask"])
    if not era.switch("none_keeps_mask") or len(read) != len(masks):
        return read
    return [ref for ref, mask in zip(read, masks, strict=True) if mask is not None]


def leaves(structure: Any) -> list[Any]:
    """What is in nested lists and dicts, as Keras flattens them: dicts by sorted key, None as a leaf."""
    if isinstance(structure, Mapping):
        return [leaf for key in sorted(structure) for leaf in leaves(structure[key])]
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in leaves(item)]
    return [structure]


def _named(model: ModelSpec, structure: Any, by_name: bool) -> Any:
    """A dict for a model whose inputs are a plain list: by the names of its InputLayers."""
    names = [ref.layer for ref in model.inputs]
    if by_name and model.listed and isinstance(structure, Mapping) and set(structure) == set(names):
        return [structure[name] for name in names]
    return structure


def _masked(tensors: list[Tensor], masks: list[Any], era: Era) -> list[Tensor]:
    """The inputs of a nested model with the masks it is called with: none, or one for each input.

    A None among several leaves an input its own mask in Keras 3, and takes it away in Keras 2.
    """
    if masks == [None]:
        return tensors
    if len(masks) != len(tensors) or not all(isinstance(m, Tensor | None) for m in masks):
        raise Unsupported("a nested model is called with mask= that is not one mask for each input")
    kept = [t.mask if era.switch("none_keeps_mask") else None for t in tensors]
    return [Tensor(t.value, m.value if m else k) for t, m, k in zip(tensors, masks, kept, strict=True)]
