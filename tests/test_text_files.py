"""Files of words made by hand: what is read, and what is refused in one line. No TensorFlow is needed."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command_line import run
from test_cli import refused

from converter import interpret
from converter.errors import ConversionError
from converter.formats.protobuf import parse
from converter.limits import TEXT_BYTES
from converter.readers import load
from converter.readers.saved_tables import words_at

WORDS = b"\n[UNK]\nb\n\xc3\xa9t\xc3\xa9\na"
NUMBERS = b"0\n-1\n7\n5\n-9223372036854775808"
DEFAULTS = {"trainable": True, "num_oov_indices": 1, "invert": False, "output_mode": "int", "sparse": False}


def config(kind: str = "StringLookup", **more: Any) -> dict[str, Any]:
    """A model of one lookup."""
    text = kind != "IntegerLookup"
    special = {"mask_token": "" if text else 0, "oov_token": "[UNK]" if text else -1}
    special = {} if kind == "TextVectorization" else {**DEFAULTS, **special}
    dtype = "string" if text and not more.get("invert") else "int64"
    given = {"class_name": "InputLayer", "module": "keras.layers", "name": "x", "inbound_nodes": [],
             "config": {"batch_shape": [None, more.pop("width", 3)], "dtype": dtype, "name": "x"}}  # fmt: skip
    history = {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "keras_history": ["x", 0, 0]}}
    lookup = {"class_name": kind, "module": "keras.layers", "name": "words",
              "inbound_nodes": [{"args": [history], "kwargs": {}}],
              "config": {"name": "words", "vocabulary": None, "vocabulary_size": 5, **special, **more}}  # fmt: skip
    inner = {"name": "m", "layers": [given, lookup], "input_layers": [["x", 0, 0]], "output_layers": [["words", 0, 0]]}
    return {"class_name": "Functional", "module": "keras.src.models.functional", "config": inner}


def archive(path: Path, words: bytes | None, kind: str = "StringLookup", group: str = "", **more: Any) -> Path:
    """A `.keras` file as Keras 3 writes it, with these bytes as vocabulary.txt."""
    snake = {"StringLookup": "string_lookup", "IntegerLookup": "integer_lookup"}.get(kind, "text_vectorization")
    weights = path.with_suffix(".weights")
    with h5py.File(weights, "w") as file:
        vars_ = file.create_group(f"layers/{snake}/vars")
        if "idf" in more:
            vars_["idf_weights"] = np.asarray(more.pop("idf"), np.float32)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config(kind, **more)))
        file.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        file.write(weights, "model.weights.h5")
        if words is not None:
            file.writestr(f"assets/layers/{snake}/vocabulary.txt", words)
    return path


def looked_up(path: Path, array: Any) -> list[Any]:
    model = load(path)
    made: list[Any] = interpret.run(model, {"x": np.asarray(array)})[model.outputs[0].name].tolist()
    return made


TEXT = np.array([["a", "b", "\u00e9t\u00e9"], ["", "[UNK]", "A"]], object)


@pytest.mark.parametrize("words", [WORDS, WORDS.replace(b"\n", b"\r\n")])
def test_learned_words(tmp_path: Path, words: bytes) -> None:
    """With the line ends of Windows, too."""
    assert looked_up(archive(tmp_path / "m.keras", words), TEXT) == [[4, 2, 3], [0, 1, 1]]


def test_learned_numbers(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", NUMBERS, "IntegerLookup")
    assert looked_up(path, [[5, 7, -(2**63)], [0, -1, 6]]) == [[3, 2, 4], [0, 1, 1]]


def test_learned_weights(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", WORDS[1:], idf=[9, 1, 2, 4], output_mode="tf_idf", vocabulary_size=4)
    assert looked_up(path, TEXT) == [[0, 1, 2, 4], [18, 0, 0, 0]]


BROKEN: dict[str, tuple[bytes | None, dict[str, Any], str]] = {
    "missing": (None, {}, "its vocabulary was learned and is not in the file"),
    "empty": (b"", {}, "1 words in the file, 5 are expected"),
    "only special": (b"\n[UNK]", {"vocabulary_size": 2}, "an empty vocabulary"),
    "twice": (b"\n[UNK]\na\nb\na", {}, "the word 'a' occurs twice"),
    "too few": (b"\n[UNK]\na\nb", {}, "4 words in the file, 5 are expected"),
    "line end in a word": (b"\n[UNK]\na\nb\nc\nd", {}, "a word may hold the end of a line"),
    "not UTF-8": (b"\n[UNK]\na\nb\n\xff\xfe", {}, "not UTF-8 text"),
    "carriage return": (b"\n[UNK]\na\rb\nb\nc", {}, "a word with a carriage return"),
    "other special token": (b"\n[OOV]\na\nb\nc", {}, "starts with '[OOV]', not '[UNK]'"),
    "mask among words": (b"\n[UNK]\na\n\nb", {}, "the mask token '' stands among the words"),
    "no number": (b"0\n-1\n1.5\n2\n3", {"kind": "IntegerLookup"}, "'1.5' is no int64"),
    "number too large": (b"0\n-1\n9223372036854775808\n2\n3", {"kind": "IntegerLookup"}, "is no int64"),
    "other digits": ("0\n-1\n\u0663\n2\n3".encode(), {"kind": "IntegerLookup"}, "is no int64"),
    "terminal escape": (b"\n[UNK]\n\x1b[31m\n\x1b[31m\nb", {}, r"\x1b[31m' occurs twice"),
    "a path": (WORDS, {"vocabulary": "/etc/passwd"}, "a vocabulary in the file /etc/passwd, outside of the model"),
    "other encoding": (WORDS, {"encoding": "latin-1"}, "encoding latin-1: ONNX has UTF-8 only"),
    "no weights": (WORDS[1:], {"output_mode": "tf_idf", "vocabulary_size": 4}, "the weights of tf_idf were learned"),
    "other weights": (
        WORDS[1:],
        {"output_mode": "tf_idf", "vocabulary_size": 4, "idf": [1, 2]},
        "idf_weights has shape",
    ),
    "given weights": (
        None,
        {"output_mode": "tf_idf", "vocabulary": ["a", "b"], "idf_weights": [1.0]},
        "1 idf_weights for 2 words",
    ),
    "too many words": (WORDS, {"max_tokens": 4}, "5 words where max_tokens is 4"),
    "too wide": (
        None,
        {"output_mode": "multi_hot", "vocabulary": ["a"], "max_tokens": 2**30, "pad_to_max_tokens": True},
        "vectors of 1073741824 numbers",
    ),
    "Python code": (
        WORDS,
        {"kind": "TextVectorization", "standardize": {"class_name": "function", "config": "tidy"}, "width": 1},
        "which is Python code. Split the text in your application",
    ),
    "Python code to split": (
        WORDS,
        {"kind": "TextVectorization", "split": {"class_name": "function", "config": "cut"}, "width": 1},
        "split by Python code. Split the text in your application",
    ),
    "several texts to split": (WORDS, {"kind": "TextVectorization"}, "text of shape (None, 3) to be split"),
    "mask out of range": (NUMBERS, {"kind": "IntegerLookup", "mask_token": 2**63}, "bad configuration"),
    "given words twice": (None, {"vocabulary": ["a", "b", "a"]}, "the word 'a' occurs twice"),
    "nothing for no word": (b"\nNone\na\nb\nc", {"invert": True, "oov_token": None}, "invert without an oov_token"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_words(tmp_path: Path, fault: str) -> None:
    words, more, message = BROKEN[fault]
    with pytest.raises(ConversionError) as refusal:
        load(archive(tmp_path / "m.keras", words, **more))
    assert message in str(refusal.value)


@pytest.mark.parametrize("fault", ["twice", "not UTF-8", "a path", "terminal escape"])
def test_one_line_and_exit_code(tmp_path: Path, fault: str) -> None:
    words, more, message = BROKEN[fault]
    archive(tmp_path / "m.keras", words, **more)
    refused(run("m.keras", folder=tmp_path), 1, message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.keras", "m.weights"]


def test_a_huge_file_is_not_inflated(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", None)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("assets/layers/string_lookup/vocabulary.txt", bytes(TEXT_BYTES + 1))
    with pytest.raises(ConversionError, match="more than the 67108864"):
        load(path)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
@pytest.mark.parametrize("place", ["assets", "assets/layers", "assets/layers/string_lookup/vocabulary.txt"])
def test_links_out_of_a_folder(tmp_path: Path, place: str) -> None:
    """A folder's words are its own files."""
    path = archive(tmp_path / "m.keras", WORDS)
    folder, elsewhere = tmp_path / "m", tmp_path / "elsewhere"
    with zipfile.ZipFile(path) as file:
        file.extractall(folder)
    assert looked_up(folder, TEXT) == [[4, 2, 3], [0, 1, 1]]
    (folder / place).rename(elsewhere)
    (folder / place).symlink_to(elsewhere)
    with pytest.raises(ConversionError, match="a link out of"):
        load(folder)


