"""Proof of a conversion: each node of the model held to its own equation, each weight accounted for bit by bit.

prove              what is done with one exported file that is run -> Report
runnable           what it asks of such a file, whatever its runtime
inputs, corners    seeded inputs of the whole model; values that bring each node to its corners
natural            the model run by `reference_lstm`, every value kept
runtime            the exported file in onnxruntime, whole and cut into the parts of the nodes (graph_cutting)
node_checks        each part against `reference_lstm` (node_truth, recurrence), within bounds (rounding, cell_rounding)
coverage           which sides of each comparison, clip, selection and mask were taken
weight_accounting  what each initializer is
end_to_end         the outputs of the whole, for the report
tflite             TFLite files in LiteRT, cut and accounted for in the same way
read_back          files that are not run
calibrating        what values layers take on a user's data, for targets that use integers
report             what was found, in numbers
"""

from __future__ import annotations

from converter.verification.own_data import OwnData
from converter.verification.prove import Truth, verify
from converter.verification.report import NodeResult, OutputError, Report

__all__ = ["NodeResult", "OutputError", "OwnData", "Report", "Truth", "verify"]
