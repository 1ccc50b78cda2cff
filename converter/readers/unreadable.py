"""What a path is that no reader knows: named as far as its first bytes tell, with what to do about it."""

from __future__ import annotations

from pathlib import Path

from converter.errors import ConversionError, InvalidModel, Unsupported

_LFS = "fetch the file itself: git lfs pull"
_DOWNLOAD = "a download page was saved instead of the file; download the raw file"
_KERAS_ONLY = "only Keras models are read"
_FOLDER = "give the folder that holds it"
_UNPACK = "unpack it first"
_OLD_TORCH = "in PyTorch: torch.save(torch.load(path, weights_only=True), path) writes the form that is read"

# First bytes -> what it is, what to do. Asked in order.
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs.github.com/spec", "a Git LFS pointer, not the model itself", _LFS),
    (b"\x89HDF", "a truncated HDF5 file", "copy or download it again"),
    (b"PK", "a truncated ZIP file", "copy or download it again"),
    (b"\x93NUMPY", "a NumPy array, without a model", ""),
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"\xfd7zXZ", "an xz file", _UNPACK),
    (b"7z\xbc\xaf", "a 7-Zip file", _UNPACK),
    (b"Rar!", "a RAR file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    (b"GGUF", "a GGUF model", _KERAS_ONLY),
    (b"\x08\x01\x12", "a saved_model.pb by itself", _FOLDER),
    (
        b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
        "a file of torch.save from before PyTorch 1.6",
        _OLD_TORCH,
    ),
    *((bytes((0x80, k)), "a Python pickle, which may hold code and is never loaded", "") for k in range(2, 6)),
    *((bytes((0x08, k)), "an ONNX model", "it needs no conversion") for k in range(3, 20)),
    (
        b"\x0a",
        "a TensorFlow graph (.pb), which holds no Keras model",
        "give the model it came from",
    ),
)


def describe(path: Path) -> ConversionError:
    """Why `path` is not read, ready to be raised."""
    if path.is_dir():
        return InvalidModel("a folder without a model: no saved_model.pb, config.json or model.json in it")
    if not path.exists():
        return InvalidModel("there is no such file")
    if not path.is_file():
        return InvalidModel("not a regular file")
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return InvalidModel("an empty file")
    return _by_content(start)


def _by_content(start: bytes) -> ConversionError:
    for signature, what, hint in _STARTS:
        if start.startswith(signature) and not (signature == b"\x0a" and _is_text(start)):
            return (InvalidModel if "truncated" in what else Unsupported)(what, hint=hint)
    if start[4:8] == b"TFL3":
        return Unsupported("a TensorFlow Lite model", hint="give the Keras model it came from")
    if start[257:262] == b"ustar":
        return Unsupported("a tar file", hint=_UNPACK)
    if start[8:9] == b"{" and start[5:8] == b"\0\0\0":
        return Unsupported("a safetensors file, without a model", hint=_KERAS_ONLY)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<script")):
        return InvalidModel("a web page, not a model", hint=_DOWNLOAD)
    if b"class_name" in start and _is_text(start):
        hint = "give the file with the weights, and this one with --architecture"
        return Unsupported("an architecture without weights", hint=hint)
    if _is_text(start):
        return InvalidModel("a text file, not a model")
    return InvalidModel("no kind of file that is known to hold a Keras model")


def _is_text(start: bytes) -> bool:
    """Whether the bytes are printable, but for a character cut off at the end."""
    text = start.decode("utf-8", "replace").rstrip("�")
    return bool(text) and all(c.isprintable() or c in "\t\r\n\f" for c in text)
