"""Strategies that draw random recurrent models as plain data, over what Keras can save."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from keras_models import KERAS3, STATES, TF_KERAS, Block, Case, Layer, sides, state_sizes, takes_states, with_options

NATIVE = ("tanh", "sigmoid", "relu", "linear", None, "hard_sigmoid", "elu", "softsign", "leaky_relu")
NATIVE_IN_KERAS3 = ("celu", "sparse_sigmoid")
SCANNED = (
    "selu", "softplus", "exponential", "gelu", "swish", "silu", "mish", "softmax", "relu6", "log_softmax",
)  # fmt: skip
SCANNED_IN_KERAS3 = (
    "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "sparse_plus", "sparsemax",
    "squareplus", "log_sigmoid",
)  # fmt: skip
BOOL = st.booleans()
RARELY = st.sampled_from([False, False, False, True])


def activations(library: str, native: bool) -> st.SearchStrategy[Any]:
    new = library == KERAS3
    if native:
        return st.sampled_from(NATIVE + NATIVE_IN_KERAS3 * new)
    names = st.sampled_from(NATIVE + NATIVE_IN_KERAS3 * new + SCANNED + SCANNED_IN_KERAS3 * new)
    slopes = st.sampled_from([0.1, 0.4])
    layers = st.one_of(
        slopes.map(lambda a: {"class_name": "LeakyReLU", "negative_slope" if new else "alpha": a}),
        slopes.map(lambda a: {"class_name": "ReLU", "negative_slope": a, "max_value": 2.0}),
        slopes.map(lambda a: {"class_name": "ELU", "alpha": a}),
    )
    return st.one_of(names, names, names, layers)


@st.composite
def cell_arguments(draw: Any, library: str, kind: str, units: Any = None, native: bool = True) -> Layer:
    """What a cell is asked for, beyond the options of its layer."""
    made: Layer = {"units": draw(units or st.integers(1, 4)), "use_bias": draw(BOOL)}
    if draw(BOOL):
        made["activation"] = draw(activations(library, native))
    if kind != "SimpleRNN" and draw(BOOL):
        made["recurrent_activation"] = draw(activations(library, native))
    if draw(RARELY):
        made |= {"dropout": 0.3, "recurrent_dropout": draw(st.sampled_from([0.0, 0.2]))}
    if kind == "GRU" and draw(BOOL):
        made["reset_after"] = draw(BOOL)
    if kind == "LSTM" and draw(RARELY):
        made["unit_forget_bias"] = False
    return made


@st.composite
def cells(draw: Any, library: str, native: bool) -> Any:
    """One cell, a list of them, or a StackedRNNCells."""
    kinds = draw(st.lists(st.sampled_from(sorted(STATES)), min_size=1, max_size=3))
    made = [{"class_name": f"{kind}Cell", **draw(cell_arguments(library, kind, None, native))} for kind in kinds]
    if len(made) == 1 and draw(BOOL):
        return made[0]
    return {"class_name": "StackedRNNCells", "cells": made} if draw(BOOL) else made


@st.composite
def options(draw: Any, library: str, kind: str) -> Layer:
    """Of every recurrent layer; the returns are set by who asks."""
    made: Layer = {}
    if draw(RARELY):
        made["go_backwards"] = True
    if draw(RARELY):
        made["unroll"] = True
    if draw(RARELY):
        made["zero_output_for_mask"] = True
    if kind == "LSTM" and draw(RARELY):
        made |= {"use_cudnn": False} if library == KERAS3 else {"implementation": 1}
    return made


@st.composite
def single(draw: Any, library: str, native: bool, units: Any = None) -> Layer:
    """LSTM, GRU, SimpleRNN, or RNN of cells."""
    kind = draw(st.sampled_from([*sorted(STATES), "LSTM", "RNN"]))
    if kind == "RNN":
        return {"class_name": "RNN", "cell": draw(cells(library, native)), **draw(options(library, kind))}
    arguments = draw(cell_arguments(library, kind, units, native))
    return {"class_name": kind, **arguments, **draw(options(library, kind))}


@st.composite
def bidirectional(draw: Any, library: str, native: bool) -> Layer:
    """Bidirectional around any of them, with a backward layer of its own or implied."""
    merge = draw(st.sampled_from(["concat", "sum", "mul", "ave", None]))
    units = draw(st.integers(1, 4))
    forward = draw(single(library, native, st.just(units)))
    backward = None
    if draw(BOOL) or (library == KERAS3 and forward.get("go_backwards")):  # Keras 3 does not imply the other way then
        same = st.just(units) if merge in {"sum", "mul", "ave"} and forward["class_name"] != "RNN" else None
        backward = draw(single(library, native, same))
        backward["go_backwards"] = not forward.get("go_backwards", False)
        backward["name"] = "other_way"
        if "zero_output_for_mask" in forward:
            backward["zero_output_for_mask"] = forward["zero_output_for_mask"]
    return {"class_name": "Bidirectional", "layer": forward, "backward_layer": backward, "merge_mode": merge}


def unrolled(blocks: list[Block]) -> bool:
    """Whether any layer needs to know the time beforehand."""
    return any(side.get("unroll") for block in blocks for side in sides(block.layer))


@st.composite
def mask_rows(draw: Any, batch: int, *lengths: int) -> Any:
    """Masks row by row: padded before or behind, with gaps, nothing, everything."""
    if len(lengths) > 1:
        return [draw(mask_rows(lengths[0], *lengths[1:])) for _ in range(batch)]
    time = lengths[0]
    rows = []
    for _ in range(batch):
        n = draw(st.integers(0, time))
        gaps = st.lists(BOOL, min_size=time, max_size=time)
        padded = st.sampled_from([[k < n for k in range(time)], [k >= time - n for k in range(time)]])
        rows.append(draw(st.one_of(padded, gaps, st.sampled_from([[True] * time, [False] * time]))))
    return rows


BETWEEN = (
    {"class_name": "Dropout", "rate": 0.5},
    {"class_name": "Dense", "units": 3, "activation": "tanh"},
    {"class_name": "BatchNormalization"},
    {"class_name": "LayerNormalization"},
    {"class_name": "TimeDistributed", "layer": {"class_name": "Dense", "units": 2}},
)
HEADS = (
    {"class_name": "Dense", "units": 2, "activation": "sigmoid"},
    {"class_name": "GlobalAveragePooling1D"},
    {"class_name": "GlobalMaxPooling1D"},
    {"class_name": "TimeDistributed", "layer": {"class_name": "Dense", "units": 2}},
)


@st.composite
def lstm_cases(draw: Any, library: str) -> Case:
    """One LSTM over all its arguments."""
    time, batch, features = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    layer = {"class_name": "LSTM", **draw(cell_arguments(library, "LSTM", None, native=False))}
    layer |= {key: draw(BOOL) for key in ("return_sequences", "return_state", "go_backwards", "unroll", "stateful")}
    if library == TF_KERAS:
        layer |= {"implementation": draw(st.sampled_from([1, 2])), "time_major": draw(BOOL)}
    else:
        layer |= {"use_cudnn": draw(st.sampled_from([False, "auto"])), "seed": draw(st.sampled_from([None, 3]))}
    source = draw(st.sampled_from(["floats", "masking"])) if not layer.get("time_major") else "floats"
    return Case(
        library, draw(st.sampled_from([".h5", ".keras"])), source, (time, features), draw(mask_rows(batch, time)),
        (Block(layer, draw(st.sampled_from(["none", "inputs"])) if not layer["stateful"] else "none"),),
        draw(st.integers(0, 999)), calls=2 if layer["stateful"] else 1, native=False,
    )  # fmt: skip


@st.composite
def recurrent_cases(draw: Any, library: str, native: bool) -> Case:
    """One to three recurrent layers over a sequence that may be masked."""
    time, batch, features = draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    stateful = draw(RARELY)
    count = draw(st.integers(1, 3))
    blocks: list[Block] = []
    for k in range(count):
        last = k == count - 1
        kind = bidirectional if draw(BOOL) else single
        layer = draw(kind(library, native))
        if not last and layer.get("merge_mode", "") is None:
            layer["merge_mode"] = "concat"
        layer = with_options(
            layer, return_sequences=draw(BOOL) if last else True, return_state=draw(BOOL), stateful=stateful
        )
        sources = ["none", "none"] + ["inputs", "dense"] * (not stateful and takes_states(layer))
        if blocks and len(sources) > 2 and state_sizes(blocks[-1].layer) == state_sizes(layer):
            sources.append("before")
        before = draw(st.sampled_from(BETWEEN)) if draw(RARELY) else None
        blocks.append(Block(layer, draw(st.sampled_from(sources)), before))
    returns = blocks[-1].layer if "return_sequences" in blocks[-1].layer else blocks[-1].layer["layer"]
    heads = HEADS if returns["return_sequences"] else HEADS[:1]
    return Case(
        library, draw(st.sampled_from([".h5", ".keras"])),
        draw(st.sampled_from(["floats", "masking", "ids", "mask"])), (time, features), draw(mask_rows(batch, time)),
        tuple(blocks), draw(st.integers(0, 999)), draw(BOOL) and not unrolled(blocks),
        draw(st.sampled_from(["float32"] * 12 + ["float64", "mixed_float16", "mixed_bfloat16"])),
        draw(st.sampled_from(heads)) if draw(RARELY) and blocks[-1].layer.get("merge_mode", "") is not None else None,
        3 if stateful else 1, native,
    )  # fmt: skip


@st.composite
def distributed_cases(draw: Any, library: str, native: bool) -> Case:
    """A recurrent layer on each step of a sequence of sequences, then one over the outer sequence."""
    outer, time, batch, features = (draw(st.integers(1, n)) for n in (3, 4, 3, 3))
    inner = draw(bidirectional(library, native) if draw(BOOL) else single(library, native))
    if inner.get("merge_mode", "") is None:
        inner["merge_mode"] = "concat"
    sequences = draw(BOOL)
    blocks = [Block({"class_name": "TimeDistributed", "layer": with_options(inner, return_sequences=sequences)})]
    source = draw(st.sampled_from(["floats", "masking", "ids"]))
    if not sequences and draw(BOOL) and (library == TF_KERAS or source == "floats"):  # Keras 3 hands on the inner mask
        blocks.append(Block(with_options(draw(single(library, native)), return_sequences=draw(BOOL))))
    return Case(
        library, draw(st.sampled_from([".h5", ".keras"])), source,
        (outer, time, features), draw(mask_rows(batch, outer, time)), tuple(blocks), draw(st.integers(0, 999)),
        draw(BOOL) and not unrolled(blocks), native=native,
    )  # fmt: skip


@st.composite
def convolutional_cases(draw: Any, library: str, native: bool) -> Case:
    """ConvLSTM layers of one rank, the first over any window, the second over its output."""
    rank = draw(st.sampled_from([1, 1, 2, 2, 2, 3]))
    first = draw(st.sampled_from(["channels_last"] * 3 + ["channels_first"]))
    time, batch, channels = (draw(st.integers(1, n)) for n in (4, 3, 2))
    sizes = [draw(st.integers(4, 6)) for _ in range(rank)]
    blocks = []
    for _ in range(draw(st.integers(1, 2))):
        kernel = draw(st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * rank).map(list)))
        strides, dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]))
        layer = {
            "class_name": f"ConvLSTM{rank}D", "filters": draw(st.integers(1, 3)), "kernel_size": kernel,
            "strides": strides, "dilation_rate": dilation, "padding": draw(st.sampled_from(["same", "valid"])),
            "data_format": first, "use_bias": draw(BOOL), "return_sequences": True, "return_state": draw(BOOL),
        }  # fmt: skip
        if draw(BOOL):
            layer["activation"] = draw(activations(library, native))
        if draw(BOOL):
            layer["recurrent_activation"] = draw(activations(library, native))
        if not draw(RARELY):
            layer["go_backwards"] = draw(BOOL)
        else:
            layer = {"class_name": "Bidirectional", "layer": layer, "backward_layer": None,
                     "merge_mode": draw(st.sampled_from(["concat", "sum", "ave", "mul"]))}  # fmt: skip
        blocks.append(Block(layer))
    if draw(BOOL):
        blocks[-1] = Block(with_options(blocks[-1].layer, return_sequences=False))
    stateful = draw(RARELY)
    if stateful:
        blocks = [Block(with_options(b.layer, stateful=True)) for b in blocks]
    sources = ["floats", "mask", "masking"] if first == "channels_last" else ["floats", "mask"]
    shape = (time, *sizes, channels) if first == "channels_last" else (time, channels, *sizes)
    return Case(
        library, draw(st.sampled_from([".h5", ".keras"])), draw(st.sampled_from(sources)), shape,
        draw(mask_rows(batch, time)), tuple(blocks), draw(st.integers(0, 999)), calls=1 + stateful, native=native,
    )  # fmt: skip
