"""The calls that a proof is made on: cases that the model takes, and the user's own inputs."""

from __future__ import annotations

from itertools import chain
from math import prod
from typing import TypeGuard

from converter.errors import ConversionError, InvalidModel
from converter.model import Model
from converter.verification import natural
from converter.verification.inputs import LENGTHS, SHAPES, Case, cases_of
from converter.verification.natural import Call

LARGE_ROW = 1 << 18  # numbers that a model makes of one row, or
LARGE_WEIGHTS = 32 << 20  # bytes of its weights, from which on
BATCHES = (*range(2, 65), 1)  # of which a model that takes no others may have one fixed by its constants
FEW_ROWS = 2  # have to do: images, convolutions and many units hold many of each kind in one


def own_calls(model: Model, case: Case) -> list[Call]:
    """The calls of the user's inputs.

    Raises:
        InvalidModel: the model does not take them.
    """
    try:
        return list(chain.from_iterable(natural.run(model, [case])))
    except (ValueError, IndexError, TypeError) as error:
        raise InvalidModel(f"the model does not take your inputs: {error}") from error


class NothingFits(InvalidModel):
    """The model takes none of the lengths that are tried."""


def usable_cases(model: Model, seed: int) -> tuple[list[Case], list[Call]]:
    """Cases that the model takes, and its calls; convolutions and pools may need more steps than we begin with.

    Raises:
        NothingFits: it takes none.
    """
    small, (batch, first) = SHAPES[:-1], SHAPES[-1]
    (largest,) = cases_of(model, seed, [(_rows(model, batch, first), first)])
    others = [case for case in cases_of(model, seed, small) if case.label != largest.label]
    if len({case.lengths for case in [*others, largest]}) == 1:  # nothing but the batch is open
        others = others[:1]
    *tried, made = natural.attempt(model, [*others, largest])
    usable = [(case, calls) for case, calls in zip(others, tried, strict=True) if _fits(calls)]
    usable.append((largest, made) if _fits(made) else _longer(model, seed, batch))
    return [case for case, _ in usable], [call for _, calls in usable for call in calls]


def _longer(model: Model, seed: int, batch: int) -> tuple[Case, list[Call]]:
    """The first case of more steps that the model takes, and its calls.

    Raises:
        NothingFits: it takes none.
    """
    for length in LENGTHS:
        rows = max(FEW_ROWS, _rows(model, batch, length))  # it may be the only case that is left
        (case,) = cases_of(model, seed, [(rows, length)])
        (made,) = natural.attempt(model, [case])
        if _fits(made):
            return case, made
    if isinstance(made, ConversionError):
        raise made
    if isinstance(made, Exception):
        check_batches(model, seed)
        raise NothingFits(f"the model takes no sequence of {SHAPES[-1][1]} to {LENGTHS[-1]} steps that was tried: "
                          f"{made}", hint="give inputs that it takes with --inputs X.npz") from made  # fmt: skip
    return case, made


def check_batches(model: Model, seed: int = 0, hint: str = "fix them with --batch {rows}") -> None:
    """Raises NothingFits, naming it, where the model takes batches of one size alone: constants have as many rows."""
    for rows in BATCHES:
        (made,) = natural.attempt(model, cases_of(model, seed, [(rows, SHAPES[-1][1])]))
        if _fits(made):
            raise NothingFits(f"the model takes batches of {rows} rows alone", hint=hint.format(rows=rows))


def _fits(made: list[Call] | Exception) -> TypeGuard[list[Call]]:
    """Whether the model takes the case, and makes something of so short a sequence."""
    return not isinstance(made, Exception) and all(array.size for call in made for array in call.values.values())


def _rows(model: Model, batch: int, length: int) -> int:
    """How many rows of `batch` are run; with large weights one, next to the two of a shorter sequence."""
    if not _is_large(model, length):
        return batch
    return 1 if has_large_weights(model) else FEW_ROWS


def has_large_weights(model: Model) -> bool:
    """Whether each step and each row take long."""
    return sum(weight.nbytes for layer in model.layers for weight in layer.weights) > LARGE_WEIGHTS


def _is_large(model: Model, length: int) -> bool:
    """Whether one row holds or takes many numbers, and none of them are masks, whose patterns need rows."""
    values = natural.all_values(model)
    if any(value.dtype == "bool" for value in values):
        return False
    return has_large_weights(model) or sum(prod(size or length for size in v.shape[1:]) for v in values) > LARGE_ROW
