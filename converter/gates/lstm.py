"""LSTM conventions. Letters in patterns: i input, f forget, c candidate, o output gate."""

from __future__ import annotations

from converter.gates.row import Convention

_KERAS1 = {f"{kind}_{g}": f"{c}[{rows}{g}*u]" for g in "icfo" for kind, c, rows in (("W", "W", "in, "), ("U", "R", "h, "), ("b", "b", ""))}  # fmt: skip  # noqa: E501
_TF1 = {
    "kernel": "W[in, icfo*u] / R[h, icfo*u]",
    "bias": "b[icfo*u]",
    "w_i_diag": "P[i*u]",
    "w_f_diag": "P[f*u]",
    "w_o_diag": "P[o*u]",
}
_TORCH = {
    "weight_ih": "W[ifco*u, in]",
    "weight_hh": "R[ifco*u, h]",
    "bias_ih": "b[ifco*u]",
    "bias_hh": "rb[ifco*u]",
}


def _flax(forget: str) -> dict[str, str]:
    """Flax names gate g for the candidate; nnx cannot call an attribute "if"."""
    gates = (("i", "i"), ("f", "f"), ("g", "c"), ("o", "o"))
    inputs = {f"{forget if g == 'f' else 'i' + g}/kernel": f"W[in, {c}*u]" for g, c in gates}
    hidden = {f"h{g}/kernel": f"R[h, {c}*u]" for g, c in gates}
    return {**inputs, **hidden, **{f"h{g}/bias": f"b[{c}*u]" for g, c in gates}}


_BURN = {
    f"{name}_gate.{side}_transform.{kind}": f"{content}[{rows}{gate}*u]"
    for name, gate in (("input", "i"), ("forget", "f"), ("cell", "c"), ("output", "o"))
    for side, kind, content, rows in (
        ("input", "weight", "W", "in, "),
        ("input", "bias", "b", ""),
        ("hidden", "weight", "R", "h, "),
        ("hidden", "bias", "rb", ""),
    )
}
_TFLITE_GATES = (("input", "i"), ("forget", "f"), ("cell", "c"), ("output", "o"))

