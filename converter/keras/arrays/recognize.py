"""Which layer a group of arrays belongs to, as far as their shapes say: what LSTM, GRU, Dense, ... keep."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from converter.keras.arrays.binding import snake_case
from converter.keras.layers.index import MODULES
from converter.model import Weight

# The layers of Keras by their default names without a number; Keras 1 and 2 spell some in another way.
BY_NAME = {snake_case(name): name for names in MODULES.values() for name in names.split()} | {
    "cu_dnnlstm": "CuDNNLSTM", "cu_dnngru": "CuDNNGRU", "conv_lst_m2d": "ConvLSTM2D", "input": "InputLayer",
}  # fmt: skip


@dataclass(frozen=True)
class Guess:
    """One layer as its arrays describe it.

    Attributes:
        name: what the file calls it.
        class_name: its class; "" if neither the arrays nor the name tell.
        config: the arguments that the arrays settle.
        features: of its input; None where the arrays do not say, or the input is integers.
        units: of its output; None where the arrays do not say.
        arrays: its arrays.
    """

    name: str
    class_name: str
    config: dict[str, Any] = field(default_factory=dict)
    features: int | None = None
    units: int | None = None
    arrays: tuple[Weight, ...] = ()


def recognize(name: str, arrays: Sequence[Weight], kind: str = "") -> Guess:
    """The layer that arrays belong to; `kind` is what the file says of its class, in Keras' spelling of paths."""
    base = kind or re.sub(r"_\d+$", "", name)
    if is_quantized(arrays):  # what looks like a bias are scales
        return Guess(name, "", arrays=tuple(arrays))
    found = _both_ways(name, arrays) or _recurrent(name, arrays) or _plain(name, arrays, base)
    return found or Guess(name, BY_NAME.get(base, ""), arrays=tuple(arrays))


def is_quantized(arrays: Sequence[Weight]) -> bool:
    """Whether Keras 3 has made them whole numbers (`quantize` of keras/src/layers/layer.py)."""
    return any(w.dtype == "int8" for w in arrays)


def _both_ways(name: str, arrays: Sequence[Weight]) -> Guess | None:
    shapes, half = [w.shape for w in arrays], len(arrays) // 2
    if len(arrays) not in {4, 6, 18, 24} or shapes[:half] != shapes[half:] or len(shapes[0]) != 2:
        return None
    inner = _recurrent(f"{name}_layer", arrays[:half])
    if inner is None or inner.units is None:
        return None
    config = {"layer": {"class_name": inner.class_name, "config": {"name": inner.name} | inner.config}}
    return Guess(name, "Bidirectional", config, inner.features, 2 * inner.units, tuple(arrays))


# Class -> gates, and shapes of the bias in units: what tells it from the others.
_BIASES = {
    "LSTM": (4, ((4,),)),
    "CuDNNLSTM": (4, ((8,),)),
    "GRU": (3, ((3,), (2, 3))),
    "CuDNNGRU": (3, ((6,),)),
    "SimpleRNN": (1, ((1,),)),
}


def _recurrent(name: str, arrays: Sequence[Weight]) -> Guess | None:
    shapes = [w.shape for w in arrays]
    apart = {12: "LSTM", 9: "GRU"}.get(len(arrays))  # Keras 0 and 1: one matrix per gate
    if apart and len(shapes[0]) == 2 and shapes[1] == (shapes[0][1],) * 2:
        return Guess(name, apart, {"units": shapes[0][1]}, *shapes[0], tuple(arrays))
    if len(arrays) not in {2, 3} or len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1]:
        return None
    units, width = shapes[1]
    for class_name, (gates, biases) in _BIASES.items():
        if not units or width != gates * units:
            continue
        if len(arrays) == 2:
            return Guess(name, class_name, {"units": units, "use_bias": False}, shapes[0][0], units, tuple(arrays))
        bias = next((b for b in biases if (*b[:-1], b[-1] * units) == shapes[2]), None)
        if bias is not None:
            config: dict[str, Any] = {"units": units} | ({} if "CuDNN" in class_name else {"use_bias": True})
            config |= {"reset_after": len(bias) == 2} if class_name == "GRU" else {}
            return Guess(name, class_name, config, shapes[0][0], units, tuple(arrays))
    return None


def _plain(name: str, arrays: Sequence[Weight], base: str) -> Guess | None:
    shapes = [w.shape for w in arrays]
    own = tuple(arrays)
    if not shapes or any(not shape for shape in shapes):
        return None
    biased = len(shapes) == 2 and shapes[1] == shapes[0][-1:]
    if biased and len(shapes[0]) == 2:
        return Guess(name, "Dense", {"units": shapes[0][1], "use_bias": True}, *shapes[0], own)
    if len(shapes[0]) == 3 and (biased or len(shapes) == 1) and base in {"conv1d", "convolution1d"}:
        size, features, filters = shapes[0]
        config = {"filters": filters, "kernel_size": [size], "use_bias": biased}
        return Guess(name, "Conv1D", config, features, filters, own)
    if len(shapes) == 1 and len(shapes[0]) == 2:
        rows, width = shapes[0]
        if "embedding" in f"{base} {arrays[0].name}".lower():
            return Guess(name, "Embedding", {"input_dim": rows, "output_dim": width}, None, width, own)
        if base == "dense":
            return Guess(name, "Dense", {"units": width, "use_bias": False}, rows, width, own)
    if len(set(shapes)) == 1 and len(shapes[0]) == 1:
        size = shapes[0][0]
        if len(shapes) == 4:
            return Guess(name, "BatchNormalization", {"scale": True, "center": True}, size, size, own)
        if len(shapes) == 2 and base == "layer_normalization":
            return Guess(name, "LayerNormalization", {"scale": True, "center": True}, size, size, own)
    return None
