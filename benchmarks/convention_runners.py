"""The real framework behind each convention, one function each: (arrays by name, convention) -> [batch, time, units].

All run on the same input X from zero states. An ImportError says that a framework is not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from converter.gates import Cell, pack, unpack

BATCH, TIME, FEATURES, UNITS = 2, 4, 3, 5
Arrays = dict[str, np.ndarray]
X = np.random.default_rng(1).normal(size=(BATCH, TIME, FEATURES)).astype(np.float32)


def torch_layer(a: Arrays, name: str) -> np.ndarray:
    import torch

    layer = getattr(torch.nn, name.split("/")[1])(FEATURES, UNITS, batch_first=True)
    layer.load_state_dict({f"{k}_l0": torch.from_numpy(v.copy()) for k, v in a.items()}, strict=True)
    with torch.no_grad():
        return layer(torch.from_numpy(X))[0].numpy()


def onnx_op(a: Arrays, name: str) -> np.ndarray:
    import onnxruntime
    from onnx import helper, numpy_helper

    op = name.split("/")[1].split("(")[0]
    inputs = ["x", "W", "R", "B", "", "", "", "P"] if "P" in a else ["x", "W", "R", "B"]
    attributes = {"linear_before_reset": 1} if "linear" in name else {}
    node = helper.make_node(op, inputs, ["y"], hidden_size=UNITS, **attributes)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node], "g", [value("x", 1, X.transpose(1, 0, 2).shape)], [value("y", 1, None)],
        [numpy_helper.from_array(v, k) for k, v in a.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": X.transpose(1, 0, 2).copy()})[0][:, 0].transpose(1, 0, 2)


def keras3_layer(a: Arrays, name: str) -> np.ndarray:
    import keras

    kind = name.split("/")[1].split("(")[0]
    options = {"reset_after": "False" not in name} if kind == "GRU" else {}
    layer = getattr(keras.layers, kind)(UNITS, return_sequences=True, **options)
    layer.build(X.shape)
    layer.set_weights(list(a.values()))
    return np.asarray(layer(X))


def keras_converter(a: Arrays, name: str) -> np.ndarray:
    """Keras' own converter from old or cuDNN weights, then the plain layer."""
    import tf_keras
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    kind = "LSTM" if "LSTM" in name else "GRU"
    options = {} if kind == "LSTM" else {"reset_after": name == "keras/CuDNNGRU"}
    layer = getattr(tf_keras.layers, kind)(UNITS, return_sequences=True, **options)
    version = "1" if name.startswith("keras1") else "2.2.4"
    weights = preprocess_weights_for_loading(layer, list(a.values()), version, "tensorflow")
    layer.build(X.shape)
    layer.set_weights(weights)
    return np.asarray(layer(X))


def cudnn_vector(a: Arrays, name: str) -> np.ndarray:
    """tf_keras builds the vector that it hands to cuDNN: compared with ours byte by byte, then the plain layer runs."""
    import tensorflow as tf
    from tf_keras.src.layers.rnn import gru_lstm_utils

    kind, g = name.split("/")[1], 4 if "LSTM" in name else 3
    cell = unpack(a, name, UNITS)
    order = range(4) if kind == "LSTM" else (1, 0, 2)  # tf_keras/layers/rnn/gru.py: r and z change places
    kernels = [np.split(w, g, axis=1)[k] for w in (cell.kernel, cell.recurrent_kernel) for k in order]
    biases = [np.split(b, g)[k] for b in (cell.bias, cell.recurrent_bias) for k in order]
    vector = gru_lstm_utils.canonical_to_params(
        weights=[tf.constant(k) for k in kernels], biases=[tf.constant(b) for b in biases],
        shape=tf.constant([-1]), transpose_weights=True,
    ).numpy()  # fmt: skip
    assert vector.tobytes() == a["params"].tobytes(), "cuDNN vectors differ"
    return keras3_layer(pack(cell, f"keras/{kind}"), f"keras/{kind}")


