"""What a proof checked, as JSON that can be checked again without this program (tools/check_certificate.py)."""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from converter import __version__
from converter.formats.archive import sha256
from converter.model import Array, Model, Weight
from converter.model.layers import every_node
from converter.verification import natural
from converter.verification.inputs import cases_of
from converter.verification.report import Report
from converter.verification.runtime import Exported
from converter.verification.weight_accounting import values_of
from converter.verification.weight_claims import claims_of

FORMAT = "keras-lstm-convert certificate, version 1"
SHARE = 1e-6  # of the largest value of an output: what another version of the runtime may add to the error seen here
FACTOR = 10.0


def certificate_of(model: Model, exported: Path, report: Report) -> dict[str, Any]:
    """The certificate of a proof.

    Args:
        model: the neutral model.
        exported: the ONNX file.
        report: its proof.
    """
    file = Exported(exported)
    source = model.source
    used = {name for one in report.weights for name in one.sources}
    stored = [weight.name for layer in model.layers for weight in layer.weights]
    return {
        "format": FORMAT,
        "source": {"file": Path(source.path).name, "format": source.format, "sha256": source.sha256},
        "exported": {"file": exported.name, "sha256": sha256(exported)},
        "versions": {
            "converter": __version__, "python": platform.python_version(), "numpy": np.__version__,
            "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__,
        },
        "verdict": report.verdict,
        "against": report.against,
        "cases": list(report.cases),
        "nodes": [asdict(one) for one in report.nodes],
        "sides_of_choices": report.sides,
        "sides_never_taken": list(report.missed),
        "weights": [{**asdict(one), **_described(file, one.initializer)} for one in report.weights],
        "sources": {name: _digest(weight) for name, weight in _sources(model).items() if name in used},
        "arrays_not_used_by_name": [name for name in stored if name not in used],
        "runs": _runs(model, report),
        "failures": list(report.failures),
    }  # fmt: skip


def _described(file: Exported, name: str) -> dict[str, Any]:
    tensor = file.initializers[name]
    with values_of(file, tensor) as opened:
        values = opened.values
        flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        digest = hashlib.sha256(flat.data).hexdigest() if values.size else ""
        return {"dtype": values.dtype.name, "shape": list(values.shape), "sha256": digest}


def _sources(model: Model) -> dict[str, Weight]:
    """The arrays of the source by name, as they are packed where they are not stored so."""
    claims = (claim for node in every_node(model.nodes) for claim in claims_of(node.layer, node))
    return {weight.name: weight for claim in claims for weight in claim.sources}


def _digest(weight: Weight) -> str:
    digest = hashlib.sha256()
    for rows in weight.rows():
        digest.update(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _runs(model: Model, report: Report) -> list[dict[str, Any]]:
    """Inputs, the float64 reference's outputs, and how far off the file may be."""
    try:
        call = natural.run(model, cases_of(model)[-1:])[0][0]
    except (ValueError, IndexError):  # too short for its windows
        return []
    errors = {one.name: max(one.error, one.reference_error) for one in report.outputs}
    outputs = {}
    for value, name in zip(model.outputs, model.output_names, strict=True):
        exact = call.exact[value.name]
        if exact.dtype.hasobject:
            continue
        scale = float(np.max(np.abs(exact), initial=0.0))
        outputs[name] = {**encoded(exact), "allowed": FACTOR * errors.get(name, 0.0) + SHARE * scale}
    return [{"inputs": {name: encoded(array) for name, array in call.given.items()}, "outputs": outputs}]


def encoded(array: Array) -> Mapping[str, Any]:
    """An array as JSON values: base64 of its bytes, little-endian; text as it is."""
    if array.dtype.hasobject:
        return {"dtype": "string", "shape": list(array.shape), "values": array.reshape(-1).tolist()}
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    data = base64.b64encode(little.tobytes()).decode("ascii")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": data}