# --- tables of SavedModels --------------------------------------------------------------------------------------------

INT64, STRING = 9, 7


def table(**change: Any) -> Any:
    """A meta graph whose object `layer` keeps a table of the words b and a at 2 and 3."""
    graph, meta = parse("GraphDef", b""), parse("MetaGraphDef", b"")
    keys = {"dtype": STRING, "shape": [2], "string_val": [b"b", b"a"]} | change.get("keys", {})
    values = {"dtype": INT64, "shape": [2], "int64_val": [2, 3]} | change.get("values", {})
    for name, parts in (("k", keys), ("v", values)):
        node = graph.node.add(name=name, op=change.get("op", "Const"))
        tensor = node.attr.add(key="value").value.tensor
        tensor.dtype = parts["dtype"]
        for size in parts["shape"]:
            tensor.tensor_shape.dim.add(size=size)
        tensor.tensor_content = parts.get("tensor_content", b"")
        tensor.string_val.extend(parts.get("string_val", []))
        tensor.int64_val.extend(parts.get("int64_val", []))
    meta.graph_def = graph.SerializeToString()
    objects = meta.object_graph_def
    for edges in ({"layer": 1}, {"lookup_table": 2}, {"_initialize": 3}, {}, {}, {}):
        node = objects.nodes.add()
        for name, target in edges.items():
            node.children.add(local_name=name, node_id=target)
    objects.nodes[3].function.concrete_functions.append("fill")
    for place, name in ((4, "k"), (5, "v")):
        objects.nodes[place].constant.operation = name
    if change.get("asset"):
        objects.nodes[4].ClearField("constant")
    entry = objects.concrete_functions.add(key="fill")
    entry.value.bound_inputs.extend(change.get("bound", [2, 4, 5]))
    return meta


