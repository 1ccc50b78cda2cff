"""The exported file in onnxruntime: run whole, with what its recurrent operators saw and made, and stepped.

The file's bytes are taken as they are and extended, not rebuilt: protobuf merges a message that follows another, so
appended outputs join the graph.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from converter.errors import InvalidModel
from converter.model import Array
from converter.verification.probes import find_probes, keep_steps

_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int32)": "int32",
    "tensor(int64)": "int64", "tensor(bool)": "bool", "tensor(int8)": "int8", "tensor(uint8)": "uint8",
    "tensor(int16)": "int16", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
}  # fmt: skip
_IN_MEMORY = 1 << 24


class Exported:
    """A loaded ONNX file. Raises InvalidModel for what is none, OSError for what cannot be read.

    Attributes:
        inputs, outputs: names in the file's order, states included.
        probes: its recurrent operators.
    """

    def __init__(self, path: Path) -> None:
        model = _parsed(path)
        self.inputs = tuple(value.name for value in model.graph.input)
        self.outputs = tuple(value.name for value in model.graph.output)
        extension = onnx.GraphProto()
        self.probes = find_probes(model.graph, extension)
        watched = {name for probe in self.probes for name in probe.values}
        self._constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.name in watched}
        self._path = path
        del model  # the weights need not be held twice
        self._session = _session(path, onnx.ModelProto(graph=extension).SerializeToString(), path.parent)
        self._types = {value.name: _TYPES.get(value.type, "") for value in self._session.get_inputs()}

    def run(self, feed: Mapping[str, Array], extra: Iterable[str] = ()) -> dict[str, Array]:
        """Outputs by name for inputs by name (cast to the file's types), and the values named in `extra`."""
        known = {name: np.asarray(value, self._types[name] or None) for name, value in feed.items()}
        known.update(self._constants)
        names = list(dict.fromkeys((*self.outputs, *extra)))
        fetched = [name for name in names if name in self.outputs or name not in known]
        given = {name: known[name] for name in self._types}
        made = dict(zip(fetched, self._session.run(fetched, given), strict=True))
        return {name: made[name] if name in made else known[name] for name in names}

    def stepper(self, feeds: Sequence[Mapping[str, Array]]) -> Stepper:
        """Ends this session, for its memory, and opens one for single steps on inputs of such shapes."""
        del self._session
        model = _parsed(self._path)
        keep_steps(model, self.probes)
        for value in model.graph.input:
            for sizes in zip(*(feed[value.name].shape for feed in feeds), strict=True):
                value.type.tensor_type.shape.dim.add(**({} if len(set(sizes)) > 1 else {"dim_value": sizes[0]}))
        data = model.SerializeToString()
        del model
        return Stepper(_session(None, data, self._path.parent))


class Stepper:
    """All recurrent operators of a file, one step at a time."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._outputs = [value.name for value in session.get_outputs()]

    def step(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """ "<probe>:x" and "<probe>:h", ... of every probe -> "<probe>:h'", ..."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(feed)), strict=True))


def _parsed(path: Path) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise InvalidModel("this is no ONNX file", where=path.name) from error
    return model


def _session(path: Path | None, data: bytes, folder: Path) -> onnxruntime.InferenceSession:
    """A session of the file at `path`, if any, followed by `data`; external weights are in `folder`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder.resolve()))
    if path is None or path.stat().st_size < _IN_MEMORY or path.with_name(f"{path.name}.data").exists():
        whole = data if path is None else path.read_bytes() + data
        return onnxruntime.InferenceSession(whole, options, providers=["CPUExecutionProvider"])
    with tempfile.TemporaryDirectory() as scratch:  # by way of a file, onnxruntime needs less memory
        copy = Path(scratch) / "model.onnx"
        shutil.copyfile(path, copy)
        with copy.open("ab") as file:
            file.write(data)
        return onnxruntime.InferenceSession(str(copy), options, providers=["CPUExecutionProvider"])
