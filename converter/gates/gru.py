"""GRU conventions. Letters in patterns: z update, r reset, h candidate; h' = z·h + (1-z)·candidate, as in Keras."""

from __future__ import annotations

from converter.gates.row import Convention

_KERAS1 = {f"{kind}_{g}": f"{c}[{rows}{g}*u]" for g in "zrh" for kind, c, rows in (("W", "W", "in, "), ("U", "R", "h, "), ("b", "b", ""))}  # fmt: skip  # noqa: E501
_TORCH = {"weight_ih": "W[rzh*u, in]", "weight_hh": "R[rzh*u, h]", "bias_ih": "b[rzh*u]", "bias_hh": "rb[rzh*u]"}
_KERAS = {"kernel": "W[in, zrh*u]", "recurrent_kernel": "R[h, zrh*u]"}
_ONNX = {"W": "W[1, zrh*u, in]", "R": "R[1, zrh*u, h]", "B": "b[1, zrh*u] | rb[1, zrh*u]"}
_OPENVINO = {"W": "W[1, zrh*u, in]", "R": "R[1, zrh*u, h]"}
_KERAS_SOURCE = "https://github.com/keras-team/keras/blob/master/keras/src/layers/rnn/gru.py"
_ONNX_SOURCE = "https://onnx.ai/onnx/operators/onnx__GRU.html"
_OPENVINO_SOURCE = "https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets/operation-specs/sequence/gru-sequence-5.html"

_FLAX = {
    **{f"i{n}/kernel": f"W[in, {g}*u]" for n, g in (("r", "r"), ("z", "z"), ("n", "h"))},
    **{f"i{n}/bias": f"b[{g}*u]" for n, g in (("r", "r"), ("z", "z"), ("n", "h"))},
    **{f"h{n}/kernel": f"R[h, {g}*u]" for n, g in (("r", "r"), ("z", "z"), ("n", "h"))},
    "hn/bias": "rb[h*u]",
}

GRU_ROWS = (
    Convention(
        "keras/GRU", "GRU", "z r h", {**_KERAS, "bias": "b[1, zrh*u] / rb[1, zrh*u]"},
        _KERAS_SOURCE, "keras 3.15.1, run",
        reset_after=True,
        note="the default since TensorFlow 2",
    ),
    Convention(
        "keras/GRU(reset_after=False)", "GRU", "z r h", {**_KERAS, "bias": "b[zrh*u]"},
        _KERAS_SOURCE, "keras 3.15.1, run",
    ),
    Convention(
        "keras1/GRU", "GRU", "z r h", _KERAS1,
        "https://github.com/keras-team/keras/blob/1.2.2/keras/layers/recurrent.py",
        "tf_keras 2.21's own converter, run",
        bias_required=True,
        note="9 arrays: consume_less='cpu' or 'mem'",
    ),
    Convention(
        "keras/CuDNNGRU", "GRU", "z r h",
        {"kernel": "Wt[in, zrh*u]", "recurrent_kernel": "Rt[h, zrh*u]", "bias": "b[zrh*u] | rb[zrh*u]"},
        "https://github.com/keras-team/tf-keras/blob/master/tf_keras/src/saving/legacy/hdf5_format.py",
        "tf_keras 2.21's own converter, run",
        bias_required=True,
        reset_after=True,
    ),
    Convention(
        "cudnn/GRU", "GRU", "r i h", {"params": "~ W[rzh*u, in] R[rzh*u, h] b[rzh*u] rb[rzh*u]"},
        "https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-adv-library.html",
        "tf_keras 2.21's parameter vector, byte by byte; no GPU",
        bias_required=True,
        reset_after=True,
        note="one layer, one direction",
    ),
    Convention(
        "onnx/GRU(linear_before_reset=1)", "GRU", "z r h", _ONNX, _ONNX_SOURCE, "onnxruntime 1.32, run",
        reset_after=True,
        note="axis 0 counts directions",
    ),
    Convention(
        "onnx/GRU", "GRU", "z r h", _ONNX, _ONNX_SOURCE, "onnxruntime 1.32, run",
        note="axis 0 counts directions",
    ),
    Convention(
        "torch/GRU", "GRU", "r z n", _TORCH,
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html",
        "torch 2.13.0, run",
        reset_after=True,
        note="names end in _l0, _l0_reverse, _l1, ...",
    ),
    Convention(
        "tf1/GRUCell", "GRU", "r u, c",
        {
            "gates/kernel": "W[in, rz*u] / R[h, rz*u]",
            "gates/bias": "b[rz*u]",
            "candidate/kernel": "W[in, h*u] / R[h, h*u]",
            "candidate/bias": "b[h*u]",
        },
        "https://github.com/tensorflow/tensorflow/blob/r1.15/tensorflow/python/ops/rnn_cell_impl.py",
        "TensorFlow 2.21, run",
        bias_required=True,
    ),
    Convention(
        "flax/GRUCell", "GRU", "r z n", _FLAX,
        "https://github.com/google/flax/blob/main/flax/linen/recurrent.py",
        "flax 0.12.8, run",
        bias_required=True,
        reset_after=True,
    ),
    Convention(
        "haiku/GRU", "GRU", "z r a", {"w_i": "W[in, -zrh*u]", "w_h": "R[h, -zrh*u]", "b": "b[-zrh*u]"},
        "https://github.com/google-deepmind/dm-haiku/blob/main/haiku/_src/recurrent.py",
        "haiku 0.0.17, run",
        bias_required=True,
        note="z is 1 - Keras' z: its weights have the opposite sign",
    ),
    Convention(
        "openvino/GRUSequence(linear_before_reset=1)", "GRU", "z r h",
        {**_OPENVINO, "B": "b[1, zrh*u] | rb[1, h*u]"}, _OPENVINO_SOURCE, "OpenVINO 2026.4, run",
        bias_required=True,
        reset_after=True,
        note="axis 0 counts directions",
    ),
    Convention(
        "openvino/GRUSequence", "GRU", "z r h", {**_OPENVINO, "B": "b[1, zrh*u]"}, _OPENVINO_SOURCE,
        "OpenVINO 2026.4, run",
        bias_required=True,
        note="axis 0 counts directions",
    ),
    Convention(
        "mxnet/GRU", "GRU", "r z o",
        {"i2h_weight": "W[rzh*u, in]", "h2h_weight": "R[rzh*u, h]", "i2h_bias": "b[rzh*u]", "h2h_bias": "rb[rzh*u]"},
        "https://github.com/apache/mxnet/blob/master/python/mxnet/gluon/rnn/rnn_cell.py",
        "mxnet 1.9.1, run",
        bias_required=True,
        reset_after=True,
    ),
    Convention(
        "candle/GRU", "GRU", "r z n", _TORCH,
        "https://github.com/huggingface/candle/blob/main/candle-nn/src/rnn.rs",
        "source read at commit 8e87733, not run",
        reset_after=True,
        note="the first commits of the layer (1fba851) take h's of z for h's of n",
    ),
    Convention(
        "coreml/gru", "GRU", "r o z",
        {"weight_ih": "W[rhz*u, in]", "weight_hh": "R[rhz*u, h]", "bias": "b[rhz*u]"},
        "https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html#module-coremltools.converters.mil.mil.ops.defs.iOS15.recurrent",
        "coremltools 9.0 source read",
        reset_after=True,
        note="no recurrent bias",
    ),
)  # fmt: skip
