"""If whose condition is known when the file is read: torch writes it around what depends on a number of axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from converter.errors import InvalidModel, Unsupported
from converter.formats.onnx_tensor import weight
from converter.readers.onnx.tensors import Const, Tensor
from converter.readers.onnx.values import Builder, Call

_DEEPEST = 8
_MAX_NODES = 2000


def _if(builder: Builder, call: Call) -> list[Tensor]:
    """The outputs of the branch that is taken. https://onnx.ai/onnx/operators/onnx__If.html"""
    condition = call.tensor(0)
    if not isinstance(condition, Const) or condition.weight.size != 1:
        raise Unsupported("If on a condition that is computed")
    name = "then_branch" if condition.array.item() else "else_branch"
    if name not in call.attributes:
        raise InvalidModel(f"If without {name}")
    graph = call.attributes[name].g
    if len(graph.node) > _MAX_NODES or builder.depth >= _DEEPEST:
        raise Unsupported("If with a branch of this size")
    builder.depth += 1
    for tensor in graph.initializer:
        builder.tensors[tensor.name] = builder.constant(weight(tensor, call.folder))
    for k, node in enumerate(graph.node):
        builder.run(node, k, builder, call.folder)
    builder.depth -= 1
    missing = [info.name for info in graph.output if info.name not in builder.tensors]
    if missing:
        raise InvalidModel("nothing makes this tensor", where=missing[0])
    return [builder.tensors[info.name] for info in graph.output]


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {"If": _if}