def tf1_cell(a: Arrays, name: str) -> np.ndarray:
    import tensorflow as tf
    from tensorflow.python.keras.layers.legacy_rnn import rnn_cell_impl as cells

    kind = name.split("/")[1]
    cell = {
        "LSTMCell": lambda: cells.LSTMCell(UNITS, use_peepholes="w_i_diag" in a, forget_bias=float(a["forget_bias"])),
        "GRUCell": lambda: cells.GRUCell(UNITS),
        "BasicRNNCell": lambda: cells.BasicRNNCell(UNITS),
    }[kind]()
    state = cell.zero_state(BATCH, tf.float32)
    cell.build(tf.TensorShape([BATCH, FEATURES]))
    for variable in cell.variables:
        variable.assign(a[variable.name.split(":")[0].split("/", 1)[1]])
    outputs = []
    for t in range(TIME):
        y, state = cell(tf.constant(X[:, t]), state)
        outputs.append(np.asarray(y))
    return np.stack(outputs, axis=1)


def tf_block(a: Arrays, name: str) -> np.ndarray:
    import tensorflow as tf

    zeros = tf.zeros([BATCH, UNITS])
    peepholes = {k: tf.constant(a.get(k, np.zeros(UNITS, np.float32))) for k in ("wci", "wcf", "wco")}
    common = dict(cs_prev=zeros, h_prev=zeros, w=a["w"], b=a["b"], use_peephole="wci" in a, cell_clip=-1.0, **peepholes)
    common |= dict(seq_len_max=TIME, x=tf.constant(X.transpose(1, 0, 2)))
    if name.endswith("V2"):
        h = tf.raw_ops.BlockLSTMV2(**common).h
    else:
        h = tf.raw_ops.BlockLSTM(**common, forget_bias=float(a["forget_bias"])).h
    return h.numpy().transpose(1, 0, 2)


def tf_block_cell(a: Arrays, name: str) -> np.ndarray:
    """The op that LSTMBlockCell calls (the Python class went with tf.contrib)."""
    import tensorflow as tf

    h = c = tf.zeros([BATCH, UNITS])
    peepholes = {k: a.get(f"w_{k[-1]}_diag", np.zeros(UNITS, np.float32)) for k in ("wci", "wcf", "wco")}
    outputs = []
    for t in range(TIME):
        step = tf.raw_ops.LSTMBlockCell(
            x=X[:, t], cs_prev=c, h_prev=h, w=a["kernel"], b=a["bias"], use_peephole="w_i_diag" in a, cell_clip=-1.0,
            forget_bias=float(a["forget_bias"]), **peepholes,
        )  # fmt: skip
        c, h = step.cs, step.h
        outputs.append(h.numpy())
    return np.stack(outputs, axis=1)


def tflite_op(a: Arrays, name: str) -> np.ndarray:
    """TensorFlow's converter fuses a tf_keras LSTM into the op; we replace its constants in the flatbuffer by ours."""
    import tensorflow as tf
    import tf_keras

    layer = tf_keras.layers.LSTM(UNITS, return_sequences=True)
    model = tf_keras.Sequential([tf_keras.Input((TIME, FEATURES), batch_size=BATCH), layer])
    draw = np.random.default_rng(3).normal
    marks = [draw(size=w.shape).astype(np.float32) for w in layer.get_weights()]
    layer.set_weights(marks)
    flat = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    probe = pack(Cell("LSTM", *marks), name)
    for key, value in probe.items():  # where the converter put what
        assert flat.count(value.tobytes()) == 1, f"{key} is not in the flatbuffer as we lay it out"
        flat = flat.replace(value.tobytes(), a[key].tobytes())
    interpreter = tf.lite.Interpreter(model_content=flat)
    interpreter.allocate_tensors()
    ops = {d["op_name"] for d in interpreter._get_ops_details()}
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in ops, ops
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], X)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _nested(a: Arrays) -> dict[str, dict[str, np.ndarray]]:
    out: dict[str, dict[str, np.ndarray]] = {}
    for key, value in a.items():
        out.setdefault(key.split("/")[0], {})[key.split("/")[1]] = value
    return out


