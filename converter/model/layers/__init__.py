"""The vocabulary of the neutral model: what a node can compute, one frozen struct each.

Packing of every weight is Keras 3's (gates i, f, c, o; kernels `[input, 4·units]`; convolution kernels
`[*window, input/groups, filters]`). Axes are counted with the batch as axis 0 and are never negative here.
`recurrent` and `weighted` hold what has weights, `moving` and `computing` the small operators that composite Keras
layers (Attention, masks, pooling over a mask, ...) are written in, `text` what works on strings, `scanning` what
repeats nodes over time.
"""

from __future__ import annotations

from converter.model.layers.computing import (
    Activate,
    Constant,
    CumSum,
    Einsum,
    Elementwise,
    ElementwiseOp,
    MatMul,
    OneHot,
    Reduce,
    Unary,
    UnaryOp,
    Where,
)
from converter.model.layers.moving import (
    ArgSort,
    Cast,
    Concatenate,
    ExpandDims,
    FoldTime,
    Gather,
    GatherND,
    Pad,
    Range,
    Repeat,
    Reshape,
    Size,
    Slice,
    Squeeze,
    TakeAlong,
    Tile,
    Transpose,
    UnfoldTime,
)
from converter.model.layers.recurrent import (
    Cell,
    ConvLSTMCell,
    Direction,
    GRUCell,
    LSTMCell,
    MaskedOutput,
    Merge,
    Recurrent,
    SimpleRNNCell,
)
from converter.model.layers.scanning import Scan, every_node
from converter.model.layers.text import (
    NO_INDEX,
    Lookup,
    LowerCase,
    RemoveCharacters,
    SplitWords,
)
from converter.model.layers.weighted import (
    BatchNormalization,
    Conv,
    ConvTranspose,
    Dense,
    Embedding,
    LayerNormalization,
    Pool,
)

Layer = (
    Recurrent | Scan | Dense | Embedding | Conv | ConvTranspose | Pool | BatchNormalization | LayerNormalization
    | Activate | Reshape | FoldTime | UnfoldTime | Transpose | Concatenate | ExpandDims | Squeeze | Repeat | Tile
    | Pad | Slice | Gather | Cast | Constant | Elementwise | Unary | Where | Reduce | CumSum | MatMul | Einsum
    | OneHot | TakeAlong | GatherND | ArgSort | Size | Range | Lookup | LowerCase | RemoveCharacters | SplitWords
)  # fmt: skip

__all__ = [
    "NO_INDEX",
    "Activate",
    "ArgSort",
    "BatchNormalization",
    "Cast",
    "Cell",
    "Concatenate",
    "Constant",
    "Conv",
    "ConvLSTMCell",
    "ConvTranspose",
    "CumSum",
    "Dense",
    "Direction",
    "Einsum",
    "Elementwise",
    "ElementwiseOp",
    "Embedding",
    "ExpandDims",
    "FoldTime",
    "GRUCell",
    "Gather",
    "GatherND",
    "LSTMCell",
    "Layer",
    "LayerNormalization",
    "Lookup",
    "LowerCase",
    "MaskedOutput",
    "MatMul",
    "Merge",
    "OneHot",
    "Pad",
    "Pool",
    "Range",
    "Recurrent",
    "Reduce",
    "RemoveCharacters",
    "Repeat",
    "Reshape",
    "Scan",
    "SimpleRNNCell",
    "Size",
    "Slice",
    "SplitWords",
    "Squeeze",
    "TakeAlong",
    "Tile",
    "Transpose",
    "Unary",
    "UnaryOp",
    "UnfoldTime",
    "Where",
    "every_node",
]  # fmt: skip
