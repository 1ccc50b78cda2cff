"""Places of outputs whose time and batch are merged, as the masks of our own exports count them.

See exporters/onnx/masks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from converter.model import Value, layers
from converter.readers.onnx.counted import Counting, Dim, Places, Rows
from converter.readers.onnx.tensors import Const, Dims, Tensor
from converter.readers.onnx.values import Builder, Call

Rule = Callable[[Builder, Call], list[Tensor]]


def numbered(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    """0, 1, 2, ... for each row, from the size of a batch that is not known."""
    first, batch, step = (call.tensor(k) for k in range(3))
    numbers = [t.array.item() if isinstance(t, Const) and t.weight.size == 1 else None for t in (first, step)]
    if rule is None or not isinstance(batch, Dims) or len(batch.items) != 1 or numbers != [0, 1]:
        return None
    (made,) = rule(builder, call)
    return [Rows(batch.items[0], builder.value(made, call.name))]


def scaled(builder: Builder, x: Tensor, factor: Tensor) -> list[Tensor] | None:
    """Steps times the size of the batch."""
    sizes = builder.dims(factor)
    if sizes is None or len(sizes) != 1 or not isinstance(x, Counting) or not x.what.startswith(("from", "count")):
        return None
    return [Places(x)] if _is_batch(builder, sizes[0], x.mask) else None


def placed(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    """Steps plus rows."""
    x, rows = call.tensor(0), call.tensor(1)
    if not isinstance(x, Places) or x.placed or x.turned:
        return None
    mask, column = x.steps.mask, not x.steps.what.startswith("count")
    if isinstance(rows, Const) and mask.shape[0] is not None:
        wanted = np.arange(mask.shape[0])
        fits = np.array_equal(rows.array, wanted[:, None] if column else wanted)
    else:
        fits = isinstance(rows, Rows) and rows.column == column and _is_batch(builder, rows.batch, mask)
    return [replace(x, placed=True)] if fits else None


def _is_batch(builder: Builder, size: Dim, mask: Value) -> bool:
    """Whether it is the size of the mask's batch, or of what the mask is a transpose of."""
    if isinstance(size, int) or size == (mask.name, 0):
        return size in ((mask.name, 0), mask.shape[0])
    made = builder.producer(mask)
    if made is None or made.inputs[0] is None or made.layer != layers.Transpose((1, 0)):
        return False
    return size == (made.inputs[0].name, 1)
