"""Files that ask for more than they hold: each limit is met before anything is allocated, and named."""

from __future__ import annotations

import io
import itertools
import json
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter import limits
from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.formats import hdf5, npz, pickle_machine, pytorch
from converter.formats.text import parse_json, parse_yaml
from converter.keras.arrays.chains import orders

STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuJ\x04\0\0\0tQ"


def machine(program: bytes) -> object:
    return pickle_machine.load(program, {("m", "call"): lambda *a: len(a)}, lambda pid: pid)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9) | st.integers(0, 9), inner,
                                                                    max_size=4) | st.tuples(inner, inner),
        max_leaves=9,
    ),
    st.integers(2, 5),
)  # fmt: skip
def test_the_machine_reads_plain_values_as_python_does(value, protocol):
    assert machine(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"\x80\x02})" + b"\x85" * 100_000 + b"Ns.", "a tuple as a key"),
        (b"\x80\x02]r\xff\xff\xff\x7f0.", "broken"),
        (b"\x80\x02X\xff\xff\xff\x7f.", "a text of 2147483647 bytes"),
        (b"\x80\x02\x8a\xff" + b"\xff" * 255 + b".", "an integer of 255 bytes"),
        (b"\x80\x02h\x01.", "broken"),
        (b"\x80\x02(.", ""),
        (b"\x80\x02cm\ncall\nNR.", "broken"),
        (b"", "broken"),
    ],
)
def test_programs_larger_or_other_than_honest_ones_end_in_one_line(program, message):
    if message:
        with pytest.raises(InvalidModel, match=message):
            machine(program)
    else:
        machine(program)


def test_the_steps_of_a_program_are_counted(monkeypatch):
    monkeypatch.setattr(limits, "PICKLE_STEPS", 1000)
    with pytest.raises(InvalidModel, match="more than 1000 steps"):
        machine(b"\x80\x02)" + b"\x85" * 1000 + b".")


@pytest.mark.parametrize(
    "program", [b"cos\nsystem\n.", b"\x8c\x02os\x8c\x06system\x93.", b"(ios\nsystem\n.", b"\x82\x01."]
)
def test_no_name_outside_the_table_is_looked_up(program):
    with pytest.raises(Unsupported, match=r"not run|not done"):
        machine(program)


def torch_file(path: Path, tensors: bytes, storage: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}" + tensors + b".")
        archive.writestr("m/data/0", storage)
    return path


def tensor(name: str, size: int, shape: bytes, strides: bytes) -> bytes:
    key = name.encode()
    storage = (
        b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuJ" + struct.pack("<i", size) + b"tQ"
    )
    called = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0" + shape + strides + b"tR"
    return b"X" + struct.pack("<I", len(key)) + key + called + b"s"


def test_arrays_that_share_one_storage_are_counted_each(tmp_path):
    size = 1 << 20
    one = b"(J" + struct.pack("<i", size) + b"t", b"(K\x01t"
    tied = torch_file(tmp_path / "tied.pt", b"".join(tensor(f"l{k}", size, *one) for k in range(12)), bytes(4 * size))
    assert len(pytorch.read(tied)) == 12
    many = torch_file(tmp_path / "many.pt", b"".join(tensor(f"l{k}", size, *one) for k in range(300)), bytes(4 * size))
    with pytest.raises(InvalidModel, match="share storages"):
        pytorch.read(many)


def test_a_shape_of_many_axes_is_not_multiplied(tmp_path):
    sizes = b"(" + b"\x8a\x06" * 0 + b"J\xff\xff\xff\x7f" * 100_000 + b"t"
    with pytest.raises(InvalidModel, match="100000 axes"):
        pytorch.read(torch_file(tmp_path / "m.pt", tensor("a", 4, sizes, sizes), bytes(16)))


def test_a_text_of_brackets_is_not_made_into_objects():
    with pytest.raises(InvalidModel, match="brackets and commas"):
        parse_json("[" + "{}," * (limits.TEXT_NODES // 2) + "{}]", "config.json")


def test_five_thousand_layers_stay_inside_the_limits_of_texts():
    layer = {
        "class_name": "LSTM",
        "config": {f"argument_{k}": {"class_name": "Zeros", "config": {}} for k in range(40)},
    }
    text = json.dumps(layer)
    assert 5000 * sum(map(text.count, "[{,")) < limits.TEXT_NODES / 2
    assert 5000 * len(text) < limits.TEXT_BYTES / 2


def test_the_key_that_stands_twice_is_found_in_one_pass():
    keys = ",".join(f'"{k}":0' for k in range(20_000))
    with pytest.raises(InvalidModel, match="'19999' occurs twice"):
        parse_json("{" + keys + ',"19999":0}', "")


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "1:" * 100_000 + "1", "a: " + "1:" * 2000 + "1.5", "a: " + "9" * 5000, "- " * 500_000, "[" * 100_000,
        "a: &a {b: 1}\nc: {<<: *a}", "[" + "[]," * 100_000 + "]", "a: 9999-99-99", "? [1]\n: 2", "a: !!binary '='",
        "a: !!set {b}", "? !!python/tuple [1]\n: 2", "a: !!float x", "a: !!int ''", "a: !!float ''",
        "a: !!bool x", "a: !!timestamp x", "!!python/object/apply:os.system [x]", "a: !!omap [b]", "a: !!null [1]",
    ],
)  # fmt: skip
def test_yaml_beyond_plain_values_is_refused(text):
    with pytest.raises(ConversionError):
        parse_yaml(text, "model.yaml")


