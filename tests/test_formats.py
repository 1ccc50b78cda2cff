"""HDF5: what a file may hold is read exactly, what it must not hold is refused before it costs anything."""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.formats import hdf5


def root_of(path: Path, write) -> hdf5.Group:
    with h5py.File(path, "w") as file:
        write(file)
    return hdf5.open_file(path)


# --- HDF5 arrays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8", "<i4", ">i8", "u1", "?"])
@pytest.mark.parametrize("shape", [(), (1,), (5, 3), (2, 3, 4), (0, 3)])
def test_arrays_come_native_and_equal(tmp_path, dtype, shape):
    values = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    weight = root_of(tmp_path / "a.h5", lambda f: f.create_dataset("g/w", data=values)).weight("g", "w", name="w")
    read = weight.read()
    assert (read.shape, read.dtype.name, read.dtype.isnative) == (shape, weight.dtype, True)
    np.testing.assert_array_equal(read, values)
    assert weight.shape == shape
    np.testing.assert_array_equal(np.concatenate([r.reshape(-1) for r in weight.rows(8)]), values.reshape(-1))


@pytest.mark.parametrize("marked", [True, False])
def test_two_opaque_bytes_are_bfloat16(tmp_path, marked):
    import ml_dtypes

    values = np.array([1.5, -2.0, 1e30], ml_dtypes.bfloat16)

    def write(file):
        dataset = file.create_dataset("w", data=values.view("V2"))
        if marked:
            dataset.attrs["dtype"] = "bfloat16"

    weight = root_of(tmp_path / "a.h5", write).weight("w", name="w")
    assert weight.dtype == "bfloat16"
    np.testing.assert_array_equal(weight.read(), values)
    np.testing.assert_array_equal(weight.read_rows(1, 3), values[1:])


def test_other_opaque_bytes_are_refused(tmp_path):
    def write(file):
        file.create_dataset("w", data=np.zeros(3, "V2")).attrs["dtype"] = "float8_e4m3fn"

    with pytest.raises(Unsupported, match="bfloat16"):
        root_of(tmp_path / "a.h5", write).weight("w", name="w")


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (4, 4)},
        {"chunks": (4, 4), "compression": "gzip"},
        {"chunks": (3, 5), "compression": "gzip", "shuffle": True, "fletcher32": True},
    ],
)
def test_chunks_and_deflate_are_read(tmp_path, options):
    values = np.arange(60, dtype="f4").reshape(10, 6)
    root = root_of(tmp_path / "a.h5", lambda f: f.create_dataset("w", data=values, **options))
    np.testing.assert_array_equal(root.weight("w", name="w").read(), values)


HOSTILE = {
    "never written": lambda f: f.create_dataset("w", (1 << 18, 1 << 18), "f4"),
    "no chunk": lambda f: f.create_dataset("w", (1 << 18, 1 << 18), "f4", chunks=(1, 64), compression="gzip"),
    "one chunk of two": lambda f: f.create_dataset("w", (128,), "f4", chunks=(64,)).__setitem__(slice(0, 64), 1),
    "external storage": lambda f: f.create_dataset("w", (2,), "f4", external=[("/etc/passwd", 0, 8)]),
    "virtual": lambda f: f.create_virtual_dataset("w", _virtual()),
    "soft link": lambda f: f.__setitem__("w", h5py.SoftLink("/w")),
    "external link": lambda f: f.__setitem__("w", h5py.ExternalLink("/etc/passwd", "/")),
    "text": lambda f: f.create_dataset("w", data=np.array([b"abcd"])),
    "variable length": lambda f: f.create_dataset("w", (2,), h5py.vlen_dtype(np.float32)),
    "compound": lambda f: f.create_dataset("w", data=np.zeros(2, [("a", "f4")])),
    "reference": lambda f: f.create_dataset("w", (2,), h5py.ref_dtype),
    "complex": lambda f: f.create_dataset("w", data=np.zeros(2, "c8")),
    "no shape": lambda f: f.create_dataset("w", data=h5py.Empty("f4")),
    "a group": lambda f: f.create_group("w"),
    "missing": lambda f: None,
    "lzf": lambda f: f.create_dataset("w", data=np.zeros(9), chunks=(9,), compression="lzf"),
    "scale offset": lambda f: f.create_dataset("w", data=np.zeros(9), chunks=(9,), scaleoffset=3),
    "bomb above what weights compress to": lambda f: f.create_dataset(
        "w", data=np.zeros((5 << 12, 1 << 12), "f4"), chunks=(1 << 10, 1 << 12), compression="gzip"
    ),
}


def _virtual() -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "w", (4,))
    return layout


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_arrays_are_refused_when_described(tmp_path, kind):
    root = root_of(tmp_path / "a.h5", HOSTILE[kind])
    with pytest.raises(ConversionError) as caught:
        root.weight("w", name="w")
    assert caught.value.where == "/w"


