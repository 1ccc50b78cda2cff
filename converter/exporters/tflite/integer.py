"""LSTM in integers, as LiteRT's and TFLite Micro's kernels have it: weights and h in int8, c in int16, biases in int32.

One scale per tensor; weights lie around zero, that of c is a power of two. QUANTIZE and DEQUANTIZE surround the
operator, so the layers next to it stay in float32. Sources: EvalInteger8x8_16 in tensorflow/lite/kernels/lstm_eval.cc,
tools/optimize/operator_property.cc there, and tensorflow/lite/micro/kernels/lstm_eval_common.cc.
"""

from __future__ import annotations

import math

import numpy as np

from converter.errors import Unsupported
from converter.exporters.tflite import fused
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.operators import TANH
from converter.exporters.tflite.passes import Job, Pass
from converter.exporters.tflite.tensors import Op, Ranges, Scaled, Tensor
from converter.model import Array, Weight
from converter.model.layers import Cell, LSTMCell

LEAST_C = 2.0**-15  # scale of c: its integers reach 1
LARGEST_C = 2.0**-9  # the kernels take no coarser one


def fits(cell: Cell) -> bool:
    """Whether the kernels compute this cell in integers."""
    return isinstance(cell, LSTMCell) and fused.fits(cell) and cell.peephole is None


def run(graph: Graph, job: Job, ranges: Ranges) -> Pass:
    """One direction by one operator.

    Raises:
        Unsupported: c goes beyond what its integers hold, or the final c is read.
    """
    cell, direction = job.direction.cell, job.direction
    assert isinstance(cell, LSTMCell)
    if job.wants_states[1]:
        raise Unsupported("the final c of an LSTM in integers cannot be exported to TFLite")
    in_x, in_h, in_c = _around(ranges.x), _around(ranges.h), _power_of_two(ranges.c)
    x = graph.flip(job.x, job.time) if direction.reverse_input else job.x
    states = [_started(graph, job, "h", 0, "int8", in_h), _started(graph, job, "c", 1, "int16", in_c)]
    given = [*_weights(graph, cell, job.side, in_x), None, None, *states, *fused.NO_NORMALIZATION]
    y = graph.tensor("UNIDIRECTIONAL_SEQUENCE_LSTM", "int8", (*x.shape[:2], cell.units), in_h)
    inner = tuple(graph.tensor(f"inner_{k}", "int8", (0,), in_h) for k in range(5))
    options = {"fusedActivationFunction": TANH, "timeMajor": job.layer.time_major}
    graph.add(Op("UNIDIRECTIONAL_SEQUENCE_LSTM", "", (_integers(graph, x, "int8", in_x), *given), (y,), options, inner))
    real = graph.op("DEQUANTIZE", y, dtype="float32")
    last = graph.pick(real, job.time, -1)
    if job.layer.return_sequences:
        return Pass(graph.flip(real, job.time) if direction.reverse_output else real, (last, None))
    return Pass(last, (last, None))


def _around(values: tuple[float, float]) -> Scaled:
    """The scale of int8 that holds a range and zero exactly."""
    low, high = min(values[0], 0.0), max(values[1], 0.0)
    scale = float(np.float32(max(high - low, 1e-6) / 255))
    return Scaled(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def _power_of_two(values: tuple[float, float]) -> Scaled:
    most = max(abs(values[0]), abs(values[1]))
    scale = LEAST_C * 2.0 ** max(0, math.ceil(math.log2(max(most, 1e-6))))
    if scale > LARGEST_C:
        raise Unsupported(f"c reaches {most:.3g}, beyond what integers of TFLite's LSTM hold")
    return Scaled(scale)


def _integers(graph: Graph, x: Tensor, dtype: str, scaled: Scaled) -> Tensor:
    y = graph.tensor("QUANTIZE", dtype, x.shape, scaled)
    graph.into(y, "QUANTIZE", x)
    return y


def _started(graph: Graph, job: Job, name: str, place: int, dtype: str, scaled: Scaled) -> Tensor:
    """A variable with what the state starts from."""
    assert isinstance(job.direction.cell, LSTMCell)
    initial = job.initial[place]
    shape = (job.x.shape[job.batch], job.direction.cell.units)
    if initial is None:
        column = graph.pick(graph.zeros_along(job.x, [job.batch]), job.time, 0)
        initial = graph.op("ADD", column, graph.const(np.zeros((1, shape[1])), "float32"), shape=shape)
    state = graph.variable(name, shape, dtype, scaled)
    graph.into(state, "QUANTIZE", initial)
    return state


def _weights(graph: Graph, cell: LSTMCell, side: str, in_x: Scaled) -> list[Tensor | None]:
    """Weights of the gates i, f, c, o, no peepholes, and biases in the scale of the input's products."""
    gates = ("input", "forget", "cell", "output")
    kernels = [_gate(graph, f"{side}input_to_{g}_weights", cell.kernel, k) for k, g in enumerate(gates)]
    recurrent = [_gate(graph, f"{side}recurrent_to_{g}_weights", cell.recurrent_kernel, k) for k, g in enumerate(gates)]
    names = ("input_gate_bias", "forget_gate_bias", "cell_bias", "output_gate_bias")
    biases: list[Tensor | None] = []
    for place, (name, kernel) in enumerate(zip(names, kernels, strict=True)):
        assert kernel.scaled is not None
        scaled = Scaled(float(np.float32(in_x.scale * kernel.scaled.scale)))
        biases.append(_bias(graph, f"{side}{name}", cell, place, scaled))
    return [*kernels, *recurrent, None, None, None, *biases]


def _slice(array: Array, place: int) -> Array:
    units = array.shape[-1] // 4
    gate: Array = array[..., place * units : (place + 1) * units].astype(np.float64)
    return gate


def _gate(graph: Graph, name: str, weight: Weight, place: int) -> Tensor:
    """One gate of [input, 4·units], transposed, in int8 around zero."""
    scale = float(np.float32(max(float(np.abs(_slice(weight.read(), place)).max(initial=0.0)), 1e-9) / 127))

    def integers(array: Array) -> Array:
        found: Array = np.clip(np.rint(_slice(array, place).T / scale), -127, 127)
        return found

    shape = (weight.shape[1] // 4, weight.shape[0])
    return graph.weight(name, weight, "int8", integers, shape, Scaled(scale))


def _bias(graph: Graph, name: str, cell: LSTMCell, place: int, scaled: Scaled) -> Tensor:
    zeros = Weight(name, (4 * cell.units,), "float32", lambda: np.zeros(4 * cell.units, np.float32))

    def integers(array: Array) -> Array:
        found: Array = np.clip(np.rint(_slice(array, place) / scaled.scale), -(2**31) + 1, 2**31 - 1)
        return found

    return graph.weight(name, cell.bias or zeros, "int32", integers, (cell.units,), scaled)
