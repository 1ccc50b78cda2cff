"""The exported file in onnxruntime: whole, as its users run it, and cut into the parts of the model's nodes.

The graph is the file's own; large weights are read from the file itself, see skeleton.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from converter.errors import InvalidModel, first_line
from converter.formats.onnx_metadata import tensors_of
from converter.model import Array, Model, Shape, Value
from converter.verification.graph_cutting import NOTHING, Cut, Listed, Operator, cut, owner_of
from converter.verification.rounding import ONNXRUNTIME
from converter.verification.runnable import Runnable
from converter.verification.skeleton import read_skeleton
from converter.verification.weight_accounting import Accounts, account, held_by

_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int32)": "int32",
    "tensor(int64)": "int64", "tensor(bool)": "bool", "tensor(int8)": "int8", "tensor(uint8)": "uint8",
    "tensor(int16)": "int16", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
    "tensor(string)": "object",
}  # fmt: skip


class Exported:
    """An ONNX file. Raises InvalidModel for what is none, OSError for what cannot be read.

    Attributes:
        title, kernels: of what runs it.
        inputs, outputs: names in the file's order, states included.
        sizes: shapes of the inputs, None where they are open.
        known: every tensor that there is.
        tensors: by the name of the model's value which tensor holds it, as the file says.
        properties: its metadata.
        initializers: its weights and constants, large ones as references to their bytes.
        folder: where those bytes are.
    """

    title = f"onnxruntime {onnxruntime.__version__}"
    kernels = ONNXRUNTIME
    calibrated = False
    resizes = False

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.folder = self.path.parent
        self._model = read_skeleton(self.path)
        graph = self._model.graph
        self.inputs = tuple(value.name for value in graph.input)
        self.outputs = tuple(value.name for value in graph.output)
        self.sizes = tuple(_sizes(value) for value in graph.input)
        self.properties = {entry.key: entry.value for entry in self._model.metadata_props}
        self.tensors = tensors_of(self.properties)
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.nodes = graph.node
        made = {name for node in graph.node for name in node.output}
        self.known = frozenset(made) | set(self.initializers) | set(self.inputs)

    @property
    def listed(self) -> list[Listed]:
        """The operators of the main graph, in order."""
        return [
            Listed(n.name or n.output[0], owner_of(n.name), n.op_type, tuple(n.input), tuple(n.output))
            for n in self.nodes
        ]

    def constant(self, name: str) -> Array:
        """The values of an initializer."""
        return numpy_helper.to_array(self.initializers[name], str(self.folder))

    def whole(self, optimized: bool = True) -> Session:
        """The file as it is."""
        return Session(self._model, self.folder, optimized)

    def parts(self, tensors: Mapping[str, Sequence[Value]], inside: Mapping[str, Sequence[Value]] = NOTHING) -> Parts:
        """The file cut at these tensors, each with the values of the model that it holds; those of bodies shown."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        return Parts(cut(model, tensors, inside), self.folder)

    def account(self, model: Model, needed: frozenset[str]) -> Accounts:
        """What each initializer is."""
        return account(model, needed, held_by(self))


class Session:
    """A model in onnxruntime on one thread. Raises InvalidModel where it cannot be loaded or run."""

    def __init__(self, model: onnx.ModelProto, folder: Path, optimized: bool) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        if not optimized:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            data = model.SerializeToString()
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InvalidModel(f"onnxruntime cannot load it: {first_line(error)}") from error
        self._types = {value.name: _TYPES.get(value.type, "") for value in self._session.get_inputs()}
        self.outputs = [value.name for value in self._session.get_outputs()]

    def typed(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """The inputs in the file's types."""
        return {name: np.asarray(feed[name], kind or None) for name, kind in self._types.items()}

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name for inputs by name, which are cast to the file's types."""
        given = self.typed(feed)
        try:
            made = self._session.run(self.outputs, given)
        except Exception as error:
            raise InvalidModel(f"onnxruntime cannot run it: {first_line(error)}") from error
        return dict(zip(self.outputs, made, strict=True))


class Parts:
    """The parts of a file's graph.

    Attributes:
        operators: the recurrent ones.
    """

    def __init__(self, parts: Cut, folder: Path) -> None:
        self._given = parts.given
        self.operators: tuple[Operator, ...] = parts.operators
        self._session = Session(parts.model, folder, optimized=False)

    def run(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """What each part makes of given values: tensors by name in and out, and the states shown by operators."""
        return self._session.run({new: values[name] for name, new in self._given.items()})


def opened(path: Path) -> Runnable:
    """The file, ready to run."""
    return Exported(path)


def _sizes(value: onnx.ValueInfoProto) -> Shape:
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim)