def test_a_chunk_that_inflates_too_far_is_refused_when_read(tmp_path):
    def write(file):
        dataset = file.create_dataset("w", (1024,), "f4", chunks=(1024,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 22)))

    weight = root_of(tmp_path / "a.h5", write).weight("w", name="w")
    with pytest.raises(InvalidModel, match="inflate"):
        weight.read()


def test_links_out_of_the_file_are_never_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["g/w"] = np.ones(3, "f4")
    root = root_of(tmp_path / "a.h5", lambda f: f.__setitem__("g", h5py.ExternalLink("secret.h5", "/g")))
    for attempt in (lambda: root.group("g"), lambda: root.weight("g", "w", name="w"), root.groups):
        with pytest.raises(InvalidModel, match="never followed"):
            attempt()


def test_loops_and_second_paths_are_refused(tmp_path):
    def write(file):
        file.create_group("a/b")
        file["a/b/loop"] = file["a"]
        file["top"] = file["/"]

    root = root_of(tmp_path / "a.h5", write)
    for path in (("a", "b", "loop"), ("top",)):
        with pytest.raises(InvalidModel, match="linked twice"):
            root.group(*path)


@pytest.mark.parametrize("path", ["/a", "a/../b", "a//b", "./a", "", "a/"])
def test_paths_that_leave_a_group_are_refused(path):
    with pytest.raises(InvalidModel):
        hdf5.split(path)


# --- HDF5 attributes and files ----------------------------------------------------------------------------------------

SPELLINGS = {
    "fixed": np.array([b"one", b"two"]),
    "variable": np.array(["one", "two"], object),
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_lists_of_names_in_every_spelling(tmp_path, kind):
    assert root_of(tmp_path / "a.h5", lambda f: f.attrs.create("n", SPELLINGS[kind])).texts("n") == ("one", "two")


def test_names_empty_split_absent_and_with_a_gap(tmp_path):
    def write(file):
        file.attrs["empty"] = np.zeros(0)
        file.attrs["null"] = h5py.Empty("S1")
        for k in range(11):
            file.attrs[f"split{k}"] = np.array([f"{k}a".encode(), f"{k}b".encode()])
        file.attrs["gap0"], file.attrs["gap2"] = [b"x"], [b"y"]
        file.attrs["number"] = [1.0]
        file.attrs["latin"] = np.array([b"\xff\xfe"])
        file.attrs["config0"], file.attrs["config1"] = b'{"a', b'":1}'

    root = root_of(tmp_path / "a.h5", write)
    assert root.texts("empty") == root.texts("null") == ()
    assert root.texts("split") == tuple(f"{k}{c}" for k in range(11) for c in "ab")
    assert root.texts("absent") is None
    assert root.joined_text("config") == '{"a":1}'
    for name in ("gap", "number", "latin"):
        with pytest.raises(InvalidModel, match=name):
            root.texts(name)


def test_every_truncation_is_one_clear_error(tmp_path):
    whole = tmp_path / "a.h5"
    root_of(whole, lambda f: f.create_dataset("g/w", data=np.ones((50, 50), "f4")))
    data = whole.read_bytes()
    for size in (8, 30, 95, 512, len(data) // 2, len(data) - 1):
        cut = tmp_path / f"{size}.h5"
        cut.write_bytes(data[:size])
        with pytest.raises(InvalidModel, match="HDF5 cannot read it"):
            hdf5.open_file(cut).weight("g", "w", name="w").read()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes_give_values_or_a_conversion_error(tmp_path, flips):
    path = tmp_path / "whole.h5"
    if not path.exists():
        root_of(path, _small_model)
    data = bytearray(path.read_bytes())
    for at, value in flips:
        data[at % len(data)] = value
    broken = tmp_path / "broken.h5"
    broken.write_bytes(data)
    try:
        root = hdf5.open_file(broken)
        for name in root.texts("layer_names") or ():
            root.weight(*hdf5.split(name), "w", name="w").read()
    except ConversionError:
        pass


def _small_model(file: h5py.File) -> None:
    file.attrs["layer_names"] = [b"a", b"b"]
    for name in "ab":
        file.create_dataset(f"{name}/w", data=np.ones((3, 4), "f4"))


def test_signature_behind_a_user_block(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=1024) as file:
        file["w"] = np.ones(3, "f4")
    (tmp_path / "b.h5").write_bytes(b"\x89HDF")
    assert hdf5.is_hdf5(tmp_path / "a.h5")
    assert not hdf5.is_hdf5(tmp_path / "b.h5")
    np.testing.assert_array_equal(hdf5.open_file(tmp_path / "a.h5").weight("w", name="w").read(), np.ones(3))
