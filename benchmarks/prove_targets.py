"""Opens what `--to keras` and `--to torch` write with Keras 3 and PyTorch themselves; run by hand where they are.

    KERAS_BACKEND=torch python -m benchmarks.prove_targets keras ../shared/corpus/eras/k224 ../shared/corpus/real
    python -m benchmarks.prove_targets torch ../shared/corpus/eras/tf215

Each folder holds cases with a model file, inputs.npz and expected.npz, the outputs that the file's own Keras computed;
or ONNX files of other programs, which ONNX Runtime computes.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from converter.errors import ConversionError
from converter.exporters import EXPORTERS
from converter.formats.keras_metadata import OPENS_FROM
from converter.model.prune import prune
from converter.readers import load

TOLERANCE = 2e-5
HALF = 2e-2  # float16 and bfloat16
NAMES = ("model.h5", "model.keras", "*.h5", "*.hdf5", "*.keras")
_NO_CHANNELS_FIRST = "op currently only supports the NHWC tensor format on the CPU"  # TensorFlow of its convolutions
Outputs = list[np.ndarray]
# Where Keras itself is wrong: TensorFlow averages over what is there, Keras' torch backend pads unevenly by the edge
# (3.15.1, AveragePooling2D((3, 5), (2, 1), "same") of 6 x 5 values).
# The inputs of q3_dict_io are not kept in the order in which Keras takes them.
KNOWN = {"k122_deconv", "q3_dict_io"}


def opened_by_keras(path: Path) -> Callable[[Outputs], Outputs]:
    import keras

    model = keras.models.load_model(path, compile=False)

    def run(arrays: Outputs) -> Outputs:
        made = model(arrays if len(arrays) > 1 else arrays[0], training=False)
        made = made if isinstance(made, list | tuple) else [made]
        return [keras.ops.convert_to_numpy(keras.ops.cast(one, "float32")) for one in made]

    return run


def opened_by_torch(path: Path) -> Callable[[Outputs], Outputs]:
    import torch

    spec = importlib.util.spec_from_file_location("written", path.with_name(f"{path.stem}_torch.py"))
    assert spec is not None and spec.loader is not None
    written = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(written)
    model = written.load()

    def run(arrays: Outputs) -> Outputs:
        with torch.no_grad():
            made = model(*(torch.from_numpy(array) for array in arrays))
        return [one.numpy() for one in (made if isinstance(made, tuple) else (made,))]

    return run


def too_new(path: Path) -> bool:
    """Whether an archive says that it needs a later Keras."""
    import keras

    with zipfile.ZipFile(path) as archive:
        needed = str(json.loads(archive.read("metadata.json"))[OPENS_FROM])
    have, need = (tuple(map(int, version.split(".")[:2])) for version in (keras.__version__, needed))
    return have < need


OPENERS = {"keras": opened_by_keras, "torch": opened_by_torch}


def by_onnxruntime(path: Path) -> tuple[Outputs, Outputs]:
    """Inputs of an ONNX file, those next to it if there are any, and what it makes of them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs, beside = session.get_inputs(), path.with_suffix(".npz")
    if beside.exists():
        with np.load(beside) as held:
            arrays = [held[name] for name in held.files if not name.startswith("out")]
    else:
        sizes = [[n if isinstance(n, int) else (3, 7)[min(k, 1)] for k, n in enumerate(one.shape)] for one in inputs]
        arrays = [np.random.default_rng(0).normal(size=shape).astype(np.float32) for shape in sizes]
    return arrays, session.run(None, {one.name: array for one, array in zip(inputs, arrays, strict=True)})


def calls(case: Path) -> Iterator[tuple[Outputs, Outputs]]:
    """Inputs and genuine outputs of a case; the calls of a stateful one, in order."""
    if case.is_file():
        yield by_onnxruntime(case)
        return
    given, want = np.load(case / "inputs.npz"), np.load(case / "expected.npz")
    prefixes = sorted({name.rpartition("in")[0] for name in given.files})
    for prefix in prefixes if prefixes == [""] else [p for p in prefixes if p in ("call0_", "call1_", "call2_")]:
        inputs = [name for name in given.files if name.startswith(f"{prefix}in")]
        outputs = [name for name in want.files if name.startswith(f"{prefix}out")]
        number = lambda name: int(name.rpartition("in")[2] if "in" in name else name.rpartition("out")[2])  # noqa: E731
        yield [given[n] for n in sorted(inputs, key=number)], [want[n] for n in sorted(outputs, key=number)]


def judge(case: Path, target: str, folder: Path) -> str:
    """One word: right, WRONG, refused, unreadable (by us), or what the framework raised."""
    files = [case] if case.is_file() else [file for name in NAMES for file in sorted(case.glob(name))]
    if not files or not (case.is_file() or (case / "expected.npz").exists()):
        return "no model"
    try:
        model = prune(load(files[0]))
        if any("without an architecture" in warning for warning in model.warnings):  # a guess proves nothing here
            described = [file for file in sorted(case.glob("*.json")) if file.name != "meta.json"]
            if not described:
                return "weights alone"
            model = prune(load(files[0], described[0]))
    except ConversionError:
        return "unreadable"
    path = folder / f"{case.stem}{EXPORTERS[target].suffix}"
    try:
        EXPORTERS[target].export(model, path)
    except ConversionError as error:
        print(f"  {case.name}: refused, {error}")
        return "refused"
    half = any(v.dtype in ("float16", "bfloat16") for node in model.nodes for v in node.outputs)
    if target == "keras" and too_new(path):
        return "for a later Keras"
    run = OPENERS[target](path)
    for arrays, want in calls(case):
        for have, array in zip(run(arrays), want, strict=True):
            error = np.abs(have.astype(float) - array.astype(float)).max(initial=0)
            if have.shape != array.shape or not error <= (HALF if half else TOLERANCE):
                print(f"  {case.name}: off by {error:.1e}")
                return "WRONG"
    return "right"


def judged(case: Path, target: str, folder: Path) -> str:
    """As `judge`; what a framework raises is told and counted."""
    try:
        return judge(case, target, folder)
    except Exception as error:  # noqa: BLE001  # TensorFlow has kinds of its own
        if _NO_CHANNELS_FIRST in str(error):
            return "not on this CPU"
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(f"  {case.name}: {type(error).__name__}: {first[:120]}")
        return "raised"


def main(target: str, *folders: str) -> int:
    """Prints the counts of each folder; 1 if any case is wrong or raised, or none is right."""
    wrong: Any = 0
    for root in map(Path, folders):
        with tempfile.TemporaryDirectory() as folder:
            cases = [case for case in sorted(root.iterdir()) if case.is_dir() or case.suffix == ".onnx"]
            cases = [case for case in cases if case.name not in KNOWN]
            counts = Counter(judged(case, target, Path(folder)) for case in cases)
        print(root.name, dict(counts), flush=True)
        wrong += counts["WRONG"] + counts["raised"] + (not counts["right"])
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
