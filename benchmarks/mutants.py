"""Mutation score of the proof: exported files changed in one place, and how many of them are called equal; run by hand.

    python -m benchmarks.mutants FOLDER ... [--sample 20] [--seed 0] [--models 40]

A folder holds cases, each a folder with a model and `inputs.npz`. A mutant counts if its outputs on those inputs differ
from the right file's by more than float32 rounding.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from converter import api
from converter.errors import ConversionError, Unsupported
from converter.exporters.onnx import export
from converter.model import Model
from converter.verification import verify

ROUNDING = 1e-6  # of the largest value
RECURRENT = {"LSTM": 4, "GRU": 3, "RNN": 1}
OTHERS = {
    "Add": "Sub", "Sub": "Add", "Mul": "Div", "Div": "Mul", "Max": "Min", "Min": "Max", "Tanh": "Sigmoid",
    "Sigmoid": "Tanh", "Relu": "Identity", "And": "Or", "Or": "And", "Less": "Greater", "Greater": "GreaterOrEqual",
    "GreaterOrEqual": "Greater", "LessOrEqual": "Less", "Equal": "GreaterOrEqual", "Not": "Identity",
    "ReduceMax": "ReduceMin", "ReduceMin": "ReduceMax", "ReduceSum": "ReduceMean", "ReduceMean": "ReduceMax",
    "MaxPool": "AveragePool", "Exp": "Softplus", "Softmax": "LogSoftmax", "Floor": "Ceil", "Clip": "Identity",
    "ArgMax": "ArgMin", "Abs": "Neg",
}  # fmt: skip
SYMMETRIC = {"Add", "Mul", "Max", "Min", "And", "Or", "Xor", "Equal"}
Change = Callable[[onnx.ModelProto, np.random.Generator], None]
Mutant = tuple[str, str, Change]  # kind, place, change


def is_constant(tensor: onnx.TensorProto) -> bool:
    return tensor.name.rpartition("/")[2].startswith("constant")


def edited(name: str, change: Callable[[Any, np.random.Generator], Any]) -> Change:
    """Changes the values of an initializer."""

    def apply(model: onnx.ModelProto, rng: np.random.Generator) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == name)
        array = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(change(array.copy(), rng)).astype(array.dtype), name))

    return apply


def one_element(array: Any, rng: np.random.Generator) -> Any:
    """One element by a hundredth of itself, or of the largest where it is 0."""
    at = tuple(int(rng.integers(n)) for n in array.shape)
    array[at] += 1e-2 * (array[at] or np.abs(array).max() or 1)
    return array


def swapped(axis: int, pieces: int) -> Callable[[Any, np.random.Generator], Any]:
    """Two neighboring pieces of an axis exchanged."""

    def change(array: Any, rng: np.random.Generator) -> Any:
        parts = np.array_split(array, pieces, axis)
        k = int(rng.integers(len(parts) - 1))
        parts[k], parts[k + 1] = parts[k + 1], parts[k]
        return np.concatenate(parts, axis)

    return change


def weight_mutants(model: onnx.ModelProto) -> Iterator[Mutant]:
    readers = {name: node.op_type for node in model.graph.node for name in node.input}
    for tensor in model.graph.initializer:
        name, shape = tensor.name, tuple(tensor.dims)
        if is_constant(tensor):
            if tensor.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32):
                yield "constant by one", name, edited(name, lambda a, rng: a + 1)
                yield "length baked in", name, edited(name, lambda a, rng: np.where((a == -1) | (a == 0), 3, a))
            else:
                yield "constant by a hundredth", name, edited(name, lambda a, rng: a * 1.01 + (a == 0) * 0.01)
                yield "constant negated", name, edited(name, lambda a, rng: -a)
            continue
        yield "one element", name, edited(name, one_element)
        yield "sign", name, edited(name, lambda a, rng: -a)
        yield "zeros", name, edited(name, lambda a, rng: 0 * a)
        yield "thrice", name, edited(name, lambda a, rng: a * -3)
        axis = 1 if readers.get(name) in RECURRENT and len(shape) > 1 else 0
        if shape and shape[axis] > 1:
            yield "rows", name, edited(name, swapped(axis, shape[axis]))
        gates = RECURRENT.get(readers.get(name, ""), 1)
        if gates > 1 and len(shape) > 1 and shape[1] % gates == 0:
            yield "gates", name, edited(name, swapped(1, gates))
        if gates > 1 and len(shape) > 1 and shape[0] == 2:
            yield "directions", name, edited(name, lambda a, rng: a[::-1])


def on_node(place: int, change: Callable[[onnx.NodeProto], None]) -> Change:
    return lambda model, rng: change(model.graph.node[place])


def rename(kind: str) -> Callable[[onnx.NodeProto], None]:
    def change(node: onnx.NodeProto) -> None:
        node.op_type = kind
        if kind == "Identity":
            del node.input[1:], node.attribute[:]

    return change


def attribute_set(name: str, value: Any) -> Callable[[onnx.NodeProto], None]:
    def change(node: onnx.NodeProto) -> None:
        kept = [one for one in node.attribute if one.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return change


def exchanged(a: int, b: int) -> Callable[[onnx.NodeProto], None]:
    def change(node: onnx.NodeProto) -> None:
        node.input[a], node.input[b] = node.input[b], node.input[a]

    return change


def emptied(places: tuple[int, ...]) -> Callable[[onnx.NodeProto], None]:
    def change(node: onnx.NodeProto) -> None:
        for place in places:
            node.input[place] = ""

    return change


def all_true(place: int) -> Change:
    """The mask that a node casts and counts lets every step through."""

    def change(model: onnx.ModelProto, _: np.random.Generator) -> None:
        node = model.graph.node[place]
        everywhere = helper.make_node(
            "Equal", [node.input[0]] * 2, [f"{node.name}/everywhere"], f"{node.name}/everywhere"
        )
        node.input[0] = everywhere.output[0]
        model.graph.node.insert(place, everywhere)

    return change


def node_mutants(model: onnx.ModelProto) -> Iterator[Mutant]:
    counted = {node.input[0] for node in model.graph.node if node.op_type == "CumSum"}
    for place, node in enumerate(model.graph.node):
        where = f"{node.op_type} {node.name}"
        if node.op_type == "Cast" and node.output[0] in counted:
            yield "mask removed", where, all_true(place)
        if node.op_type in OTHERS:
            yield "operator", where, on_node(place, rename(OTHERS[node.op_type]))
        inputs = [k for k, name in enumerate(node.input) if name]
        if node.op_type == "Where":
            yield "operands", where, on_node(place, exchanged(1, 2))
        elif len(inputs) == 2 and node.op_type not in SYMMETRIC:
            yield "operands", where, on_node(place, exchanged(0, 1))
        if node.op_type in RECURRENT:
            states = tuple(k for k in (5, 6) if k in inputs)
            if states:
                yield "states removed", where, on_node(place, emptied(states))
            for direction in ("reverse", "forward"):
                yield "direction", where, on_node(place, attribute_set("direction", direction))
        yield from attribute_mutants(place, where, node)


def attribute_mutants(place: int, where: str, node: onnx.NodeProto) -> Iterator[Mutant]:
    for one in node.attribute:
        name, value = one.name, helper.get_attribute_value(one)
        if name in ("hidden_size", "to", "kernel_shape", "num_scan_inputs", "body"):
            continue
        if one.type == onnx.AttributeProto.INT:
            yield (
                "attribute",
                f"{where} {name}",
                on_node(place, attribute_set(name, 1 - value if value in (0, 1) else value - 1)),
            )
        elif one.type == onnx.AttributeProto.FLOAT:
            yield "attribute", f"{where} {name}", on_node(place, attribute_set(name, value * 1.1 + 0.01))
        elif one.type == onnx.AttributeProto.INTS and len(value) > 1:
            yield "attribute", f"{where} {name}", on_node(place, attribute_set(name, list(value)[::-1]))
        elif one.type == onnx.AttributeProto.FLOATS:
            yield "attribute", f"{where} {name}", on_node(place, attribute_set(name, [x * 1.1 + 0.01 for x in value]))
        elif one.type == onnx.AttributeProto.STRINGS:
            other = [b"Relu" if x == b"Tanh" else b"Tanh" for x in value]
            yield "attribute", f"{where} {name}", on_node(place, attribute_set(name, other))


def outputs(path: Path, feed: dict[str, Any]) -> list[Any] | None:
    """What a file makes of the inputs; None where it cannot be run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        kinds = {value.name: value.type for value in session.get_inputs()}
        types = {"tensor(float)": "f4", "tensor(int64)": "i8", "tensor(int32)": "i4", "tensor(bool)": "?"}
        given = {name: np.asarray(array, types.get(kinds[name])) for name, array in feed.items()}
        return list(session.run(None, given))
    except Exception:  # noqa: BLE001  whatever a broken file makes it raise
        return None


