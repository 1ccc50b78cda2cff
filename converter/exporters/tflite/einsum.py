"""Einsum of two inputs as one BATCH_MATMUL between transposes and reshapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from converter.errors import Unsupported
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.lower import Inputs, Outputs, lower, present, result
from converter.exporters.tflite.tensors import Tensor
from converter.model import Node
from converter.model.layers import Einsum


@lower.register
def einsum(layer: Einsum, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Letters in both inputs are summed over, or go along as a batch where the output has them too."""
    given, _, out = layer.equation.partition("->")
    letters = given.split(",")
    if len(letters) != 2 or any(len(set(side)) < len(side) for side in (*letters, out)):
        raise Unsupported(f"Einsum {layer.equation} cannot be exported to TFLite")
    a, b = letters
    alone = set(a) ^ set(b)
    if not set(out) <= set(a) | set(b) or not alone <= set(out):
        raise Unsupported(f"Einsum {layer.equation} cannot be exported to TFLite")
    batch = [letter for letter in out if letter in a and letter in b]
    summed = [letter for letter in a if letter in b and letter not in out]
    rows, columns = ([letter for letter in out if letter in side and letter in alone] for side in (a, b))
    x, y = (graph.cast(present(one), result(node)[0]) for one in inputs)
    sizes = _sizes(graph, a, x) | _sizes(graph, b, y)
    left = _grouped(graph, x, a, (batch, rows, summed), sizes)
    right = _grouped(graph, y, b, (batch, summed, columns), sizes)
    shape = (left.shape[0], left.shape[1], right.shape[2])
    product = graph.op("BATCH_MATMUL", left, right, shape=shape, adjX=False, adjY=False)
    order = [*batch, *rows, *columns]
    apart = graph.reshape(product, [sizes[letter] for letter in order], tuple(_known(sizes[n]) for n in order))
    return (graph.transpose(apart, [order.index(letter) for letter in out]),)


Sizes = Mapping[str, int | Tensor]


def _sizes(graph: Graph, letters: str, x: Tensor) -> dict[str, int | Tensor]:
    """The length of each axis by its letter: a number, or a tensor where it is open."""
    pairs = zip(letters, x.shape, strict=True)
    return {letter: graph.size(x, k) if n is None else n for k, (letter, n) in enumerate(pairs)}


def _known(size: int | Tensor) -> int | None:
    return size if isinstance(size, int) else None


def _grouped(graph: Graph, x: Tensor, letters: str, groups: Sequence[Sequence[str]], sizes: Sizes) -> Tensor:
    """x with its axes in three groups, each made one axis."""
    moved = graph.transpose(x, [letters.index(letter) for group in groups for letter in group])
    lengths: list[int | Tensor] = []
    shape: list[int | None] = []
    for group in groups:
        length: int | None = 1
        for letter in group:
            n = _known(sizes[letter])
            length = None if length is None or n is None else length * n
        shape.append(length)
        lengths.append(_product(graph, [sizes[letter] for letter in group]) if length is None else length)
    return graph.reshape(moved, lengths, tuple(shape))


def _product(graph: Graph, sizes: Sequence[int | Tensor]) -> Tensor:
    """Lengths multiplied, int32 [1]."""
    tensors = [graph.const([n]) if isinstance(n, int) else n for n in sizes]
    made = tensors[0]
    for other in tensors[1:]:
        made = graph.op("MUL", made, other)
    return made
