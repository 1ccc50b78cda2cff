"""Smaller weights, on request: int8 by onnxruntime's own tool, or float16 behind a Cast. What that costs is measured.

int8: `quantize_dynamic` turns LSTM into DynamicQuantizeLSTM, and MatMul, Gather and Conv likewise; those also round
what comes in at run time
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html). float16: weights are rounded and become
float32 again before they are used; all computing stays as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converter.errors import Unsupported, first_line
from converter.exporters.onnx.runtimes import DEFAULT
from converter.exporters.onnx.writer import sha256_property, values_digest
from converter.formats.onnx_metadata import SHA256

SMALLEST = 256  # elements; smaller weights, most biases, stay as they are under float16
LARGEST = float(np.finfo(np.float16).max)
PROPERTY = "quantized"
FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def quantize(path: Path, kind: str, runtime: str = DEFAULT) -> None:
    """Rewrites a file with smaller weights; its metadata says so.

    Args:
        path: an ONNX file as `export` writes it, all weights inside.
        kind: a key of `KINDS`.
        runtime: which one the file is for.

    Raises:
        Unsupported: there is no such kind, or nothing in the file that it makes smaller.
    """
    if kind not in KINDS:
        raise Unsupported(f"quantizing to {kind}", hint=f"choose one of {', '.join(KINDS)}")
    if kind == "int8" and runtime != DEFAULT:
        raise Unsupported(f"quantizing to int8 for {runtime}", hint="its operators are onnxruntime's own")
    model = onnx.load(path, load_external_data=False)
    if any(item.data_location == onnx.TensorProto.EXTERNAL for item in model.graph.initializer):
        raise Unsupported(f"quantizing to {kind} a model of more than 1.5 GB")
    made = KINDS[kind](path, model)
    if made is None:
        raise Unsupported(
            f"quantizing to {kind}", hint="no operator of this model has weights that become smaller by it"
        )
    others = [entry for entry in made.metadata_props if entry.key != SHA256]
    del made.metadata_props[:]
    made.metadata_props.extend([*others, sha256_property(values_digest(made.graph.initializer))])
    made.metadata_props.add(key=PROPERTY, value=kind)
    onnx.save(made, path)


def _int8(path: Path, model: onnx.ModelProto) -> onnx.ModelProto | None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    if any(item.data_type == HALF for item in model.graph.initializer):
        raise Unsupported("quantizing to int8 a model of float16 weights")
    made = path.with_name(f"{path.name}.int8")
    logging.disable(logging.WARNING)  # it recommends its own preparation of graphs, which changes nothing here
    try:
        # On x86 without VNNI the products of 8 bits add up beyond 16, which may be 20 times the error: 7 bits, but a
        # scale for each row of the weights.
        quantize_dynamic(path, made, weight_type=QuantType.QInt8, reduce_range=True, per_channel=True)
        found = onnx.load(made)
    except Exception as error:  # whatever the tool raises is its refusal
        raise Unsupported(f"quantizing to int8: onnxruntime's tool fails: {first_line(error)}") from error
    finally:
        logging.disable(logging.NOTSET)
        made.unlink(missing_ok=True)
    found.metadata_props.clear()
    found.metadata_props.extend(model.metadata_props)
    before, after = ({item.data_type for item in one.graph.initializer} for one in (model, found))
    return found if (after - before) & {onnx.TensorProto.INT8, onnx.TensorProto.UINT8} else None


def _float16(path: Path, model: onnx.ModelProto) -> onnx.ModelProto | None:
    casts = []
    for item in model.graph.initializer:
        values = numpy_helper.to_array(item)
        if item.data_type != FLOAT or values.size < SMALLEST:
            continue
        if np.abs(values).max() > LARGEST:
            raise Unsupported(f"quantizing to float16: {item.name} has values above {LARGEST:.0f}")
        name, half = item.name, f"{item.name}/float16"
        item.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], f"{name}/Cast", to=FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model if casts else None


KINDS: Mapping[str, Callable[[Path, onnx.ModelProto], onnx.ModelProto | None]] = {"int8": _int8, "float16": _float16}
