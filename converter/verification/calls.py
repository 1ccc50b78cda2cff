"""The calls that a proof is made on: cases that the model takes, and the user's own inputs."""

from __future__ import annotations

from itertools import chain
from math import prod

from converter.errors import ConversionError, InvalidModel
from converter.model import Model
from converter.verification import natural
from converter.verification.inputs import LENGTHS, SHAPES, Case, cases_of
from converter.verification.natural import Call

LARGE_ROW = 1 << 18  # numbers that a model makes of one row, from which on
FEW_ROWS = 2  # have to do: images and their convolutions hold many of each kind in one


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
    for length in (first, *LENGTHS):
        rows = FEW_ROWS if _is_large(model, length) else batch
        largest = cases_of(model, seed, [(rows, length)])
        made = _calls_of(model, largest, must=length == LENGTHS[-1])
        if made:
            break
    known = {case.label for case in largest}
    others = [case for case in cases_of(model, seed, small) if case.label not in known]
    if len({case.lengths for case in [*others, *largest]}) == 1:  # nothing but the batch is open
        others = others[:1]
    tried = [(case, calls) for case in others if (calls := _calls_of(model, [case]))]
    return [*(case for case, _ in tried), *largest], [*(call for _, calls in tried for call in calls), *made]


def _is_large(model: Model, length: int) -> bool:
    """Whether one row holds many numbers, and none of them are masks, whose patterns need rows."""
    values = natural.all_values(model)
    if any(value.dtype == "bool" for value in values):
        return False
    return sum(prod(size or length for size in value.shape[1:]) for value in values) > LARGE_ROW


def _calls_of(model: Model, cases: list[Case], must: bool = False) -> list[Call]:
    """The calls of some cases; none where the model does not take them, or makes nothing of so short a sequence.

    Raises:
        NothingFits: the model must take them, and does not.
    """
    try:
        calls = list(chain.from_iterable(natural.run(model, cases)))
    except ConversionError:
        if must:
            raise
        return []
    except (ValueError, IndexError) as error:
        if must:
            raise NothingFits(f"the model takes no sequence of {SHAPES[-1][1]} to {LENGTHS[-1]} steps that was tried: "
                              f"{error}", hint="give inputs that it takes with --inputs X.npz") from error  # fmt: skip
        return []
    return calls if must or all(array.size for call in calls for array in call.values.values()) else []
