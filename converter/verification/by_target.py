"""The proof that a target asks for (`exporters.Proof`), and its certificate. Imports what it needs when called."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from converter.errors import Unsupported
from converter.lines import finite
from converter.verification.own_data import NO_DATA, OwnData

if TYPE_CHECKING:
    from converter.exporters import Proof
    from converter.model import Model
    from converter.verification.report import Report


def prove(
    model: Model,
    exported: Path,
    proof: Proof,
    *,
    engine: str = "",
    home: str = "",
    seed: int = 0,
    own: OwnData = NO_DATA,
    progress: Callable[[str], None] = lambda what: None,
) -> Report:
    """Proves an exported file.

    Args:
        model: the neutral model.
        exported: the file.
        proof: how files of its target are proved.
        engine: a module with `engine(model) -> Truth`, to compare with it too; "" for none.
        home: a target that has one, to run the file in its framework; "" for none.
        seed: of the inputs.
        own: data of the user's.
        progress: called with each step of the work.

    Raises:
        Unsupported: files of this target are not run, so there is nothing to do with `engine` or `own`.
        InvalidModel, OSError: the file cannot be read.
    """
    if home:
        from converter.verification import at_home

        return at_home.verify(model, exported, home, seed)
    if proof != "run" and (engine or own != NO_DATA):
        raise Unsupported("only files that are run are compared with another engine or on data")
    if proof != "run":
        from converter.verification import read_back

        return read_back.arrays(model, exported) if proof == "arrays" else read_back.read_back(model, exported, seed)
    from converter.verification import budget
    from converter.verification import verify as run

    budget.check(model)
    truth = import_module(engine).engine(model) if engine else None
    return run(model, exported, seed=seed, progress=progress, truth=truth, own=own)


def certified(model: Model, exported: Path, report: Report) -> str:
    """The certificate of a proof as JSON.

    Raises:
        Unsupported: files of its target have none.
    """
    from converter.exporters import row_of
    from converter.verification.certificate import certificate_of

    row = row_of(exported)
    if row is None or "certificate" not in row.options:
        raise Unsupported("a certificate is for ONNX files")
    return json.dumps(finite(certificate_of(model, exported, report)), indent=1) + "\n"