def flax_cell(a: Arrays, name: str) -> np.ndarray:
    from flax import linen

    outputs = []
    for kind in ["LSTMCell", "OptimizedLSTMCell"] if "LSTM" in name else [name.split("/")[1]]:
        layer = linen.RNN(getattr(linen, kind)(UNITS))
        outputs.append(np.asarray(layer.apply({"params": {"cell": _nested(a)}}, X)))
    assert np.allclose(outputs[0], outputs[-1], atol=1e-6)
    return outputs[0]


def nnx_cell(a: Arrays, name: str) -> np.ndarray:
    from flax import nnx

    cell = nnx.LSTMCell(FEATURES, UNITS, rngs=nnx.Rngs(0))
    for key, value in a.items():
        owner, kind = key.split("/")
        variable = getattr(getattr(cell, owner), kind)
        assert variable[...].shape == value.shape
        variable[...] = value
    return np.asarray(nnx.RNN(cell, rngs=nnx.Rngs(0))(X))


def haiku_cell(a: Arrays, name: str) -> np.ndarray:
    import haiku
    import jax

    kind = name.split("/")[1]

    def run(x: Any) -> Any:
        core = getattr(haiku, kind)(UNITS, name=kind.lower())
        return haiku.dynamic_unroll(core, x, core.initial_state(BATCH), time_major=False)[0]

    function = haiku.without_apply_rng(haiku.transform(run))
    own = function.init(jax.random.PRNGKey(0), X)
    flat = {f"{module}/{k}".split("/", 1)[1]: (module, k) for module, ks in own.items() for k in ks}
    assert set(flat) == set(a), (flat, set(a))
    params: dict[str, dict[str, np.ndarray]] = {module: {} for module in own}
    for key, value in a.items():
        params[flat[key][0]][flat[key][1]] = value
    return np.asarray(function.apply(params, X))


def openvino_op(a: Arrays, name: str) -> np.ndarray:
    import openvino
    from openvino import opset13 as ops

    x = ops.parameter(X.shape, np.float32)
    zeros = ops.constant(np.zeros((BATCH, 1, UNITS), np.float32))
    lengths = ops.constant(np.full(BATCH, TIME, np.int64))
    w, r, b = (ops.constant(a[k]) for k in "WRB")
    if "LSTM" in name:
        node = ops.lstm_sequence(x, zeros, zeros, lengths, w, r, b, UNITS, "FORWARD")
    else:
        node = ops.gru_sequence(x, zeros, lengths, w, r, b, UNITS, "FORWARD", linear_before_reset="linear" in name)
    compiled = openvino.compile_model(openvino.Model([node.output(0)], [x]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled([X])[0][:, 0]


def mxnet_cell(a: Arrays, name: str) -> np.ndarray:
    np.bool = bool  # type: ignore[attr-defined]  # mxnet 1.9 reads the alias that NumPy dropped
    import mxnet

    layer = getattr(mxnet.gluon.rnn, name.split("/")[1])(UNITS, layout="NTC", input_size=FEATURES)
    layer.initialize()
    for key, value in a.items():
        getattr(layer, f"l0_{key}").set_data(mxnet.nd.array(value))
    return layer(mxnet.nd.array(X)).asnumpy()


RUNNERS: dict[str, Callable[[Arrays, str], np.ndarray]] = {
    "torch": torch_layer, "onnx": onnx_op, "keras": keras3_layer, "keras1": keras_converter,
    "keras/CuDNNLSTM": keras_converter, "keras/CuDNNGRU": keras_converter, "cudnn": cudnn_vector, "tf1": tf1_cell,
    "tf": tf_block, "tf1/LSTMBlockCell": tf_block_cell, "tflite": tflite_op, "flax": flax_cell, "flax-nnx": nnx_cell,
    "haiku": haiku_cell, "openvino": openvino_op, "mxnet": mxnet_cell,
}  # fmt: skip
