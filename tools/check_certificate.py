"""Checks again what a certificate says of an ONNX file and the Keras file it was made from.

    python check_certificate.py CERTIFICATE.json MODEL.h5|MODEL.keras MODEL.onnx

Needs numpy, h5py, onnx and onnxruntime, and nothing of the program that wrote the certificate. It computes all hashes
anew, puts every array of the source into the arrangement that the certificate names and compares it with the ONNX
file's initializer bit for bit, and runs the ONNX file on the certificate's inputs. What it cannot check it says. Exit
code 0: all that could be checked holds; 1: something does not; 2: it cannot be used.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

FORMAT = "keras-lstm-convert certificate, version 1"
CLOSED = 32768.0


class Findings:
    """What holds, what does not, and what was not checked."""

    def __init__(self) -> None:
        self.right, self.wrong, self.open = 0, [], []

    def say(self, holds: bool, what: str) -> None:
        """One check."""
        if holds:
            self.right += 1
        else:
            self.wrong.append(what)


def sha256(path: Path) -> str:
    """Of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# --- the source -------------------------------------------------------------------------------------------------------


def arrays_of(path: Path) -> dict[str, Any]:
    """Every dataset of a .h5 file, or of the weights in a .keras file, by its path."""
    data: Any = path
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            data = io.BytesIO(archive.read("model.weights.h5"))
    found: dict[str, Any] = {}
    with h5py.File(data, "r") as file:

        def keep(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and not name.startswith("optimizer"):
                found[name] = item[()]

        file.visititems(keep)
    return found


def named(arrays: dict[str, Any], name: str) -> Any:
    """The array whose path is this name, or the only one whose path ends so; None if there is none."""
    ends = [path for path in arrays if path == name or path.endswith(f"/{name}")]
    return arrays[ends[0]] if len(ends) == 1 else None


# --- arrangements -----------------------------------------------------------------------------------------------------


def numbers(text: str) -> list[int]:
    """All whole numbers in a text."""
    return [int(number) for number in re.findall(r"\d+", text)]


def gates(array: Any, order: list[int]) -> Any:
    """[n, gates·units] as [gates·units, n], its gates in this order."""
    pieces = np.split(array, len(order), axis=-1)
    return np.concatenate([pieces[gate].T for gate in order])


def bias(array: Any, order: list[int], shape: list[int]) -> Any:
    """The input bias and the recurrent one (zeros where there is none), gates in this order, as one row."""
    both = np.reshape(array, (-1, shape[1] // 2))
    both = np.concatenate([both, np.zeros_like(both)])[:2]
    return np.concatenate([np.split(row, len(order))[gate] for row in both for gate in order])


def arranged(how: str, sources: list[Any], shape: list[int]) -> Any:
    """The arrays in the arrangement that the certificate names; None where this program does not know it."""
    how = re.sub(r", \w+ as \w+$", "", how)
    behind = how.endswith(", a column that keeps c behind it")
    how = how.removesuffix(", a column that keeps c behind it")
    first = sources[0]
    if how == "as it is":
        return first
    if how.startswith("axes "):
        return np.transpose(first, numbers(how))
    if how.startswith("shaped "):
        return np.reshape(first, shape)
    if how.startswith("gates ") and how.endswith(", transposed"):
        sides = [gates(source, numbers(how)) for source in sources]
        if behind:
            units = len(sides[0]) // 4
            column = np.repeat(np.float32([-CLOSED, 0, CLOSED, 0]), units)[:, None]
            sides = [np.concatenate([side, column], axis=1) for side in sides]
        return np.stack(sides)
    if how.startswith("gates ") and len(sources) == shape[0]:
        return np.stack([bias(source, numbers(how), shape) for source in sources])
    if how.startswith("gamma/sqrt"):
        epsilon = float(re.findall(r"[\d.]+(?:e-?\d+)?", how)[0])
        scale = 1 / np.sqrt(first.astype(np.float64) + epsilon)
        scale = scale if len(sources) == 1 else scale * sources[1].astype(np.float64)
        return scale.reshape(shape)
    return None


def same_bits(a: Any, b: Any) -> bool:
    """Shape, type and every bit."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def check_weights(certificate: dict[str, Any], arrays: dict[str, Any], path: Path, findings: Findings) -> None:
    """Every initializer is what the certificate says, and no other is in the file."""
    model = onnx.load(str(path))
    have = {tensor.name: tensor for tensor in model.graph.initializer}
    said = {one["initializer"] for one in certificate["weights"]}
    findings.say(set(have) == said, f"other initializers than in the certificate: {sorted(set(have) ^ said)[:5]}")
    for one in certificate["weights"]:
        name = one["initializer"]
        if name not in have:
            continue
        values = numpy_helper.to_array(have[name])
        digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() if values.size else ""
        findings.say(digest == one["sha256"], f"{name}: its bytes are not those of the certificate")
        if not one["sources"]:
            continue
        sources = [named(arrays, source) for source in one["sources"]]
        if any(source is None for source in sources):
            findings.open.append(f"{name}: the source has no one array of the name {one['sources']}")
            continue
        hashes = [hashlib.sha256(np.ascontiguousarray(source).tobytes()).hexdigest() for source in sources]
        if hashes != [certificate["sources"].get(source) for source in one["sources"]]:
            findings.open.append(f"{name}: the source holds {one['sources']} in another form than was compared")
            continue
        try:
            made = arranged(one["how"], sources, one["shape"])
        except ValueError:
            made = None
        if made is None:
            findings.open.append(f"{name}: the arrangement {one['how']!r} is not known here")
            continue
        findings.say(same_bits(np.asarray(made).astype(values.dtype), values), f"{name}: not {one['sources']}")


# --- outputs ----------------------------------------------------------------------------------------------------------


def decoded(entry: dict[str, Any]) -> Any:
    """An array of the certificate."""
    if entry["dtype"] == "string":
        return np.array(entry["values"], object).reshape(entry["shape"])
    data = base64.b64decode(entry["base64"])
    return np.frombuffer(data, np.dtype(entry["dtype"]).newbyteorder("<")).reshape(entry["shape"])


TYPES = {
    "tensor(float)": "f4", "tensor(double)": "f8", "tensor(float16)": "f2", "tensor(int32)": "i4",
    "tensor(int64)": "i8", "tensor(bool)": "?", "tensor(string)": "O",
}  # fmt: skip


def check_outputs(certificate: dict[str, Any], path: Path, findings: Findings) -> None:
    """The ONNX file gives the outputs of the certificate, within what it allows."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    if not certificate["runs"]:
        findings.open.append("the certificate holds no inputs to run")
    for run in certificate["runs"]:
        entries = list(run["inputs"].values())
        feed = {value.name: decoded(entry).astype(TYPES.get(value.type))
                for value, entry in zip(session.get_inputs(), entries, strict=True)}  # fmt: skip
        made = dict(zip((value.name for value in session.get_outputs()), session.run(None, feed), strict=True))
        for name, entry in run["outputs"].items():
            want = decoded(entry).astype(np.float64)
            have = made[name].astype(np.float64)
            near = have.shape == want.shape and np.allclose(have, want, rtol=0, atol=entry["allowed"], equal_nan=True)
            findings.say(bool(near), f"output {name}: not within {entry['allowed']:.1e} of the certificate's")


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("certificate", type=Path)
    parser.add_argument("source", type=Path, help="the .h5 or .keras file")
    parser.add_argument("exported", type=Path, help="the ONNX file")
    given = parser.parse_args()
    try:
        certificate = json.loads(given.certificate.read_text(encoding="utf-8"))
        if certificate.get("format") != FORMAT:
            print(f"error: {given.certificate} is no certificate of a known version", file=sys.stderr)
            return 2
        arrays = arrays_of(given.source)
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    findings = Findings()
    findings.say(certificate["verdict"] == "proved", f"the certificate's verdict is {certificate['verdict']!r}")
    findings.say(sha256(given.source) == certificate["source"]["sha256"], "the source is another file")
    findings.say(sha256(given.exported) == certificate["exported"]["sha256"], "the ONNX file is another")
    check_weights(certificate, arrays, given.exported, findings)
    check_outputs(certificate, given.exported, findings)
    for what in findings.open:
        print(f"not checked: {what}")
    for what in findings.wrong:
        print(f"WRONG: {what}")
    print(f"{findings.right} checks hold, {len(findings.wrong)} do not, {len(findings.open)} could not be made")
    return 1 if findings.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
