"""Runs what benchmarks/runtimes.py wrote, in an environment that has a runtime; imports nothing of ours.

    python run_exports.py WORK.json FOUND.jsonl

Each item names a runner, files and their inputs; one line with its verdict is added to FOUND. Python 3.8 is enough, as
onnxruntime 1.6 has no newer one.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import functools
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Run = Callable[[Mapping[str, Any]], list[Any]]  # from inputs by name to outputs in order


def onnxruntime_(path: str) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feed: list(session.run(None, dict(feed)))


def onnxruntime_1_6(path: str) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    return lambda feed: list(session.run(None, dict(feed)))


def web(path: str) -> Run:
    """onnxruntime-web under node; the folder with its node_modules is in WEB. One node process serves all files."""
    if not _node:
        script = Path(__file__).with_suffix(".mjs")
        command = ["node", str(script), os.environ["WEB"]]
        _node.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    node = _node[0]

    def run(feed: Mapping[str, Any]) -> list[Any]:
        assert node.stdin is not None and node.stdout is not None
        inputs = {name: _packed(array) for name, array in feed.items()}
        node.stdin.write(json.dumps({"path": path, "inputs": inputs}) + "\n")
        node.stdin.flush()
        made = json.loads(node.stdout.readline())
        if "error" in made:
            raise RuntimeError(made["error"])
        return [np.frombuffer(base64.b64decode(one["data"]), "f4").reshape(one["dims"]) for one in made["outputs"]]

    return run


_node: list[subprocess.Popen[str]] = []


def _packed(array: Any) -> Any:
    return {"type": array.dtype.name, "dims": array.shape, "data": base64.b64encode(array.tobytes()).decode()}


def openvino_(path: str) -> Run:
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(feed: Mapping[str, Any]) -> list[Any]:
        made = model(dict(feed))
        return [made[output].copy() for output in model.outputs]

    return run


def reference(path: str) -> Run:
    from onnx.reference import ReferenceEvaluator

    made = ReferenceEvaluator(path)

    def run(feed: Mapping[str, Any]) -> list[Any]:
        with np.errstate(all="ignore"):
            return list(made.run(None, dict(feed)))

    return run


def tract_(path: str) -> Run:
    import tract

    model = tract.onnx().load(path).into_model().into_runnable()
    return lambda feed: [value.to_numpy() for value in model.run(list(feed.values()))]


def c(path: str) -> Run:
    """C by emx-onnx-cgen, without malloc, compiled with gcc as a shared library and called."""
    import onnx
    from emx_onnx_cgen.cli import main as compile_to_c

    _keep_templates()
    folder = Path(tempfile.mkdtemp(dir=Path(path).parent))
    source, library = folder / "model.c", folder / "model.so"
    words = ["compile", path, str(source), "--model-name", "model", "--large-temp-threshold", "0"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        if compile_to_c(words):
            raise RuntimeError(said.getvalue().strip()[-300:])
    if "malloc" in source.read_text():
        raise RuntimeError("malloc in the generated C")
    command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    function = ctypes.CDLL(str(library)).model
    shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in onnx.load(path).graph.output]

    def run(feed: Mapping[str, Any]) -> list[Any]:
        outputs = [np.full(shape, np.nan, np.float32) for shape in shapes]
        given = [np.ascontiguousarray(array) for array in feed.values()]
        function(*(array.ctypes.data_as(ctypes.c_void_p) for array in (*given, *outputs)))
        return list(outputs)

    return run


def _keep_templates() -> None:
    """emx-onnx-cgen compiles all its 169 templates anew for each file, which takes nearly all of its time."""
    from emx_onnx_cgen.codegen import c_emitter
    from jinja2 import Environment, FileSystemBytecodeCache

    c_emitter.Environment = functools.partial(Environment, bytecode_cache=FileSystemBytecodeCache())  # type: ignore


def onnx2tf_(path: str) -> Run:
    """A TFLite file by onnx2tf, run by LiteRT; its inputs and outputs are found by name."""
    import onnx
    import onnx2tf
    from ai_edge_litert.interpreter import Interpreter

    folder = tempfile.mkdtemp(dir=Path(path).parent)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        names = [value.name for value in onnx.load(path).graph.input]
        onnx2tf.convert(
            input_onnx_file_path=path, output_folder_path=folder, verbosity="error",
            keep_shape_absolutely_input_names=names,
        )  # fmt: skip
    (made,) = Path(folder).glob("*_float32.tflite")
    interpreter = Interpreter(str(made))
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()

    def run(feed: Mapping[str, Any]) -> list[Any]:
        for name, array in feed.items():
            given = next(one for one in inputs if name in one["name"])
            interpreter.set_tensor(given["index"], array.astype(given["dtype"]))
        interpreter.invoke()
        return [interpreter.get_tensor(one["index"]) for one in outputs]

    return run


def onnxslim_(path: str) -> Run:
    import onnx
    import onnxslim

    onnx.save(onnxslim.slim(path), path + ".slim")
    return onnxruntime_(path + ".slim")


def onnxsim_(path: str) -> Run:
    import onnx
    import onnxsim

    simplified, right = onnxsim.simplify(onnx.load(path))
    if not right:
        raise RuntimeError("onnxsim's own check")
    onnx.save(simplified, path + ".sim")
    return onnxruntime_(path + ".sim")


def quant_pre_process(path: str) -> Run:
    from onnxruntime.quantization.shape_inference import quant_pre_process as process

    process(path, path + ".pre", skip_symbolic_shape=False)
    return onnxruntime_(path + ".pre")


def quantize_dynamic(path: str) -> Run:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_dynamic as process

    process(path, path + ".int8", weight_type=QuantType.QInt8)
    return onnxruntime_(path + ".int8")


def float16_of_onnxruntime(path: str) -> Run:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path + ".half")
    return onnxruntime_(path + ".half")


def float16_of_onnxconverter(path: str) -> Run:
    import onnx
    from onnxconverter_common.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path + ".half2")
    return onnxruntime_(path + ".half2")


RUNNERS = {
    "onnxruntime": onnxruntime_, "onnxruntime 1.6": onnxruntime_1_6, "onnxruntime-web": web, "openvino": openvino_,
    "reference": reference, "tract": tract_, "c": c, "onnx2tf": onnx2tf_, "onnxslim": onnxslim_, "onnxsim": onnxsim_,
    "quant_pre_process": quant_pre_process, "quantize_dynamic": quantize_dynamic,
    "float16 of onnxruntime": float16_of_onnxruntime, "float16 of onnxconverter": float16_of_onnxconverter,
}  # fmt: skip


def judge(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The largest error of one cell, relative to the scale of what is wanted; or why it is refused."""
    errors, run, opened = [0.0], None, ""
    try:
        for path, data in item["files"]:
            if path != opened:
                run, opened = RUNNERS[item["runner"]](path), path
            arrays = np.load(data)
            feed = {name[3:]: arrays[name] for name in arrays if name.startswith("in_")}
            wanted = [arrays[f"out{k}"] for k in range(sum(name.startswith("out") for name in arrays))]
            assert run is not None
            made = run(feed)
            if [a.shape for a in made] != [b.shape for b in wanted]:
                raise RuntimeError(f"shapes {[a.shape for a in made]} for {[b.shape for b in wanted]}")
            pairs = zip(made, wanted)  # noqa: B905  strict is newer than Python 3.8
            errors += [float(np.abs(a - b).max() / max(1.0, np.abs(b).max())) for a, b in pairs]
    except BaseException as error:  # noqa: BLE001  whatever a runtime raises is its refusal, a panic of Rust too
        return {"number": item["number"], "why": " ".join(str(error).split())[-200:] or type(error).__name__}
    return {"number": item["number"], "error": max(1e9 if np.isnan(one) else one for one in errors)}


def main() -> None:
    found = open(sys.argv[2], "a")  # noqa: SIM115  kept open to the end, which may be a crash
    for item in json.loads(Path(sys.argv[1]).read_text()):
        found.write(json.dumps(judge(item)) + "\n")
        found.flush()


if __name__ == "__main__":
    main()
