"""Weights and the module written next to them in PyTorch."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converter.errors import Unsupported
from converter.exporters.torch import guard, module_of
from converter.model import Array
from converter.verification.at_home import Started
from converter.verification.elsewhere import installed


def started(path: Path) -> Started:
    """The module next to the weights, with them.

    Raises:
        Unsupported: PyTorch is not installed, or there is no module.
        FileExistsError: the module is not ours.
    """
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

    return Started(f"PyTorch {torch.__version__}", run, states=True)
