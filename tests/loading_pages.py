"""docs/conventions/*.md, one page for each framework: which arrays it keeps, and how they are put there.

`python tests/conventions_page.py` renews them.
"""

from __future__ import annotations

from converter.gates import CONVENTIONS

# Framework as in the names of conventions -> its title, and what puts `arrays` there.
LOADING: dict[str, tuple[str, str]] = {
    "keras": ("Keras 2 and 3", "layer.set_weights(list(arrays.values()))  # kernel, recurrent_kernel, bias"),
    "keras1": ("Keras 1", "layer.set_weights(list(arrays.values()))  # twelve arrays: consume_less='cpu' or 'mem'"),
    "cudnn": ("cuDNN", "weights = arrays['params']  # as cudnnGetRNNWeightParams divides the weight space"),
    "miopen": ("MIOpen", "weights = arrays['params']  # the whole weight space of one layer"),
    "onnx": ("ONNX", "from onnx import helper, numpy_helper\n"
             "initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]\n"
             'node = helper.make_node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=units)'),
    "torch": ("PyTorch", "import torch\n"
              "lstm = torch.nn.LSTM(features, units, batch_first=True)\n"
              'lstm.load_state_dict({f"{name}_l0": torch.from_numpy(array) for name, array in arrays.items()})'),
    "tf1": ("TensorFlow 1 cells", "cell = tf.nn.rnn_cell.LSTMCell(units, forget_bias=0.0)  # it is in the bias\n"
            "for variable in cell.variables:\n"
            '    variable.load(arrays[variable.name.split("/")[-1].removesuffix(":0")], session)'),
    "tf": ("TensorFlow's operators", "y = tf.raw_ops.BlockLSTMV2(seq_len_max=steps, x=x, cs_prev=c, h_prev=h,\n"
           "                           cell_clip=0.0, use_peephole=False, wci=none, wcf=none, wco=none, **arrays)"),
    "tflite": ("TensorFlow Lite", "# inputs of UNIDIRECTIONAL_SEQUENCE_LSTM, in this order; --to tflite writes them"),
    "flax": ("Flax linen", 'params = {"cell": flax.traverse_util.unflatten_dict(arrays, sep="/")}\n'
             'y = nn.RNN(nn.LSTMCell(units)).apply({"params": params}, x)'),
    "flax-nnx": ("Flax nnx", "cell = nnx.LSTMCell(features, units, rngs=nnx.Rngs(0))\n"
                 "for path, array in arrays.items():\n"
                 '    layer, part = path.split("/")\n'
                 "    getattr(getattr(cell, layer), part).value = jnp.asarray(array)\n"
                 "y = nnx.RNN(cell)(x)"),
    "haiku": ("Haiku", "parameters = {\"lstm/linear\": {\"w\": arrays[\"linear/w\"], \"b\": arrays[\"linear/b\"]}}"),
    "openvino": ("OpenVINO", "from openvino import opset13 as ops\n"
                 "W, R, B = (ops.constant(arrays[name]) for name in (\"W\", \"R\", \"B\"))\n"
                 "node = ops.lstm_sequence(x, h, c, lengths, W, R, B, units, \"forward\")"),
    "mxnet": ("MXNet", "cell = mx.gluon.rnn.LSTMCell(units, input_size=features)\n"
              "cell.initialize()\n"
              "for name, array in arrays.items():\n"
              "    getattr(cell, name).set_data(array)"),
    "coreml": ("Core ML", "y = mb.lstm(x=x, initial_h=h, initial_c=c, **arrays, direction=\"forward\")"),
    "caffe": ("Caffe", "for blob, array in zip(net.params[\"lstm\"], arrays.values()):\n    blob.data[...] = array"),
    "candle": ("Candle", "named = {f\"{name}_l0\": array for name, array in arrays.items()}\n"
               "safetensors.numpy.save_file(named, \"lstm.safetensors\")\n"
               "# in Rust: candle_nn::lstm(features, units, LSTMConfig::default(), vb)"),
    "burn": ("Burn", "safetensors.numpy.save_file(arrays, \"lstm.safetensors\")\n"
             "# in Rust: SafetensorsFileRecorder, the names are those of the record"),
}  # fmt: skip
CELLS = {"LSTM": "keras/LSTM", "GRU": "keras/GRU", "RNN": "keras/SimpleRNN"}


def frameworks() -> list[str]:
    """Those that have a row, in their order."""
    return list(dict.fromkeys(name.split("/")[0] for name in CONVENTIONS))


def page(framework: str) -> str:
    """How the arrays of Keras get into one framework."""
    title, code = LOADING[framework]
    rows = [row for row in CONVENTIONS.values() if row.name.split("/")[0] == framework]
    first = rows[0]
    source = "keras/GRU(reset_after=False)" if first.cell == "GRU" and not first.reset_after else CELLS[first.cell]
    lines = [
        f"# {title}", "", "```python", "import numpy as np", "", "from converter.gates import convert", "",
        'stored = np.load("weights.npz")  # convert model.h5 --to npz -o weights.npz',
        'keras = {part: stored[f"lstm/{part}"] for part in ("kernel", "recurrent_kernel", "bias")}',
        f'arrays = convert(keras, "{source}", "{first.name}")', "```", "", "Then:", "", "```python", code, "```", "",
    ]  # fmt: skip
    for row in rows:
        lines += [f"## {row.name}", "", f"Gates {row.letters}. {row.note[:1].upper()}{row.note[1:]}".rstrip(), ""]
        lines += ["| array | layout |", "|---|---|"]
        lines += ["| {} | `{}` |".format(name, layout.replace("|", "\\|")) for name, layout in row.arrays.items()]
        lines += ["", f"Checked: {row.proof}. [Source]({row.source}).", ""]
    lines += ["The [table of all frameworks](../conventions.md) says how to read the layouts.", ""]
    return "\n".join(lines)