def words_in(meta: Any, inverse: bool = False) -> list[Any]:
    weight = words_at(meta, ("layer",), inverse)
    assert weight is not None
    made: list[Any] = weight.read().tolist()
    return made


def test_tables() -> None:
    packed = {"values": {"int64_val": [], "tensor_content": np.array([2, 3], "<i8").tobytes()}}
    assert words_in(table()) == words_in(table(**packed)) == [None, None, "b", "a"]
    turned = {"keys": {"dtype": INT64, "string_val": [], "int64_val": [1, 2]}, "values": {"int64_val": [7, 8]}}
    assert words_in(table(**turned), inverse=True) == [None, "7", "8"]
    assert words_at(table(), ("nobody",), False) is None
    assert words_at(table(bound=[]), ("layer",), False) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"asset": True}, "a vocabulary read from a file next to the model"),
        ({"bound": [2, 4]}, "a vocabulary read from a file"),
        ({"bound": [1, 4, 5]}, "a vocabulary read from a file"),
        ({"bound": [2, 4, 99]}, "a vocabulary read from a file"),
        ({"op": "Variable"}, "filled by what is no constant"),
        ({"keys": {"string_val": [b"\xff", b"a"]}}, "a word that is not UTF-8"),
        ({"keys": {"shape": [10**9]}}, "a vocabulary of shape"),
        ({"keys": {"shape": [1, 2]}}, "a vocabulary of shape"),
        ({"keys": {"string_val": [b"a"] * 3}}, "whose size is not its shape's"),
        ({"keys": {"string_val": []}}, "whose size is not its shape's"),
        ({"keys": {"shape": [3]}}, "do not count up by one"),
        ({"values": {"int64_val": [2, 4]}}, "do not count up by one"),
        ({"values": {"int64_val": [-1, 0]}}, "do not count up by one"),
        ({"values": {"int64_val": [10**12, 10**12 + 1]}}, "do not count up by one"),
        ({"values": {"dtype": 3}}, "TensorFlow's type 3"),
        ({"values": {"int64_val": [], "tensor_content": b"1234567"}}, "whose size is not its shape's"),
    ],
)
def test_broken_tables(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        words_in(table(**change))
