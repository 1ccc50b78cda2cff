"""Runs Keras LSTM models without TensorFlow: reads what Keras saved, writes ONNX, proves each conversion.

The way of a model, one package or module each (data flows only from top to bottom):

    formats         bytes -> trees and arrays; every bound is checked here
    readers         one file per kind of container: what is in it, as Keras wrote it
    keras           what a Keras configuration means, by the version that wrote it -> `model.Model`
    tensorflow_graph    what the function graph of a SavedModel computes -> `model.Model`
    model, gates    the neutral model; how every framework packs recurrent weights
    exporters       one file or folder per target: onnx, ...
    interpret       runs a Model on `reference_lstm`, an independent NumPy implementation
    verification    reference and exported file on the same inputs, side by side -> `Report`
    against_tensorflow    the same by TensorFlow's own layers, where it is installed
    comparing       the weights of two files, gate by gate
    report          a page that shows a conversion
    batch           many models in one run
    api             these stages joined: `load`, `convert`, `verify`, `inspect`, `compare`
    cli             the command line; the only package that prints

The public names are those of `__all__`; everything else may change. Each is imported when it is first used, so
`import converter` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from converter import plugin
    from converter.api import Conversion, compare, convert, inspect, load, verify
    from converter.batch import Outcome, convert_many
    from converter.comparing.comparison import Comparison
    from converter.errors import ConversionError, InvalidModel, InvalidPlugin, Unsupported, VerificationFailed
    from converter.inspection import Inspection
    from converter.model import Model
    from converter.verification import Report

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "Conversion",
    "ConversionError",
    "Inspection",
    "InvalidModel",
    "InvalidPlugin",
    "Model",
    "Outcome",
    "Report",
    "Unsupported",
    "VerificationFailed",
    "compare",
    "convert",
    "convert_many",
    "inspect",
    "load",
    "plugin",
    "verify",
]

_NAMES = {
    "converter.batch": "Outcome convert_many",
    "converter.api": "Conversion compare convert inspect load verify",
    "converter.comparing.comparison": "Comparison",
    "converter.errors": "ConversionError InvalidModel InvalidPlugin Unsupported VerificationFailed",
    "converter.inspection": "Inspection",
    "converter.model": "Model",
    "converter.verification": "Report",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "plugin":
        return import_module("converter.plugin")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
