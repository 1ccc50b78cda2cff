"""reference_lstm against the ONNX operators' own node tests (onnx.backend.test): LSTM, GRU and RNN.

The translation of ONNX packing is written out here, so that no table is shared with the converter.
https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html, onnx__RNN.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference_lstm
from reference_lstm import GRU, LSTM, Direction, SimpleRNN

helper = pytest.importorskip("onnx.helper")


def node_cases() -> dict[str, Any]:
    import onnx.backend.test.case.node as node
    from onnx.backend.test.case.node import gru, lstm, rnn

    kept = list(node._NodeTestCases)
    node._NodeTestCases.clear()
    node._existing_names.clear()
    for suite in (lstm.LSTM, gru.GRU, rnn.RNN):
        for name in dir(suite):
            if name.startswith("export"):
                getattr(suite, name)()
    found = {case.name: case for case in node._NodeTestCases}
    node._NodeTestCases[:] = kept
    return found


CASES = node_cases()


def gates(matrix: np.ndarray, count: int) -> list[np.ndarray]:
    """Gates of an ONNX weight [gates·units, ...], each with units last."""
    return [np.swapaxes(gate, 0, -1) for gate in np.split(matrix, count)]


def lstm_cell(w: np.ndarray, r: np.ndarray, b: np.ndarray, p: np.ndarray | None) -> LSTM:
    def keras(matrix: np.ndarray) -> np.ndarray:
        i, o, f, c = gates(matrix, 4)
        return np.concatenate([i, f, c, o], -1)

    peephole = None
    if p is not None:
        p_i, p_o, p_f = np.split(p, 3)
        peephole = np.concatenate([p_i, p_f, p_o])
    units = r.shape[-1]
    return LSTM(keras(w), keras(r), keras(b[: 4 * units] + b[4 * units :]), peephole=peephole)


def gru_cell(w: np.ndarray, r: np.ndarray, b: np.ndarray, reset_after: bool) -> GRU:
    units = r.shape[-1]  # gates z, r, h on both sides
    input_bias, recurrent_bias = b[: 3 * units], b[3 * units :]
    bias = np.stack([input_bias, recurrent_bias]) if reset_after else input_bias + recurrent_bias
    return GRU(w.T, r.T, bias, reset_after=reset_after)


def rnn_cell(w: np.ndarray, r: np.ndarray, b: np.ndarray) -> SimpleRNN:
    units = r.shape[-1]
    return SimpleRNN(w.T, r.T, b[:units] + b[units:])


def run_node(node: Any, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    given = dict(zip([name for name in node.input if name], arrays, strict=True))
    x, w, r = given["X"], given["W"], given["R"]
    sides, units = w.shape[0], r.shape[-1]
    b = given.get("B", np.zeros((sides, 2 * w.shape[1]), w.dtype))
    direction = attributes.get("direction", b"forward")
    batchwise = attributes.get("layout", 0)
    lengths = given.get("sequence_lens")
    time = x.shape[1] if batchwise else x.shape[0]
    mask = None if lengths is None else np.arange(time)[:, None] < lengths[None, :]
    directions, initial = [], []
    for side in range(sides):
        backward = direction == b"reverse" or side == 1
        if node.op_type == "LSTM":
            p = given["P"][side] if "P" in given else None
            cell: Any = lstm_cell(w[side], r[side], b[side], p)
        elif node.op_type == "GRU":
            cell = gru_cell(w[side], r[side], b[side], bool(attributes.get("linear_before_reset", 0)))
        else:
            cell = rnn_cell(w[side], r[side], b[side])
        directions.append(Direction(cell, reverse_input=backward, reverse_output=backward))
        states = [given.get("initial_h"), given.get("initial_c")][: cell.state_count]
        initial += [s if s is None else (s[:, side] if batchwise else s[side]) for s in states]
    assert units == attributes["hidden_size"]
    results = reference_lstm.run(
        directions, x, mask, initial, return_sequences=True, masked_output="zero", time_major=not batchwise
    )
    ys, finals = results[:sides], results[sides:]
    per = len(finals) // sides
    axis = 1 if batchwise else 0
    named = {"Y": np.stack(ys, axis=2 if batchwise else 1), "Y_h": np.stack(finals[::per], axis=axis)}
    if per == 2:
        named["Y_c"] = np.stack(finals[1::per], axis=axis)
    return named


def test_the_suite_is_there() -> None:
    assert len(CASES) >= 13
    assert {"test_lstm_with_peepholes", "test_lstm_bidirectional", "test_gru_seq_length"} <= set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
def test_onnx_node(name: str) -> None:
    case = CASES[name]
    (node,) = case.model.graph.node
    ((inputs, outputs),) = case.data_sets
    got = run_node(node, inputs)
    for output, expected in zip([name for name in node.output if name], outputs, strict=True):
        assert got[output].shape == expected.shape
        np.testing.assert_allclose(got[output], expected, rtol=1e-6, atol=1e-7)
