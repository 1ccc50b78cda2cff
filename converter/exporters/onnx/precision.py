"""What an exported file computes in another type than the model, for its user to know."""

from __future__ import annotations

from converter.exporters.onnx.graph import COMPUTED_AS
from converter.exporters.onnx.native import is_native
from converter.model import Model, Node
from converter.model.layers import Conv, ConvLSTMCell, ConvTranspose, Recurrent, Scan

SHOWN = 4


def notes(model: Model) -> tuple[str, ...]:
    """One line for each kind of layer that onnxruntime has no kernels for in the type the model computes in."""
    found = []
    for dtype in ("float64", "float16"):
        names = list(dict.fromkeys(node.keras_layer for node in model.nodes if _in_float32(node, dtype)))
        if names:
            listed = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
            found.append(f"computed in float32, not {dtype}, which onnxruntime has no kernels for: {listed}")
    values = [value for node in model.nodes for value in (*node.inputs, *node.outputs) if value is not None]
    for dtype, other in COMPUTED_AS.items():
        if any(value.dtype == dtype for value in (*model.inputs, *values)):
            found.append(f"{dtype} is computed, taken and given as {other}: onnxruntime has next to no {dtype}")
    return tuple(found)


def _in_float32(node: Node, dtype: str) -> bool:
    layer = node.layer
    if node.outputs[0].dtype != dtype:
        return False
    if isinstance(layer, Scan):
        return dtype == "float16"
    if isinstance(layer, Recurrent):
        cells = [direction.cell for direction in layer.directions]
        if dtype == "float16":  # a Scan
            return not all(is_native(cell) for cell in cells)
        return any(isinstance(cell, ConvLSTMCell) or is_native(cell) for cell in cells)
    return dtype == "float64" and isinstance(layer, Conv | ConvTranspose)
