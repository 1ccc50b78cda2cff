"""The row of a layer class: everything the program knows of it but in which versions of Keras it exists.

The rows are in `TYPES` of the modules of `converter.keras.layers`. What has to be known before a module is imported
(which module explains a class, under which other names it is written) is in `layers/index.py`, made from the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from converter.keras.schema import Config

if TYPE_CHECKING:
    from converter.keras.building.graph import Tensor
    from converter.keras.eras.switches import Era
    from converter.keras.spec import Bound, Call, LayerSpec
    from converter.model.layers import Cell

NO_EFFECT = "no effect at inference"  # the note of layers that no node stands for
Masking = Literal["pass", "stop", "own"]
Takes = Literal["numbers", "floats", "indices", "text", "operands"]


@dataclass(frozen=True)
class Variable:
    """One array a layer keeps: its attribute name in Keras, whether training changes it, whether it holds floats.

    Attributes:
        kind: "text": words, by their index (None where the container leaves one out), which containers keep next to the
            arrays or not at all; binding leaves out what is not there. "named": an array that Keras 3's layouts store
            under its own name, and Keras 3 not in legacy HDF5. "alias": an array of the layer that this one wraps;
            archives store it twice, lists of arrays hold it once.
    """

    name: str
    trainable: bool = True
    floating: bool = True
    kind: Literal["alias", "array", "named", "text"] = "array"


@dataclass(frozen=True)
class Keras1:
    """How Keras 1 writes the configuration of a class, where that differs.

    Attributes:
        arguments: its names of arguments, and today's.
        inert: arguments, by today's names, that it writes and that mean nothing more.
        writes_ordering: whether it writes dim_ordering where the class has one.
        sides: its names of the amounts by side, first axis first, which today are pairs.
    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    inert: frozenset[str] = frozenset({"input_dim", "input_length"})
    writes_ordering: bool = True
    sides: tuple[str, ...] = ()


def always(config: Any) -> bool:
    """For any configuration."""
    return True


def never(config: Any) -> bool:
    """For no configuration."""
    return False


def drops_out(config: Any) -> bool:
    """Where a rate of dropout is set."""
    return any(getattr(config, name, 0) for name in ("rate", "dropout", "recurrent_dropout"))


@dataclass(frozen=True, eq=False)
class LayerType:
    """How one Keras layer class is understood.

    Which versions have a class and what they write of it is in `eras/existence.json`; which classes are not converted,
    and why, in `layers/refused.py`.

    Attributes:
        config: the strict struct of its configuration.
        call: emits neutral nodes for one call and returns the output tensors.
        variables: the arrays it keeps, in Keras' order, from its configuration and era.
        children: raw configurations ({"class_name", "config"}) of the layers it wraps, by attribute name.
        masking: "pass": the first input's mask goes on to the outputs; "stop": it ends here; "own": `call` says.
        returns_input: whether `call` in TensorFlow 1 returns the very tensor it got, which can lose its mask.
        stepwise: treats every step alike by itself, so that TimeDistributed around it changes nothing.
        cells: the neutral cells of a recurrent layer or cell, first to last.
        acts_in_training: whether training=True can change what it computes; wrapped layers answer for themselves.
        training_only: regularizes and does nothing else; an archive that leaves it out says so.
        trains_by_default: `call` has training=True by default, which Keras 3 writes out and `predict` overrides.
        takes: "numbers" are cast to the dtype it computes in if they are floats; "floats": Keras 3 casts integers and
            booleans, too; "indices" are not cast; "text": strings, too; "operands": constants, as the file has them.
        input_rank: axes of its input, where a Sequential without an input's shape leaves that to its first layers; of
            a `stepwise` class at least so many.
        keeps_features: its output's last axis is as long as its input's.
        joins_models: wraps whole models, which bring their own inputs.
        makes_constants: is written without a call where it reads no tensor.
        variables_under: attribute below which the arrays are tracked ("cell" for LSTM, which keeps a cell).
        stored_as: the class that Keras 3 names its group of arrays after, where that is not its own.
        untracked: what to do about releases of TensorFlow whose checkpoints leave out the layers it wraps.
        aliases: other names of the class, in any version.
        keras1: how Keras 1 writes its configuration.
        unwritten: versions that write its configuration without its arguments.
        note: restriction, for the table of docs/supported.md.
    """

    config: type[Config]
    call: Callable[[Call], tuple[Tensor, ...]]
    variables: Callable[[Any, Era], tuple[Variable, ...]] = lambda config, era: ()
    children: Callable[[Any, Era], Mapping[str, Mapping[str, Any]]] = lambda config, era: {}
    masking: Masking = "stop"
    returns_input: Callable[[Any], bool] = never
    stepwise: bool = False
    cells: Callable[[LayerSpec, Bound, Era, str, int | None], tuple[Cell, ...]] | None = None
    acts_in_training: Callable[[Any], bool] = drops_out
    training_only: bool = False
    trains_by_default: bool = False
    takes: Takes = "numbers"
    input_rank: int | None = None
    keeps_features: bool = False
    joins_models: bool = False
    makes_constants: bool = False
    variables_under: tuple[str, ...] = ()
    stored_as: str = ""
    untracked: str = ""
    aliases: tuple[str, ...] = ()
    keras1: Keras1 = Keras1()
    unwritten: str = ""
    note: str = ""