def differ(right: list[Any], other: list[Any]) -> bool:
    for a, b in zip(right, other, strict=True):
        if a.shape != b.shape:
            return True
        if a.dtype.kind != "f":
            if not np.array_equal(a, b):
                return True
            continue
        if not np.array_equal(np.isnan(a), np.isnan(b)) or np.nanmax(np.abs(a - b), initial=0) > ROUNDING * max(
            np.nanmax(np.abs(a), initial=0), 1e-30
        ):
            return True
    return False


def cases(folders: list[Path]) -> list[Path]:
    """One file of each case: a whole model where there is one, else weights."""
    found = []
    for folder in folders:
        for case in sorted(folder.iterdir()):
            files = [file for file in sorted(case.glob("*")) if file.suffix in (".h5", ".keras") or file.is_dir()]
            files.sort(key=lambda file: "weights" in file.name or file.name == "ckpt")
            if (case / "inputs.npz").exists() and files:
                found.append(files[0])
    return found


def opened(file: Path) -> Model:
    """The model of a file, with the architecture next to it where it holds weights alone."""
    architecture = file.parent / "model.json"
    try:
        return api.load(file)
    except Unsupported:
        if not architecture.exists():
            raise
        return api.load(file, architecture=architecture)


def drawn_by_kind(mutants: list[Mutant], sample: int, rng: np.random.Generator) -> list[Mutant]:
    """So many, of each kind as many as there are, or nearly."""
    kinds: dict[str, list[Mutant]] = {}
    for k in rng.permutation(len(mutants)):
        kinds.setdefault(mutants[k][0], []).append(mutants[k])
    turns = [one for listed in zip_longest(*kinds.values()) for one in listed if one is not None]
    return turns[:sample]


