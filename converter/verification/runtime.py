"""The exported file in onnxruntime: run whole, with what its recurrent operators saw and made, and stepped.

The graph is the file's own, extended by outputs; large weights are read from the file itself, see skeleton.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from converter.model import Array
from converter.verification.probes import find_probes, keep_steps
from converter.verification.skeleton import read_skeleton

_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int32)": "int32",
    "tensor(int64)": "int64", "tensor(bool)": "bool", "tensor(int8)": "int8", "tensor(uint8)": "uint8",
    "tensor(int16)": "int16", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
    "tensor(string)": "object",
}  # fmt: skip


class Exported:
    """A loaded ONNX file. Raises InvalidModel for what is none, OSError for what cannot be read.

    Attributes:
        inputs, outputs: names in the file's order, states included.
        probes: its recurrent operators.
    """

    def __init__(self, path: Path) -> None:
        path = path.resolve()
        self._folder, self._model = path.parent, read_skeleton(path)
        graph = self._model.graph
        self.inputs = tuple(value.name for value in graph.input)
        self.outputs = tuple(value.name for value in graph.output)
        extension = onnx.GraphProto()
        self.probes = find_probes(graph, extension)
        watched = {name for probe in self.probes for name in probe.values}
        self._constants = {
            t.name: numpy_helper.to_array(t, str(self._folder)) for t in graph.initializer if t.name in watched
        }
        # Protobuf merges a message that follows another: the appended outputs join the graph.
        self._session = _session([self._model, onnx.ModelProto(graph=extension)], self._folder)
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
        keep_steps(self._model, self.probes)
        for value in self._model.graph.input:
            for sizes in zip(*(feed[value.name].shape for feed in feeds), strict=True):
                value.type.tensor_type.shape.dim.add(**({} if len(set(sizes)) > 1 else {"dim_value": sizes[0]}))
        return Stepper(_session([self._model], self._folder))


class Stepper:
    """All recurrent operators of a file, one step at a time."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._outputs = [value.name for value in session.get_outputs()]

    def step(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """ "<probe>:x" and "<probe>:h", ... of every probe -> "<probe>:h'", ..."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(feed)), strict=True))


def _session(parts: Sequence[onnx.ModelProto], folder: Path) -> onnxruntime.InferenceSession:
    """A session of a model given in parts, one continuing the other; external weights are in `folder`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    data = b"".join(part.SerializeToString() for part in parts)
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
