"""Targets: one row of `EXPORTERS` and one module with `export(model, path)` each. Imported when used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from converter.model import Model

# How a written file is proved: it is run in its runtime; it is read back as a model, and both are run by the
# reference; its arrays are compared, gate by gate.
Proof = Literal["run", "read back", "arrays"]


@dataclass(frozen=True)
class Exporter:
    """One target. Modules are named, not imported: most runs need one of them.

    Attributes:
        module: offers `export(model, path)`, which may write further files next to `path`.
        suffix: of the files written.
        title: what users call it.
        proof: how a file of this target is proved.
        files: offers `sniff(path)`, whether a file is of this target, by content; where no reader makes a model of
            it also `parts(path)`, its layers as `comparing.part.Part`.
        runs: offers `opened(path)`, a `verification.runnable.Runnable`, where the proof runs files; else "".
        architecture: whether a model is needed; the others take arrays of which no architecture is known.
        options: of `convert`: further keyword arguments of `export`; "certificate" and "test_data", written beside it.
        guard: offers `guard(path)`, which refuses to write next to `path` over files that are not ours; "" for none.
        calibration: offers `ranges(model, inputs)`, what `export` wants to know for `quantize`; "" for nothing.
        home: offers `started(path)`, a `verification.at_home.Started`: a file in the framework that it is for, which
            `--against` calls as the target; "" for none.
        overview: offers `overview(path)`, which `lines()` and `as_json()` show where no reader makes a model of a file
            of this target; "" for none.
        notes: offers `notes(model)`, warnings that are due before anything is written; "" for none.
    """

    module: str
    suffix: str
    title: str
    proof: Proof
    files: str
    runs: str = ""
    architecture: bool = True
    options: tuple[str, ...] = ()
    calibration: str = ""
    notes: str = ""
    guard: str = ""
    home: str = ""
    overview: str = ""

    def export(self, model: Model, path: Path, **options: Any) -> None:
        """Writes `model` at `path`, over an existing file.

        Raises:
            Unsupported, InvalidModel: as the target's module says.
        """
        import_module(self.module).export(model, path, **options)

    def calibrated(self, model: Model, inputs: str | Path | None) -> dict[str, Any]:
        """Further arguments of `export` where weights are made smaller; `inputs` is data of the user's.

        Raises:
            Unsupported, InvalidModel: there is no data, or it does not fit.
        """
        if not self.calibration:
            return {}
        return {"ranges": import_module(self.calibration).ranges(model, Path(inputs) if inputs else None)}

    def check(self, path: Path) -> None:
        """Looks at what is next to `path` before any work is done.

        Raises:
            FileExistsError: a file that would be written over is not one of ours.
        """
        if self.guard:
            import_module(self.guard).guard(path)

    def warnings(self, model: Model) -> tuple[str, ...]:
        """What is to be said of `model` in this target."""
        return tuple(import_module(self.notes).notes(model)) if self.notes else ()


EXPORTERS: Mapping[str, Exporter] = {
    "onnx": Exporter(
        "converter.exporters.onnx", ".onnx", "ONNX", "run", "converter.formats.onnx_tensor",
        runs="converter.verification.runtime", notes="converter.exporters.onnx.precision",
        options=("opset", "runtime", "quantize", "certificate", "test_data"),
    ),
    "torch": Exporter(
        "converter.exporters.torch", ".safetensors", "PyTorch state_dict and module", "arrays",
        "converter.comparing.files.torch", guard="converter.exporters.torch",
        home="converter.verification.at_home.torch",
    ),
    "flax": Exporter(
        "converter.exporters.flax", ".safetensors", "Flax variables and module", "arrays",
        "converter.comparing.files.flax", guard="converter.exporters.flax", notes="converter.exporters.flax",
    ),
    "npz": Exporter(
        "converter.exporters.npz", ".npz", "NumPy arrays in Keras' packing", "arrays",
        "converter.comparing.files.npz", architecture=False,
    ),
    "safetensors": Exporter(
        "converter.exporters.safetensors", ".safetensors", "arrays in Keras' packing", "arrays",
        "converter.comparing.files.neutral", architecture=False,
    ),
    "tflite": Exporter(
        "converter.exporters.tflite", ".tflite", "TFLite (LiteRT), for phones and microcontrollers", "run",
        "converter.comparing.files.tflite", runs="converter.verification.tflite.file", options=("quantize",),
        calibration="converter.verification.calibrating", overview="converter.exporters.tflite.overview",
    ),
    "keras": Exporter(
        "converter.exporters.keras", ".keras", "Keras 3 archive", "read back", "converter.readers.keras_zip",
        notes="converter.exporters.keras", home="converter.verification.at_home.keras",
    ),
}  # fmt: skip
"""Asked in this order whose a file is: any ZIP file may be a Keras archive, so that one comes last."""


def row_of(path: Path, offers: str = "module") -> Exporter | None:
    """The target that writes files like `path`, by content, of those with this field; None where there is none."""
    rows = (row for row in EXPORTERS.values() if getattr(row, offers))
    return next((row for row in rows if import_module(row.files).sniff(path)), None)
