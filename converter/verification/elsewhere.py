"""An exported file in another runtime than onnxruntime: its outputs next to those of the float64 reference.

These runtimes do not say what is inside, so whole outputs are compared; the bound comes from what float32 is off by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from converter.errors import Unsupported, first_line
from converter.model import Array, Model
from converter.verification.calls import usable_cases
from converter.verification.end_to_end import compare_outputs
from converter.verification.inputs import Case
from converter.verification.natural import Call
from converter.verification.report import ONLY_ZEROS, Report

Run = Callable[[Mapping[str, Array]], Sequence[Array]]
FLOOR, FACTOR, ACTIVATION = 1e-7, 10.0, 5e-7  # of the scale; times float32's own error; of tanh and sigmoid
REDUCED = 1e-2  # of the scale, where float16 or bfloat16 takes part


def installed(module: str, package: str) -> Any:
    """The module.

    Raises:
        Unsupported: `package`, which has it, is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise Unsupported(f"{package} is not installed", hint=f"pip install '{package}'") from error


def _openvino(path: Path) -> tuple[str, Run]:
    openvino = installed("openvino", "openvino")
    model = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(feed: Mapping[str, Array]) -> Sequence[Array]:
        made = model(dict(feed))
        return [np.array(made[output]) for output in model.outputs]

    return f"OpenVINO {openvino.__version__}", run


def _reference(path: Path) -> tuple[str, Run]:
    evaluator = installed("onnx.reference", "onnx").ReferenceEvaluator(str(path))
    return f"onnx.reference {onnx.__version__}", lambda feed: [np.asarray(a) for a in evaluator.run(None, dict(feed))]


RUNNERS: Mapping[str, Callable[[Path], tuple[str, Run]]] = {"openvino": _openvino, "reference": _reference}


def verify(model: Model, exported: Path, runtime: str, seed: int = 0) -> Report:
    """Runs a file in `runtime`, a key of `RUNNERS`.

    Raises:
        Unsupported: the runtime is not installed, or refuses the file.
        OSError: the file cannot be read.
    """
    graph = onnx.load(exported, load_external_data=False).graph
    types = {value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in graph.input}
    values = [*model.inputs, *(state.input for state in model.states)]
    ends = [*model.outputs, *(state.output for state in model.states)]
    if len(types) != len(values) or len(graph.output) != len(ends):
        return Report("the original", runtime, (), wrong=("it has other inputs or outputs",))
    with np.errstate(all="ignore"):
        cases, calls = usable_cases(model, seed)
        try:
            title, run = RUNNERS[runtime](exported)
            made = []
            for call in calls:
                pairs = zip(types.items(), values, strict=True)
                arrays = run({name: call.given[value.name].astype(kind) for (name, kind), value in pairs})
                made.append({value.name: array for value, array in zip(ends, arrays, strict=True)})
        except Unsupported:
            raise
        except Exception as error:  # whatever a runtime raises is its refusal
            raise Unsupported(f"{runtime} refuses the file: {first_line(error)}") from error
        return judged(model, cases, calls, made, title)


def judged(
    model: Model, cases: Sequence[Case], calls: Sequence[Call], made: Sequence[Mapping[str, Array]], title: str
) -> Report:
    """Whole outputs of a runtime, within what float32 is off by.

    Args:
        model: what was run.
        cases: the inputs.
        calls: what the reference makes of them.
        made: what the runtime does.
        title: its name.
    """
    with np.errstate(all="ignore"):
        found = compare_outputs(model, calls, made, None)
    reduced = any(v.dtype in ("float16", "bfloat16") for node in model.nodes for v in node.outputs)
    outputs = tuple(replace(one, allowed=_allowed(one.scale, one.reference_error, reduced)) for one in found)
    wrong = [f"{one.name}: {one.note or f'off by {one.error:.1e}'}" for one in outputs if not one.passed]
    unproved = (ONLY_ZEROS,) if not any(one.scale for one in outputs) else ()
    labels = tuple(case.label for case in cases)
    return Report("reference_lstm, float64", title, labels, outputs=outputs, wrong=tuple(wrong), unproved=unproved)


def _allowed(scale: float, reference_error: float, reduced: bool) -> float:
    return max(REDUCED * scale * reduced, FACTOR * max(reference_error, FLOOR * scale), ACTIVATION)
