"""Protobuf messages of TensorFlow and ONNX, as far as readers need them: one table, made a private descriptor pool.

Field numbers and types are those of the files named next to each message, all under `tensorflow/core/protobuf` or
`tensorflow/core/framework` of tensorflow/tensorflow. What the table leaves out is skipped
unread. The pool is our own, so a TensorFlow in the same process is neither needed nor disturbed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from converter.errors import InvalidModel

if TYPE_CHECKING:
    from google.protobuf.message import Message

_PACKAGE = "converter.tensorflow"

# message -> (field number, name, type); "*" repeated, "?" with presence (a oneof), capitals another message.
# A map is a repeated message of key and value: the same bytes.
_SCHEMA: dict[str, tuple[tuple[int, str, str], ...]] = {
    # tensor_shape.proto
    "Dim": ((1, "size", "int64"),),
    "TensorShape": ((2, "dim", "*Dim"), (3, "unknown_rank", "bool")),
    # versions.proto
    "VersionDef": ((1, "producer", "int32"), (2, "min_consumer", "int32")),
    # tensor_slice.proto: an extent without length is the whole axis
    "Extent": ((1, "start", "int64"), (2, "length", "?int64")),
    "TensorSlice": ((1, "extent", "*Extent"),),
    # tensor_bundle.proto
    "BundleHeader": ((1, "num_shards", "int32"), (2, "endianness", "int32"), (3, "version", "VersionDef")),
    "BundleEntry": (
        (1, "dtype", "int32"),
        (2, "shape", "TensorShape"),
        (3, "shard_id", "int32"),
        (4, "offset", "int64"),
        (5, "size", "int64"),
        (6, "crc32c", "fixed32"),
        (7, "slices", "*TensorSlice"),
    ),
    # trackable_object_graph.proto
    "ObjectReference": ((1, "node_id", "int32"), (2, "local_name", "string")),
    "SerializedTensor": ((1, "name", "string"), (2, "full_name", "string"), (3, "checkpoint_key", "string")),
    "TrackableObject": ((1, "children", "*ObjectReference"), (2, "attributes", "*SerializedTensor")),
    "TrackableObjectGraph": ((1, "nodes", "*TrackableObject"),),
    # saved_object_graph.proto
    "SavedUserObject": ((1, "identifier", "string"), (3, "metadata", "string")),
    "SavedVariable": ((1, "dtype", "int32"), (2, "shape", "TensorShape"), (6, "name", "string")),
    "SavedFunction": ((1, "concrete_functions", "*string"),),
    "SavedConstant": ((1, "operation", "string"),),
    "SavedObject": (
        (1, "children", "*ObjectReference"),
        (4, "user_object", "?SavedUserObject"),
        (6, "function", "?SavedFunction"),
        (7, "variable", "?SavedVariable"),
        (9, "constant", "?SavedConstant"),
    ),
    "SavedConcreteFunction": ((2, "bound_inputs", "*int32"),),
    "ConcreteFunctionEntry": ((1, "key", "string"), (2, "value", "SavedConcreteFunction")),
    "SavedObjectGraph": ((1, "nodes", "*SavedObject"), (2, "concrete_functions", "*ConcreteFunctionEntry")),
    # graph.proto, node_def.proto, function.proto, op_def.proto, attr_value.proto, tensor.proto
    "Tensor": (
        (1, "dtype", "int32"), (2, "tensor_shape", "TensorShape"), (4, "tensor_content", "bytes"),
        (5, "float_val", "*float"), (6, "double_val", "*double"), (7, "int_val", "*int32"), (8, "string_val", "*bytes"),
        (9, "scomplex_val", "*float"), (10, "int64_val", "*int64"), (11, "bool_val", "*bool"),
        (13, "half_val", "*int32"), (16, "uint32_val", "*uint32"), (17, "uint64_val", "*uint64"),
    ),
    "FunctionName": ((1, "name", "string"),),
    "AttrList": (
        (2, "s", "*bytes"), (3, "i", "*int64"), (4, "f", "*float"), (5, "b", "*bool"), (6, "type", "*int32"),
        (7, "shape", "*TensorShape"), (9, "func", "*FunctionName"),
    ),
    "AttrValue": (
        (1, "list", "?AttrList"), (2, "s", "?bytes"), (3, "i", "?int64"), (4, "f", "?float"), (5, "b", "?bool"),
        (6, "type", "?int32"), (7, "shape", "?TensorShape"), (8, "tensor", "?Tensor"), (10, "func", "?FunctionName"),
    ),
    "AttrEntry": ((1, "key", "string"), (2, "value", "AttrValue")),
    "NodeDef": ((1, "name", "string"), (2, "op", "string"), (3, "input", "*string"), (5, "attr", "*AttrEntry")),
    "ArgDef": ((1, "name", "string"), (3, "type", "int32")),
    "OpDef": ((1, "name", "string"), (2, "input_arg", "*ArgDef"), (3, "output_arg", "*ArgDef")),
    "TextEntry": ((1, "key", "string"), (2, "value", "string")),
    "FunctionDef": (
        (1, "signature", "OpDef"), (3, "node_def", "*NodeDef"), (4, "ret", "*TextEntry"), (5, "attr", "*AttrEntry"),
        (6, "control_ret", "*TextEntry"),
    ),
    "FunctionDefLibrary": ((1, "function", "*FunctionDef"),),
    "GraphDef": ((1, "node", "*NodeDef"), (2, "library", "FunctionDefLibrary")),
    # meta_graph.proto, saver.proto
    "SaverDef": ((1, "filename_tensor_name", "string"), (3, "restore_op_name", "string")),
    "TensorInfo": ((1, "name", "string"), (2, "dtype", "int32"), (3, "tensor_shape", "TensorShape")),
    "TensorInfoEntry": ((1, "key", "string"), (2, "value", "TensorInfo")),
    "SignatureDef": (
        (1, "inputs", "*TensorInfoEntry"),
        (2, "outputs", "*TensorInfoEntry"),
        (3, "method_name", "string"),
    ),
    "SignatureDefEntry": ((1, "key", "string"), (2, "value", "SignatureDef")),
    "MetaInfoDef": ((4, "tags", "*string"), (5, "tensorflow_version", "string")),
    "MetaGraphDef": (
        (1, "meta_info_def", "MetaInfoDef"),
        (2, "graph_def", "bytes"),  # a GraphDef, unread until somebody asks for it
        (3, "saver_def", "SaverDef"),
        (5, "signature_def", "*SignatureDefEntry"),
        (7, "object_graph_def", "SavedObjectGraph"),
    ),
    # saved_model.proto
    "SavedModel": ((1, "saved_model_schema_version", "int64"), (2, "meta_graphs", "*MetaGraphDef")),
    # keras/protobuf/saved_metadata.proto of keras-team/tf-keras
    "KerasNode": (
        (2, "node_id", "int32"),
        (3, "node_path", "string"),
        (4, "identifier", "string"),
        (5, "metadata", "string"),
    ),
    "SavedMetadata": ((1, "nodes", "*KerasNode"),),
    # onnx/onnx.proto of onnx/onnx; functions, training and sparse tensors are left out
    "OnnxEntry": ((1, "key", "string"), (2, "value", "string")),
    "OnnxTensor": (
        (1, "dims", "*int64"), (2, "data_type", "int32"), (4, "float_data", "*float"), (5, "int32_data", "*int32"),
        (6, "string_data", "*bytes"), (7, "int64_data", "*int64"), (8, "name", "string"), (9, "raw_data", "bytes"),
        (10, "double_data", "*double"), (13, "external_data", "*OnnxEntry"), (14, "data_location", "int32"),
    ),
    "OnnxDimension": ((1, "dim_value", "?int64"), (2, "dim_param", "string")),
    "OnnxShape": ((1, "dim", "*OnnxDimension"),),
    "OnnxTensorType": ((1, "elem_type", "int32"), (2, "shape", "?OnnxShape")),
    "OnnxType": ((1, "tensor_type", "?OnnxTensorType"),),
    "OnnxValueInfo": ((1, "name", "string"), (2, "type", "OnnxType")),
    "OnnxAttribute": (
        (1, "name", "string"), (2, "f", "float"), (3, "i", "int64"), (4, "s", "bytes"), (5, "t", "OnnxTensor"),
        (6, "g", "OnnxGraph"), (7, "floats", "*float"), (8, "ints", "*int64"), (9, "strings", "*bytes"),
        (20, "type", "int32"),
    ),
    "OnnxNode": (
        (1, "input", "*string"), (2, "output", "*string"), (3, "name", "string"), (4, "op_type", "string"),
        (5, "attribute", "*OnnxAttribute"), (7, "domain", "string"),
    ),
    "OnnxGraph": (
        (1, "node", "*OnnxNode"), (2, "name", "string"), (5, "initializer", "*OnnxTensor"),
        (11, "input", "*OnnxValueInfo"), (12, "output", "*OnnxValueInfo"),
    ),
    "OnnxOpset": ((1, "domain", "string"), (2, "version", "int64")),
    "OnnxModel": (
        (1, "ir_version", "int64"), (2, "producer_name", "string"), (3, "producer_version", "string"),
        (7, "graph", "?OnnxGraph"), (8, "opset_import", "*OnnxOpset"), (14, "metadata_props", "*OnnxEntry"),
    ),
}  # fmt: skip


def parse(message: str, data: bytes) -> Any:
    """The bytes `data` read as the message of that name.

    Returns:
        A protobuf message: fields are attributes, absent ones hold their zero.

    Raises:
        InvalidModel: the bytes are no such message (cut off, nested too deeply, text that is not UTF-8).
    """
    from google.protobuf.message import DecodeError

    result = _classes()[message]()
    try:
        result.ParseFromString(data)
    except DecodeError as error:
        raise InvalidModel(f"not a {message} message: {error}") from None
    return result


@lru_cache(maxsize=1)
def _classes() -> dict[str, type[Message]]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="converter/tensorflow.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind in fields:
            _add_field(message, number, field_name, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _SCHEMA}


def _add_field(message: Any, number: int, name: str, kind: str) -> None:
    """Adds one field of the table to the descriptor of its message."""
    base = kind.lstrip("*?")
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
    if base in _SCHEMA:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{base}"
    else:
        field.type = getattr(field, f"TYPE_{base.upper()}")
    if kind.startswith("?"):  # proto3 keeps presence only inside a oneof
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"has_{name}")
