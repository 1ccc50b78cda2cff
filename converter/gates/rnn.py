"""Conventions of the plain recurrent layer, which has one gate, c: orientation and biases are all that differs."""

from __future__ import annotations

from converter.gates.row import Convention

_TORCH = {"weight_ih": "W[c*u, in]", "weight_hh": "R[c*u, h]", "bias_ih": "b[c*u]", "bias_hh": "rb[c*u]"}

RNN_ROWS = (
    Convention(
        "keras/SimpleRNN", "RNN", "h",
        {"kernel": "W[in, c*u]", "recurrent_kernel": "R[h, c*u]", "bias": "b[c*u]"},
        "https://github.com/keras-team/keras/blob/master/keras/src/layers/rnn/simple_rnn.py",
        "keras 3.15.1, run",
        note="Keras 1 too, as W, U, b",
    ),
    Convention(
        "onnx/RNN", "RNN", "i",
        {"W": "W[1, c*u, in]", "R": "R[1, c*u, h]", "B": "b[1, c*u] | rb[1, c*u]"},
        "https://onnx.ai/onnx/operators/onnx__RNN.html",
        "onnxruntime 1.32, run",
        note="axis 0 counts directions",
    ),
    Convention(
        "torch/RNN", "RNN", "h", _TORCH,
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html",
        "torch 2.13.0, run",
        note="names end in _l0, _l0_reverse, _l1, ...",
    ),
    Convention(
        "tf1/BasicRNNCell", "RNN", "h", {"kernel": "W[in, c*u] / R[h, c*u]", "bias": "b[c*u]"},
        "https://github.com/tensorflow/tensorflow/blob/r1.15/tensorflow/python/ops/rnn_cell_impl.py",
        "TensorFlow 2.21, run",
        bias_required=True,
    ),
    Convention(
        "flax/SimpleCell", "RNN", "h", {"i/kernel": "W[in, c*u]", "i/bias": "b[c*u]", "h/kernel": "R[h, c*u]"},
        "https://github.com/google/flax/blob/main/flax/linen/recurrent.py",
        "flax 0.12.8, run",
        bias_required=True,
    ),
)  # fmt: skip