def test_texts_that_all_lie_at_one_place_take_no_memory(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(["x" * 60_000, *("y" * k for k in range(1, 3001))], object)
    data = bytearray(path.read_bytes())
    sizes = [struct.pack("<I", size) for size in (60_000, 1, 2)]  # of the first texts, each with its place behind it
    start = next(k for k in range(len(data) - 36) if [data[k + 16 * n : k + 16 * n + 4] for n in range(3)] == sizes)
    data[start : start + 16 * 3001] = data[start : start + 16] * 3001
    large = tmp_path / "large.h5"
    large.write_bytes(bytes(data))
    limit = limits.HDF5_TEXTS
    try:
        limits.HDF5_TEXTS = 64 << 20
        with pytest.raises(InvalidModel, match="attribute 'layer_names'"):
            hdf5.open_file(large).texts("layer_names")
    finally:
        limits.HDF5_TEXTS = limit
    assert len(hdf5.open_file(path).texts("layer_names")) == 3001


def test_a_text_in_more_parts_than_any_is_refused(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for k in range(limits.HDF5_PARTS + 1):
            file.attrs[f"model_config{k}"] = b"{"
    with pytest.raises(InvalidModel, match="attributes"):
        hdf5.open_file(path).joined_text("model_config")


@given(st.lists(st.tuples(st.integers(0, 3) | st.none(), st.integers(0, 3)), min_size=1, max_size=6))
def test_the_order_of_layers_is_that_of_all_permutations(arrows):
    rows = [
        row
        for row in itertools.permutations(range(len(arrows)))
        if all(arrows[a][1] == arrows[b][0] for a, b in itertools.pairwise(row))
    ]
    order, alone = orders(arrows)
    assert (alone, bool(order)) == (len(rows) == 1, bool(rows))
    if alone:
        assert order == rows[0]


def test_the_order_of_many_layers_takes_no_permutations():
    assert orders([(5, 5)] * 14 + [(7, 9)]) == ((), False)
    assert orders([(k, k + 1) for k in reversed(range(3000))]) == (tuple(reversed(range(3000))), True)


def test_a_deflated_member_may_not_be_far_larger_than_it_is_stored(tmp_path):
    from converter.formats.archive import open_zip

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", bytes(limits.ZIP_FREE + 1))
    (tmp_path / "m.zip").write_bytes(stream.getvalue())
    with pytest.raises(InvalidModel, match="inflates from"):
        open_zip(tmp_path / "m.zip").read("a", 1 << 30)


@pytest.mark.parametrize("metadata", [np.array(7), np.array(b"{}"), np.array(["{", "}"]), np.array("{")])
def test_an_archive_whose_metadata_is_no_text_is_refused(metadata, tmp_path):
    np.savez(tmp_path / "m.npz", metadata=metadata)
    with pytest.raises(InvalidModel, match="its metadata is no"):
        npz.read(tmp_path / "m.npz")


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"()", b"(("), (b"'shape'", b"\n'shape'"), (b"<U2", b"|O8"), (b"<U2", b"<U3"), (b"NUMPY", b"NUMPI")],
)
def test_a_header_of_an_array_that_numpy_cannot_read_is_refused(old, new, tmp_path):
    """A bracket that stays open is no ValueError but tokenize's own (found by fuzzing)."""
    array = io.BytesIO()
    np.save(array, np.array("{}"))
    data = array.getvalue()
    assert old in data
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("metadata.npy", data.replace(old, new, 1))
    with pytest.raises(InvalidModel, match="no NumPy array"):
        npz.read(tmp_path / "m.npz")


def test_text_of_an_archive_is_held_to_unicode(tmp_path):
    """NumPy takes any 32 bits for a character; Python cannot even print such a text (found by fuzzing)."""
    metadata = np.full((), '{"a": "b"}')
    np.savez(tmp_path / "good.npz", metadata=metadata)
    assert npz.read(tmp_path / "good.npz").metadata == {"a": "b"}
    data = bytearray(metadata.tobytes())
    data[7 * 4 : 8 * 4] = struct.pack("<I", 0x400006)
    np.savez(tmp_path / "broken.npz", metadata=np.frombuffer(data, metadata.dtype).reshape(()))
    with pytest.raises(InvalidModel, match="its metadata is no JSON text"):
        npz.read(tmp_path / "broken.npz")
