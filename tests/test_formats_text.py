"""Formats: ZIP files, folders, JSON and YAML are read as data, within bounds."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converter.errors import InvalidModel, Unsupported
from converter.formats import hdf5
from converter.formats.archive import Folder, open_zip, sha256
from converter.formats.text import decode, parse_json, parse_yaml
from converter.limits import TEXT_DEPTH

# --- ZIP --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_hdf5_inside_a_zip_is_read_in_place(tmp_path, method):
    values = np.random.default_rng(1).random((300, 40)).astype("f4")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["g/w"] = values
    with zipfile.ZipFile(tmp_path / "m.zip", "w", method) as file:
        file.writestr("first.txt", "x" * 77)
        file.write(tmp_path / "w.h5", "w.h5")
    stream, size = open_zip(tmp_path / "m.zip").open("w.h5")
    assert size == (tmp_path / "w.h5").stat().st_size
    np.testing.assert_array_equal(hdf5.open_stream(stream, size).weight("g", "w", name="w").read(), values)


def zip_of(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


@pytest.mark.parametrize("open_it", [lambda z: z.open("a"), lambda z: z.read("a", 1 << 20)])
def test_damaged_members_are_refused(tmp_path, open_it):
    data = bytearray(zip_of(tmp_path / "m.zip", a=b"hello world").read_bytes())
    data[data.index(b"hello")] ^= 1
    (tmp_path / "m.zip").write_bytes(data)
    with pytest.raises(InvalidModel):
        open_it(open_zip(tmp_path / "m.zip"))


def test_encrypted_links_and_oversized_members_are_refused(tmp_path):
    data = bytearray(zip_of(tmp_path / "e.zip", a=b"hello").read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 8, 1)
    (tmp_path / "e.zip").write_bytes(data)
    with pytest.raises(Unsupported, match="encrypted"):
        open_zip(tmp_path / "e.zip").open("a")
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as file:
        link = zipfile.ZipInfo("a")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(InvalidModel, match="link"):
        open_zip(tmp_path / "l.zip").read("a", 100)
    with pytest.raises(InvalidModel, match="more than"):
        open_zip(zip_of(tmp_path / "b.zip", a=bytes(1000))).read("a", 999)


def test_bombs_duplicates_and_truncations_of_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file, file.open("a", "w") as member:
        for _ in range(70):
            member.write(bytes(1 << 20))
    with pytest.raises(InvalidModel, match="inflates"):
        open_zip(tmp_path / "bomb.zip").open("a")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("a", "1")
        file.writestr("a", "2")
    with pytest.raises(InvalidModel, match="same name"):
        open_zip(tmp_path / "twice.zip")
    data = zip_of(tmp_path / "m.zip", a=b"hello").read_bytes()
    for size in (3, 22, len(data) - 1):
        (tmp_path / "cut.zip").write_bytes(data[:size])
        with pytest.raises(InvalidModel):
            open_zip(tmp_path / "cut.zip")


def test_folders_have_the_same_members(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    folder = Folder(tmp_path)
    assert (folder.names(), folder.read("a", 3)) == ({"a"}, b"abc")
    with pytest.raises(InvalidModel):
        folder.read("a", 2)
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# --- text -------------------------------------------------------------------------------------------------------------

TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**19) + 1, 10**19 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(TREES)
def test_json_reads_what_json_writes(tree):
    assert parse_json(json.dumps(tree), "") == tree
    assert parse_json(json.dumps(tree, ensure_ascii=False), "") == tree


@pytest.mark.parametrize(
    "text",
    [
        "nan", "+Infinity", "1" * 20, "-" + "1" * 20, "1e999", '{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', "{", "", "[1,]",
        '"\\ud800"', "[" * (TEXT_DEPTH + 1) + "]" * (TEXT_DEPTH + 1), '{"a":' * 5000, '"' + "\\" * 99_999, "'a'",
    ],
)  # fmt: skip
def test_json_that_is_refused(text):
    with pytest.raises(InvalidModel) as caught:
        parse_json(text, "config.json")
    assert caught.value.where == "config.json"


def test_what_is_not_a_number_is_read_as_keras_writes_it():
    assert math.isnan(parse_json(json.dumps({"mask_value": math.nan}), "")["mask_value"])
    assert math.isnan(parse_yaml("mask_value: .nan", "")["mask_value"])
    assert parse_yaml("clipnorm: -.inf", "") == parse_json('{"clipnorm": -Infinity}', "") == {"clipnorm": -math.inf}


def test_brackets_in_texts_are_no_depth():
    assert parse_json(json.dumps(['["\\' * 1000]), "") == ['["\\' * 1000]
    assert parse_json("[" * TEXT_DEPTH + "]" * TEXT_DEPTH, "")


def test_text_is_utf8():
    assert decode("\ufeffé".encode(), "") == "é"
    with pytest.raises(InvalidModel, match="UTF-8"):
        decode("é".encode("utf-16"), "")


def test_yaml_of_keras():
    text = "a: !!python/tuple [1, 2]\nb: &x {c: !!python/unicode 'd'}\ne: *x\n"
    text += "f: !!python/object/apply:builtins.dict\n- g: 1.5\n"
    assert parse_yaml(text, "") == {"a": [1, 2], "b": {"c": "d"}, "e": {"c": "d"}, "f": {"g": 1.5}}


LAUGHS = "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9) if k else 1}]\n" for k in range(9))


@pytest.mark.parametrize(
    "text",
    ["!!python/object/apply:os.system ['touch PWNED']", "a: 2016-01-01", "1: a", "a: [", LAUGHS, "[" * 3000,
     "a: &a [*a]", "a: 99999999999999999999"],
)  # fmt: skip
def test_yaml_that_is_refused(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidModel):
        parse_yaml(text, "model.yaml")
    assert not list(tmp_path.iterdir())
