"""Runs what benchmarks/runtimes.py wrote, in the environment that has the runtimes; imports nothing of ours.

    python run_exports.py WORK.json

Each item names a file and a column; its verdict is written back into the list.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

TOLERANCE = 2e-5
Arrays = Mapping[str, Any]


def onnxruntime_(path: str, feed: Arrays) -> list[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return list(onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, dict(feed)))


def openvino_(path: str, feed: Arrays) -> list[Any]:
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    made = model(dict(feed))
    return [made[output] for output in model.outputs]


def reference(path: str, feed: Arrays) -> list[Any]:
    from onnx.reference import ReferenceEvaluator

    with np.errstate(all="ignore"):
        return list(ReferenceEvaluator(path).run(None, dict(feed)))


def tract_(path: str, feed: Arrays) -> list[Any]:
    import tract

    model = tract.onnx().load(path).into_model().into_runnable()
    return [value.to_numpy() for value in model.run(list(feed.values()))]


def c(path: str, feed: Arrays) -> list[Any]:
    """C by emx-onnx-cgen, without malloc, compiled with gcc as a shared library and called."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "model.c", Path(folder) / "model.so"
        tool = Path(sys.executable).with_name("emx-onnx-cgen")
        _ran([str(tool), "compile", path, str(source), "--model-name", "model", "--large-temp-threshold", "0"])
        if "malloc" in source.read_text():
            raise RuntimeError("malloc in the generated C")
        _ran(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-lm"])
        import onnx

        outputs = [
            np.zeros([dim.dim_value for dim in value.type.tensor_type.shape.dim], np.float32)
            for value in onnx.load(path).graph.output
        ]
        given = [np.ascontiguousarray(array) for array in feed.values()]
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*given, *outputs)]
        ctypes.CDLL(str(library)).model(*pointers)
        return list(outputs)


def _ran(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-300:])


def onnxslim_(path: str, feed: Arrays) -> list[Any]:
    import onnx
    import onnxslim

    onnx.save(onnxslim.slim(path), path + ".slim")
    return onnxruntime_(path + ".slim", feed)


def onnxsim_(path: str, feed: Arrays) -> list[Any]:
    import onnx
    import onnxsim

    simplified, right = onnxsim.simplify(onnx.load(path))
    if not right:
        raise RuntimeError("onnxsim's own check")
    onnx.save(simplified, path + ".sim")
    return onnxruntime_(path + ".sim", feed)


def quant_pre_process(path: str, feed: Arrays) -> list[Any]:
    from onnxruntime.quantization.shape_inference import quant_pre_process as process

    process(path, path + ".pre", skip_symbolic_shape=False)
    return onnxruntime_(path + ".pre", feed)


RUNNERS = {
    "onnxruntime": onnxruntime_, "openvino": openvino_, "openvino, default file": openvino_,
    "openvino, known sizes": openvino_, "reference": reference, "tract": tract_, "c": c, "onnxslim": onnxslim_,
    "onnxsim": onnxsim_, "quant_pre_process": quant_pre_process,
}  # fmt: skip


def judge(item: dict[str, str]) -> None:
    """Writes the verdict of one cell."""
    if item["refused"]:
        item["verdict"], item["why"] = "refused", item["refused"]
        return
    arrays = np.load(Path(item["path"]).with_suffix(".npz"))
    feed = {name[3:]: arrays[name] for name in arrays if name.startswith("in_")}
    wanted = [arrays[f"out{k}"] for k in range(sum(name.startswith("out") for name in arrays))]
    try:
        made = RUNNERS[item["column"]](item["path"], feed)
    except Exception as error:  # noqa: BLE001  whatever a runtime raises is its refusal
        item["verdict"], item["why"] = "refused", " ".join(str(error).split())[-200:]
        return
    errors = [float(np.abs(a - b).max()) / max(1.0, float(np.abs(b).max())) if a.shape == b.shape else np.inf
              for a, b in zip(made, wanted, strict=True)]  # fmt: skip
    worst = max(errors)
    item["verdict"] = "right" if worst <= TOLERANCE else f"WRONG {worst:.0e}"


def main() -> None:
    path = Path(sys.argv[1])
    work = json.loads(path.read_text())
    for item in work:
        judge(item)
    path.write_text(json.dumps(work))


if __name__ == "__main__":
    main()
