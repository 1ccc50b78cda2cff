"""Proof of a conversion: the same inputs through `reference_lstm` and through the exported file in onnxruntime.

inputs     seeded cases that reach a model's corners
runtime    the exported file in onnxruntime, whole and step by step
residual   first criterion: each recurrent layer, one step at a time
prove      both criteria -> Report
report     what was found, in numbers
"""

from __future__ import annotations

from converter.verification.prove import Truth, verify
from converter.verification.report import LayerResidual, OutputError, Report

__all__ = ["LayerResidual", "OutputError", "Report", "Truth", "verify"]
