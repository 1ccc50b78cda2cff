"""What --inputs, --outputs and --stateful mean: tensors of a model by the names of their layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from msgspec import structs

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import Tensor
from converter.keras.schema import Config
from converter.keras.spec import LayerSpec, ModelSpec, Part
from converter.model import Value


@dataclass(frozen=True)
class Pick:
    """All outputs of a layer's last call, or one of them: "lstm", "lstm:1", "encoder/lstm:2"."""

    path: str
    index: int | None = None

    @property
    def name(self) -> str:
        """What an input or output of the model is called after it."""
        return self.path if self.index is None else f"{self.path}_{self.index}"

    def of(self, made: Mapping[str, tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The tensors.

        Raises:
            InvalidModel: the layer has fewer outputs.
        """
        tensors = made[self.path]
        if self.index is None:
            return tensors
        if self.index >= len(tensors):
            have = f"has {len(tensors)} output{'s' * (len(tensors) != 1)}, counted from 0"
            hint = "a recurrent layer gives its states too only if it was made with return_state=True"
            what = f"layer {clean(self.path)!r} {have}; number {self.index} is asked for"
            raise InvalidModel(what, hint=hint if len(tensors) == 1 else "")
        return (tensors[self.index],)


@dataclass(frozen=True)
class Picks:
    """Where a part of a model begins and ends; `own` are the names of the model's own inputs."""

    outputs: tuple[Pick, ...] = ()
    inputs: tuple[Pick, ...] = ()
    own: frozenset[str] = frozenset()
    stateful: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The layers whose outputs have to be known."""
        inside = [pick.path for pick in self.inputs if pick.path not in self.own]
        return tuple(dict.fromkeys([*(pick.path for pick in self.outputs), *inside]))

    def begin(
        self, inputs: Mapping[str, Tensor], made: Mapping[str, tuple[Tensor, ...]]
    ) -> tuple[tuple[str, Value], ...]:
        """The values that the part begins with, by the names that they get."""
        found: list[tuple[str, Value]] = []
        for pick in self.inputs:
            tensors = (inputs[pick.path],) if pick.path in self.own else pick.of(made)
            for k, tensor in enumerate(tensors):
                found.append((pick.name if len(tensors) == 1 else f"{pick.name}_{k}", tensor.value))
        return tuple(found)


WHOLE = Picks()


def chosen(root: LayerSpec, part: Part) -> Picks:
    """The layers and tensors that a part names.

    Raises:
        InvalidModel: it says where to begin and not where to end.
    """
    if part.inputs and not part.outputs:
        raise InvalidModel("--inputs is for parts of a model", hint="name with --outputs where the part ends")
    spec = root.config
    assert isinstance(spec, ModelSpec)
    known = {layer.name for layer in spec.layers}
    own = frozenset(ref.layer for ref in spec.inputs)
    outputs, inputs = (tuple(_pick(name, known) for name in names) for names in (part.outputs, part.inputs))
    return Picks(outputs, inputs, own, part.stateful)


def _pick(name: str, known: set[str]) -> Pick:
    numbered = re.fullmatch(r"(.+):([0-9]{1,4})", name)
    return Pick(numbered[1], int(numbered[2])) if numbered and name not in known else Pick(name)


def streaming(spec: LayerSpec) -> LayerSpec:
    """The same layers, whose recurrent ones keep their states from call to call.

    Raises:
        Unsupported: a layer that reads backwards, for which a call cannot go on where the last one ended.
    """
    backwards = spec.class_name == "Bidirectional" or getattr(spec.config, "go_backwards", False)
    if backwards and any(hasattr(one.config, "stateful") for one in (spec, *spec.children.values())):
        hint = "a stream has no end to begin at"
        raise Unsupported("reads its input from the end", where=f"layer {clean(spec.name)!r}", hint=hint)
    children = {name: streaming(child) for name, child in spec.children.items()}
    config = spec.config
    if isinstance(config, ModelSpec):
        config = replace(config, layers=tuple(streaming(layer) for layer in config.layers))
    elif hasattr(config, "stateful"):
        config = structs.replace(cast(Config, config), stateful=True)
    return replace(spec, config=config, children=children)
