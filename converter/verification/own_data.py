"""Data of the user's own: inputs to run a model on, outputs that it should give, how far off a file may be."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Array, Model
from converter.verification.inputs import Case

MATCHING = (
    1e-4  # of the largest value of an output: what outputs of a float32 engine may differ by, unless said otherwise
)


@dataclass(frozen=True)
class OwnData:
    """What a user gives for a proof.

    Attributes:
        inputs: an .npz file with an array for each input of the model, by its name; or, where no name fits, in order.
        expected: an .npz file with an array for each output, likewise.
        tolerance: how far any output may be off, for files that were changed on purpose; None asks for a proof.
    """

    inputs: Path | None = None
    expected: Path | None = None
    tolerance: float | None = None

    def case(self, model: Model) -> Case | None:
        """The inputs as a case of one call; None where there are none.

        Raises:
            InvalidModel: the file is no .npz file, or has not what the model takes.
        """
        if self.inputs is None:
            return None
        made = _arrays(self.inputs, [value.name for value in model.inputs], "input")
        for value in model.inputs:
            array = made[value.name]
            sizes = zip(value.shape, array.shape, strict=False)
            if array.ndim != len(value.shape) or any(want not in (None, have) for want, have in sizes):
                shape = ["?" if size is None else size for size in value.shape]
                raise InvalidModel(
                    f"shape {list(array.shape)}, the model takes {shape}", where=f"{self.inputs.name}: {value.name}"
                )
        return Case(next((array.shape[0] for array in made.values() if array.ndim), 1), (made,), own=True)

    def outputs(self, model: Model) -> Mapping[str, Array]:
        """What the model should give, by output name; empty where the user says nothing. Raises as `case` does."""
        return {} if self.expected is None else _arrays(self.expected, list(model.output_names), "output")


NO_DATA = OwnData()


def own_data(inputs: str | Path | None, expected: str | Path | None, tolerance: float | None) -> OwnData:
    """From what a caller gives.

    Raises:
        Unsupported: outputs are expected of no inputs.
    """
    if expected is not None and inputs is None:
        raise Unsupported("expected outputs are of no use without the inputs that give them", hint="add --inputs")
    given, wanted = (None if file is None else Path(file) for file in (inputs, expected))
    return OwnData(given, wanted, tolerance)


def _arrays(path: Path, names: list[str], what: str) -> dict[str, Array]:
    """The arrays of an .npz file for these names."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: np.asarray(file[name]) for name in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise InvalidModel("no .npz file of arrays", where=path.name, hint="numpy.savez makes one") from error
    if set(names) <= set(found):
        return {name: found[name] for name in names}
    if len(found) == len(names) and not set(names) & set(found):
        return dict(zip(names, found.values(), strict=True))
    missing = ", ".join(name for name in names if name not in found)
    raise InvalidModel(f"no array for the {what} {missing}; it has {', '.join(found) or 'none'}", where=path.name)
