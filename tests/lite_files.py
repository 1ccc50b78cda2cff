"""TFLite files in LiteRT, for tests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from converter.formats.tflite import read
from converter.model import Array, Model


def interpreter(path: Path) -> Any:
    return Interpreter(model_path=str(path), num_threads=1)


def run(made: Any, *given: Array) -> list[Array]:
    """One call, the inputs in their order, resized to fit."""
    inputs = made.get_input_details()
    for one, array in zip(inputs, given, strict=True):
        made.resize_tensor_input(one["index"], array.shape)
    made.allocate_tensors()
    for one, array in zip(inputs, given, strict=True):
        made.set_tensor(one["index"], np.asarray(array, one["dtype"]))
    made.invoke()
    return [made.get_tensor(one["index"]) for one in made.get_output_details()]


def operators(path: Path) -> Counter[str]:
    """How often each operator occurs in the main graph."""
    contents = read(path)
    return Counter(contents.kind(op) for op in contents.graph.operators)


def exported(model: Model, path: Path) -> Path:
    from converter.exporters.tflite import export

    export(model, path)
    return path
