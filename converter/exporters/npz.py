"""NumPy's .npz: the weights in Keras' packing under neutral names; member "metadata" holds the conventions as JSON."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from converter.errors import InvalidModel
from converter.exporters.weights import describe, named
from converter.model import Model, Weight, dtype_of

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes


def export(model: Model, path: Path) -> None:
    """Writes every weight of `model`, read one at a time; `np.load` opens it, without pickles.

    bfloat16, which .npy has no word for, is written as float32 of the same values.

    Raises:
        InvalidModel: a weight's values do not fit its shape.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, weight in named(model).items():
            _member(archive, name, weight.astype("float32") if weight.dtype == "bfloat16" else weight)
        text = io.BytesIO()
        np.save(text, np.array(json.dumps(describe(model))), allow_pickle=False)
        archive.writestr(zipfile.ZipInfo("metadata.npy", _EPOCH), text.getvalue())


def _member(archive: zipfile.ZipFile, name: str, weight: Weight) -> None:
    info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
    header = {"descr": npy.dtype_to_descr(dtype_of(weight.dtype)), "fortran_order": False, "shape": weight.shape}
    with archive.open(info, "w", force_zip64=weight.nbytes >= 1 << 31) as file:
        npy.write_array_header_1_0(file, header)
        written = sum(file.write(block.tobytes()) for block in weight.rows())
    if written != weight.nbytes:
        raise InvalidModel(f"{written} bytes instead of {weight.nbytes}", where=name)
