"""TFLite files: what the fused operators read, whoever wrote the file; and other layers of ours by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import starmap
from pathlib import Path

import numpy as np

from converter.comparing.part import Part, plain, unpacked
from converter.exporters.weights import DIRECTIONS
from converter.formats.tflite import Contents, read, sniff
from converter.gates import KINDS
from converter.model import Array, Weight, join

__all__ = ["parts", "sniff"]

LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
GATES = ("input", "forget", "cell", "output")
# The names of the operator's inputs in `gates.CONVENTIONS`, by their place.
INPUTS = {
    **{1 + k: f"input_to_{gate}_weights" for k, gate in enumerate(GATES)},
    **{5 + k: f"recurrent_to_{gate}_weights" for k, gate in enumerate(GATES)},
    9: "cell_to_input_weights", 10: "cell_to_forget_weights", 11: "cell_to_output_weights",
    12: "input_gate_bias", 13: "forget_gate_bias", 14: "cell_bias", 15: "output_gate_bias", 16: "projection_weights",
}  # fmt: skip
FIELDS = re.compile(rf"(?:({'|'.join(DIRECTIONS)})_)?([a-z_]+?(?:_[0-2])?)(?:_\d+)?")
CONVENTIONS = {"LSTM": "keras/LSTM", "RNN": "keras/SimpleRNN"}


def parts(path: Path) -> list[Part]:
    """The layers with weights of a file, in order.

    Raises:
        InvalidModel, Unsupported, OSError: it cannot be read.
    """
    contents = read(path)
    found = list(_fused(contents))
    taken = {name for _, names in found for name in names}
    groups: dict[tuple[str, str], dict[str, Weight]] = {}
    for weight in starmap(_weight, contents.each_constant()):
        owner, _, suffix = weight.name.rpartition("/")
        match = FIELDS.fullmatch(suffix)
        if weight.name not in taken and match and match[2] != "constant":
            groups.setdefault((owner, match[1] or ""), {})[match[2]] = weight
    named = [_named(" ".join(filter(None, key)), fields) for key, fields in groups.items()]
    return [*(part for part, _ in found), *(part for part in named if part)]


def _weight(name: str, values: Array) -> Weight:
    return Weight(name, values.shape, values.dtype.name, lambda: values)


def _fused(contents: Contents) -> Iterator[tuple[Part, set[str]]]:
    """The LSTM operators, and the names of what they read."""
    held = set(contents.constants(contents.graph))
    seen: set[int] = set()
    counts: dict[str, int] = {}
    for place, (operator, owner) in enumerate(zip(contents.graph.operators, contents.owners(), strict=True)):
        if contents.kind(operator) != LSTM:
            continue
        given = {name: operator.inputs[k] for k, name in INPUTS.items() if operator.inputs[k] in held}
        names = {contents.names[k] for k in given.values()}
        arrays = {name: contents.values(contents.graph, k) for name, k in given.items()}
        weights = {name: _weight(name, values) for name, values in arrays.items()}
        kernel = arrays["input_to_forget_weights"]
        first = operator.inputs[2]
        if first in seen:  # a shared layer is called again
            continue
        seen.add(first)
        side = next((side for side in DIRECTIONS if contents.names[first].rpartition("/")[2].startswith(side)), "")
        title = " ".join(filter(None, (owner or f"operator {place}", side)))
        counts[title] = counts.get(title, 0) + 1
        read_ = partial(unpacked, weights, f"tflite/{LSTM}")
        yield Part(title, "LSTM", (kernel.shape[1], 4 * kernel.shape[0]), read_), names


def _named(title: str, fields: Mapping[str, Weight]) -> Part | None:
    """A layer by the names of its fields; None for what a file does not hold as the layer had it."""
    if "kernel" in fields and any(name.startswith("recurrent_kernel") for name in fields):
        return _cell(title, dict(fields))
    if "kernel" in fields and len(fields["kernel"].shape) == 2:
        return plain(title, "Dense", {**fields, "kernel": _turned(fields["kernel"])})
    if "embeddings" in fields:
        return plain(title, "Embedding", {"table": fields["embeddings"]})
    if "kernel" in fields:
        filters, height, *window, inner = fields["kernel"].shape
        sizes = (*window, inner, filters) if height == 1 else (height, *window, inner, filters)
        kernel = fields["kernel"].map(lambda a: a.transpose(1, 2, 3, 0).reshape(sizes), sizes)
        return plain(title, "Conv", {**fields, "kernel": kernel})
    return None


def _turned(weight: Weight) -> Weight:
    return weight.map(np.transpose, weight.shape[::-1])


def _cell(title: str, fields: dict[str, Weight]) -> Part:
    """A cell whose steps are written out."""
    if "recurrent_kernel_zr" in fields:
        pair = (fields.pop("recurrent_kernel_zr"), fields.pop("recurrent_kernel_h"))
        fields["recurrent_kernel"] = join("recurrent_kernel", pair, 0)
        convention = "keras/GRU(reset_after=False)"
    else:
        convention = "keras/GRU"
    kernel, recurrent = _turned(fields["kernel"]), _turned(fields["recurrent_kernel"])
    kind = KINDS.get(recurrent.shape[1] // recurrent.shape[0], "RNN")
    arrays = {"kernel": kernel, "recurrent_kernel": recurrent}
    if "recurrent_bias" in fields:
        pair = (fields["bias"], fields["recurrent_bias"])
        arrays["bias"] = join("bias", tuple(w.map(lambda a: a[None], (1, *w.shape)) for w in pair), 0)
    elif "bias" in fields:
        arrays["bias"] = fields["bias"]
    return Part(title, kind, kernel.shape, partial(unpacked, arrays, CONVENTIONS.get(kind, convention)))