def inputs_of(path: Path) -> list[Any]:
    """in0, in1, ... of a case, or those of its last call: call0_in0, call1_in0, ..."""
    with np.load(path, allow_pickle=False) as arrays:
        last = max((name.rpartition("in")[0] for name in arrays.files), default="")
        names = [name for name in arrays.files if name.rpartition("in")[0] == last]
        return [arrays[name] for name in sorted(names, key=lambda name: int(name.rpartition("in")[2]))]


def examine(file: Path, folder: Path, sample: int, rng: np.random.Generator, score: Counter[tuple[str, str]]) -> None:
    """Some mutants of one model."""
    model, right = opened(file), folder / "right.onnx"
    export(model, right)
    given = inputs_of(file.parent / "inputs.npz")
    if len(given) != len(model.inputs):
        raise ValueError(f"{len(model.inputs)} inputs, {len(given)} arrays")
    feed: dict[str, Any] = {value.name: array for value, array in zip(model.inputs, given, strict=True)}
    batch = len(given[0])
    feed |= {s.input.name: np.zeros([n or batch for n in s.input.shape], np.float32) for s in model.states}
    truth = outputs(right, feed)
    if truth is None:
        raise ValueError("the right file does not run on these inputs")
    proto = onnx.load(right)
    for kind, place, change in drawn_by_kind([*weight_mutants(proto), *node_mutants(proto)], sample, rng):
        spoiled, path = onnx.ModelProto(), folder / "mutant.onnx"
        spoiled.CopyFrom(proto)
        try:
            change(spoiled, rng)
        except (ValueError, IndexError, TypeError):
            continue
        onnx.save(spoiled, path)
        made = outputs(path, feed)
        if made is None or not differ(truth, made):
            score[kind, "no mutant"] += 1
            continue
        report = verify(model, path)
        score[kind, "equal" if report.passed else "found"] += 1
        if report.passed:
            print(f"SURVIVES  {file}: {kind}: {place}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--sample", type=int, default=20, help="mutants of each model")
    parser.add_argument("--models", type=int, default=10**6, help="how many models, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    files, score, began = cases(given.folders), Counter[tuple[str, str]](), time.process_time()
    drawn = [files[k] for k in sorted(rng.permutation(len(files))[: given.models])]
    for file in drawn:
        with tempfile.TemporaryDirectory() as name:
            try:
                examine(file, Path(name), given.sample, rng, score)
            except (ConversionError, ValueError) as error:
                print(f"passed over  {file}: {error}", flush=True)
        totals = Counter(what for (_, what), n in score.items() for _ in range(n))
        print(f"{file.parent.name}: {totals['found']} found, {totals['equal']} called equal so far", flush=True)
    kinds = sorted({kind for kind, _ in score})
    print("| kind | mutants | found | called equal |\n|---|---|---|---|")
    for kind in [*kinds, "all"]:
        found, equal = (
            sum(n for (k, v), n in score.items() if v == what and kind in (k, "all")) for what in ("found", "equal")
        )
        print(f"| {kind} | {found + equal} | {found} | {equal} |")
    print(f"{len(drawn)} models, {time.process_time() - began:.0f} s of CPU")
    return 0 if not any(what == "equal" for _, what in score) else 1


if __name__ == "__main__":
    sys.exit(main())
