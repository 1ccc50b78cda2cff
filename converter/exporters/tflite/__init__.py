"""TFLite (LiteRT): `export(model, path)` writes a flatbuffer of builtin operators alone, no Flex and no custom ones.

lower.py holds the singledispatch of one rule per neutral layer type; the other modules hold the rules, by family:
recurrent.py with fused.py (one operator per direction) and loop.py (a WHILE). graph.py is the façade, operators.py the
table of operators, build.py puts the graphs together, write.py makes bytes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from converter import __version__
from converter.errors import Unsupported
from converter.exporters.tflite import conv, dense, einsum, elementwise, recurrent, shapes
from converter.exporters.tflite.build import build
from converter.exporters.tflite.tensors import Ranges
from converter.exporters.tflite.write import write
from converter.formats.tflite import schema
from converter.model import Model

__all__ = ["RULES", "export"]

RULES = (conv, dense, einsum, elementwise, recurrent, shapes)  # imported for the rules they register with `lower`


def export(
    model: Model, path: Path, *, quantize: str = "", ranges: Mapping[str, tuple[Ranges, ...]] | None = None
) -> None:
    """Writes `model` as TFLite, over an existing file. Open sizes stay open: the runtime resizes inputs.

    Args:
        model: what to write.
        path: the file.
        quantize: "int8" for LSTMs in integers, see integer.py.
        ranges: by node what values its directions take on data of the user's; wanted for "int8".

    Raises:
        Unsupported: a layer or type that no builtin operators compute exactly; the schema's package is not installed.
    """
    schema()  # before any work
    if quantize not in ("", "int8"):
        raise Unsupported(f"quantize {quantize} is not for tflite", hint="int8 is")
    if quantize and not ranges:
        raise Unsupported("there is no LSTM that could compute in integers")
    source = model.source
    said: dict[str, object] = {
        "converter": __version__, "keras": source.keras_version, "era": source.era, "format": source.format,
        "sha256": source.sha256,
    }  # fmt: skip
    if model.states:
        said["states"] = [{"input": state.input.name, "output": state.output.name} for state in model.states]
    if quantize:
        said["quantized"] = quantize
    path.write_bytes(write(build(model, ranges or {}), said))
