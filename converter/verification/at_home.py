"""An exported file in the framework that it is written for: a `.keras` archive in Keras 3, a module in PyTorch.

Whole outputs are compared with the float64 reference, as in `elsewhere`. The framework has to be installed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from converter.errors import ConversionError, Unsupported
from converter.exporters.torch import guard, module_of
from converter.model import Array, Model
from converter.verification.calls import usable_cases
from converter.verification.elsewhere import installed, judged
from converter.verification.report import Report

Run = Callable[[Sequence[Array], Sequence[Array]], Sequence[Array]]
"""Arrays of the inputs, and of the states; gives those of the outputs, then of the states that can be seen."""


def _keras(path: Path) -> tuple[str, Run]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    keras = installed("keras", "keras-lstm-convert[tensorflow]")
    model = keras.models.load_model(path, compile=False)

    def run(inputs: Sequence[Array], states: Sequence[Array]) -> Sequence[Array]:
        if states and not any(np.any(state) for state in states):  # a new sequence: Keras keeps the states itself
            for layer in model.layers:
                if getattr(layer, "stateful", False):
                    layer.reset_state() if hasattr(layer, "reset_state") else layer.reset_states()
        made = model(list(inputs) if len(inputs) > 1 else inputs[0])
        made = made if isinstance(made, list | tuple) else [made]
        return [np.asarray(keras.ops.convert_to_numpy(array)) for array in made]

    return f"Keras {keras.__version__} on {keras.backend.backend()}", run


def _torch(path: Path) -> tuple[str, Run]:
    torch = installed("torch", "torch")
    installed("safetensors", "safetensors")
    source = module_of(path)
    guard(path)  # a module that is not ours is not run
    spec = importlib.util.spec_from_file_location("converted_model", source)
    if spec is None or spec.loader is None or not source.is_file():
        raise Unsupported(f"{source.name} is not there", hint="--to torch writes it next to the weights")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.load(path)

    def run(inputs: Sequence[Array], states: Sequence[Array]) -> Sequence[Array]:
        with torch.no_grad():
            made = model(*(torch.from_numpy(np.array(array)) for array in (*inputs, *states)))
        return [array.numpy() for array in (made if isinstance(made, tuple) else (made,))]

    return f"PyTorch {torch.__version__}", run


HOMES: Mapping[str, Callable[[Path], tuple[str, Run]]] = {"keras": _keras, "torch": _torch}
"""By the names of their targets."""


def verify(model: Model, exported: Path, home: str, seed: int = 0) -> Report:
    """Runs a file of the target `home`, a key of `HOMES`.

    Raises:
        Unsupported: the framework is not installed, or refuses the file.
        FileExistsError: the module next to the weights is not ours.
    """
    cases, calls = usable_cases(model, seed)
    inputs, states = model.inputs, [state.input for state in model.states]
    try:
        title, run = HOMES[home](exported)
        made = []
        seen = model if home == "torch" else replace(model, states=())
        ends = [*seen.outputs, *(state.output for state in seen.states)]
        for call in calls:
            given = [[call.given[v.name].astype(_dtype(v.dtype)) for v in values] for values in (inputs, states)]
            made.append({value.name: array for value, array in zip(ends, run(*given), strict=True)})
    except (ConversionError, OSError):
        raise
    except Exception as error:  # whatever a framework raises is its refusal
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise Unsupported(f"{home} refuses the file: {reason[:200]}") from error
    return judged(seen, cases, calls, made, title)


def _dtype(name: str) -> str:
    """NumPy has no bfloat16; both frameworks take float32 for it."""
    return "float32" if name == "bfloat16" else name