LSTM_ROWS = (
    Convention(
        "keras/LSTM", "LSTM", "i f c o",
        {"kernel": "W[in, ifco*u]", "recurrent_kernel": "R[h, ifco*u]", "bias": "b[ifco*u]"},
        "https://github.com/keras-team/keras/blob/master/keras/src/layers/rnn/lstm.py",
        "keras 3.15.1, run",
        note="Keras 2 and 3, and Keras 1 with consume_less='gpu'; unit_forget_bias only initializes",
    ),
    Convention(
        "keras1/LSTM", "LSTM", "i c f o", _KERAS1,
        "https://github.com/keras-team/keras/blob/1.2.2/keras/layers/recurrent.py",
        "tf_keras 2.21's own converter, run",
        bias_required=True,
        note="12 arrays: consume_less='cpu' or 'mem'",
    ),
    Convention(
        "keras/CuDNNLSTM", "LSTM", "i f c o",
        {"kernel": "Wt[in, ifco*u]", "recurrent_kernel": "Rt[h, ifco*u]", "bias": "b[ifco*u] | rb[ifco*u]"},
        "https://github.com/keras-team/tf-keras/blob/master/tf_keras/src/saving/legacy/hdf5_format.py",
        "tf_keras 2.21's own converter, run",
        bias_required=True,
    ),
    Convention(
        "cudnn/LSTM", "LSTM", "i f g o", {"params": "~ W[ifco*u, in] R[ifco*u, h] b[ifco*u] rb[ifco*u]"},
        "https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-adv-library.html",
        "tf_keras 2.21's parameter vector, byte by byte; no GPU",
        bias_required=True,
        note="one layer, one direction",
    ),
    Convention(
        "miopen/LSTM", "LSTM", "i f o g", {"params": "~ W[ifoc*u, in] R[ifoc*u, h] b[ifoc*u] rb[ifoc*u]"},
        "https://rocm.docs.amd.com/projects/MIOpen/en/latest/doxygen/html/group___r_n_n.html",
        "source read, not run",
        bias_required=True,
    ),
    Convention(
        "onnx/LSTM", "LSTM", "i o f c",
        {"W": "W[1, iofc*u, in]", "R": "R[1, iofc*u, h]", "B": "b[1, iofc*u] | rb[1, iofc*u]", "P": "P[1, iof*u]"},
        "https://onnx.ai/onnx/operators/onnx__LSTM.html",
        "onnxruntime 1.32, run, peepholes too",
        note="axis 0 counts directions",
    ),
    Convention(
        "torch/LSTM", "LSTM", "i f g o", {**_TORCH, "weight_hr": "H[h, u]"},
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html",
        "torch 2.13.0, run",
        note="names end in _l0, _l0_reverse, _l1, ...",
    ),
    Convention(
        "tf1/LSTMCell", "LSTM", "i j f o", {**_TF1, "projection/kernel": "H[u, h]"},
        "https://github.com/tensorflow/tensorflow/blob/r1.15/tensorflow/python/ops/rnn_cell_impl.py",
        "TensorFlow 2.21, run, peepholes too",
        forget_bias=1.0,
        forget_bias_setting=True,
        bias_required=True,
        note="BasicLSTMCell too; gate o's peephole sees the new state",
    ),
    Convention(
        "tf1/LSTMBlockCell", "LSTM", "i c f o", _TF1,
        "https://github.com/tensorflow/tensorflow/blob/r1.15/tensorflow/contrib/rnn/python/ops/lstm_ops.py",
        "TensorFlow 2.21, run, peepholes too",
        forget_bias=1.0,
        forget_bias_setting=True,
        bias_required=True,
    ),
    Convention(
        "tf/BlockLSTM", "LSTM", "i c f o",
        {"w": "W[in, icfo*u] / R[h, icfo*u]", "b": "b[icfo*u]", "wci": "P[i*u]", "wcf": "P[f*u]", "wco": "P[o*u]"},
        "https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTM",
        "TensorFlow 2.21, run, peepholes too",
        forget_bias=1.0,
        forget_bias_setting=True,
        bias_required=True,
    ),
    Convention(
        "tf/BlockLSTMV2", "LSTM", "i f c o",
        {"w": "W[in, ifco*u] / R[h, ifco*u]", "b": "b[ifco*u]", "wci": "P[i*u]", "wcf": "P[f*u]", "wco": "P[o*u]"},
        "https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTMV2",
        "TensorFlow 2.21, run, peepholes too",
        bias_required=True,
    ),
    Convention(
        "tflite/UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "i f c o",
        {
            **{f"input_to_{name}_weights": f"W[{g}*u, in]" for name, g in _TFLITE_GATES},
            **{f"recurrent_to_{name}_weights": f"R[{g}*u, h]" for name, g in _TFLITE_GATES},
            **{f"cell_to_{name}_weights": f"P[{g}*u]" for name, g in _TFLITE_GATES if g != "c"},
            **{f"{name}_gate_bias" if g != "c" else "cell_bias": f"b[{g}*u]" for name, g in _TFLITE_GATES},
            "projection_weights": "H[h, u]",
        },
        "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/kernels/unidirectional_sequence_lstm.cc",
        "TensorFlow 2.21, run",
        bias_required=True,
        note="inputs 1-4, 5-8, 9-11, 12-15, 16",
    ),
    Convention(
        "flax/LSTMCell", "LSTM", "i f g o", _flax("if"),
        "https://github.com/google/flax/blob/main/flax/linen/recurrent.py",
        "flax 0.12.8, run",
        bias_required=True,
        note="OptimizedLSTMCell too; carry is (c, h)",
    ),
    Convention(
        "flax-nnx/LSTMCell", "LSTM", "i f g o", _flax("if_"),
        "https://github.com/google/flax/blob/main/flax/nnx/nn/recurrent.py",
        "flax 0.12.8, run",
        bias_required=True,
    ),
    Convention(
        "haiku/LSTM", "LSTM", "i g f o", {"linear/w": "W[in, icfo*u] / R[h, icfo*u]", "linear/b": "b[icfo*u]"},
        "https://github.com/google-deepmind/dm-haiku/blob/main/haiku/_src/recurrent.py",
        "haiku 0.0.17, run",
        forget_bias=1.0,
        bias_required=True,
    ),
    Convention(
        "openvino/LSTMSequence", "LSTM", "f i c o",
        {"W": "W[1, fico*u, in]", "R": "R[1, fico*u, h]", "B": "b[1, fico*u]"},
        "https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets/operation-specs/sequence/lstm-sequence-1.html",
        "OpenVINO 2026.4, run",
        bias_required=True,
        note="axis 0 counts directions; LSTMCell has none",
    ),
    Convention(
        "mxnet/LSTM", "LSTM", "i f c o",
        {
            "i2h_weight": "W[ifco*u, in]",
            "h2h_weight": "R[ifco*u, h]",
            "i2h_bias": "b[ifco*u]",
            "h2h_bias": "rb[ifco*u]",
            "h2r_weight": "H[h, u]",
        },
        "https://github.com/apache/mxnet/blob/master/python/mxnet/gluon/rnn/rnn_cell.py",
        "mxnet 1.9.1, run",
        bias_required=True,
    ),
    Convention(
        "coreml/lstm", "LSTM", "i f o z",
        {"weight_ih": "W[ifoc*u, in]", "weight_hh": "R[ifoc*u, h]", "bias": "b[ifoc*u]", "peephole": "P[ifo*u]"},
        "https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html#module-coremltools.converters.mil.mil.ops.defs.iOS15.recurrent",
        "coremltools 9.0 source read",
    ),
    Convention(
        "caffe/LSTM", "LSTM", "i f o g", {"W_xc": "W[ifoc*u, in]", "b_c": "b[ifoc*u]", "W_hc": "R[ifoc*u, h]"},
        "https://github.com/BVLC/caffe/blob/master/src/caffe/layers/lstm_unit_layer.cpp",
        "source read, not run",
        bias_required=True,
        note="input `cont` multiplies h and gate f",
    ),
    Convention(
        "candle/LSTM", "LSTM", "i f g o", _TORCH,
        "https://github.com/huggingface/candle/blob/main/candle-nn/src/rnn.rs",
        "source read, not run",
    ),
    Convention(
        "burn/Lstm", "LSTM", "i f c o", _BURN,
        "https://github.com/tracel-ai/burn/blob/main/crates/burn-nn/src/modules/rnn/lstm.rs",
        "source read: releases with one GateController per gate",
    ),
)  # fmt: skip
