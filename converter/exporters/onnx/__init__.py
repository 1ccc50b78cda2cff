"""ONNX: `export(model, path)` writes a file as the contracts say (inputs and outputs in Keras' order, native LSTM).

lower.py holds the singledispatch of one rule per neutral layer type; the other modules hold the rules, by family.
graph.py is the façade over onnx.helper, build.py puts the model together, writer.py streams it to disk.
"""

from __future__ import annotations

from pathlib import Path

from converter.exporters.onnx import conv, dense, elementwise, over_time, recurrent, shapes, text
from converter.exporters.onnx.build import OPSETS, build
from converter.exporters.onnx.precision import notes
from converter.exporters.onnx.runtimes import DEFAULT
from converter.exporters.onnx.writer import EXTERNAL_ABOVE, write
from converter.model import Model

__all__ = ["OPSETS", "RULES", "export", "notes"]

RULES = (conv, dense, elementwise, over_time, recurrent, shapes, text)  # for what they register with `lower`


def export(
    model: Model,
    path: Path,
    *,
    opset: int | None = None,
    runtime: str = DEFAULT,
    quantize: str = "",
    external_above: int = EXTERNAL_ABOVE,
) -> None:
    """Writes `model` as ONNX.

    Args:
        model: what to write; weights are read one at a time.
        path: the file to write, over an existing one. It must bear its final name, and can be moved with the external
            data file, `<name>.<16 digits of its SHA-256>.data` next to it: the ONNX file refers to that by name.
        runtime: which one the file is for, a key of `runtimes.RUNTIMES`.
        quantize: "int8" or "float16" for smaller weights, which are then no longer exact; see quantize.py.
        opset: of ai.onnx, one of `OPSETS`; 13 by default.
        external_above: bytes of weights above which that file is used.

    Raises:
        Unsupported: a layer, type or opset that cannot be exported exactly.
        InvalidModel: a weight's values do not fit its shape.
        FileExistsError: the external data file exists already.
    """
    proto, initializers = build(model, opset, runtime)
    write(proto, initializers, path, external_above)
    if quantize:
        from converter.exporters.onnx.quantize import quantize as quantized

        quantized(path, quantize, runtime)
