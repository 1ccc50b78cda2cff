"""Tensor bundles: what is written is read, in every form the format has; what is changed is noticed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from bundle_files import CODES, Tensor, crc32c, field, masked, numbers, sliced, strings, table, varint, write
from hypothesis import given, settings
from hypothesis import strategies as st

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.formats import crc32c as checksum
from converter.formats.snappy import decompress
from converter.formats.sorted_table import read_table
from converter.formats.tensor_bundle import open_bundle
from converter.formats.tensor_slices import slice_key

RNG = np.random.default_rng(0)


def some(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.startswith(("bfloat", "float8")):
        ml_dtypes = pytest.importorskip("ml_dtypes")
        return RNG.normal(size=shape).astype(getattr(ml_dtypes, dtype))
    if dtype.startswith("complex"):
        return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(dtype)
    return (
        (RNG.normal(size=shape) * 50).astype(dtype)
        if dtype != "uint64"
        else RNG.integers(0, 1 << 63, shape).astype(dtype)
    )


def same(weight, array) -> bool:
    read = weight.read()
    rows = np.concatenate([block for block in weight.rows(40)]) if weight.shape else read
    described = weight.shape == array.shape == read.shape and weight.dtype == array.dtype.name == read.dtype.name
    return described and read.dtype.isnative and read.tobytes() == array.tobytes() == rows.tobytes()


# --- checksums and compression ----------------------------------------------------------------------------------------


def test_crc32c_of_the_specification() -> None:
    assert checksum.crc32c(b"123456789") == 0xE3069283  # RFC 3720 and every catalog
    assert checksum.extend_numpy(0, bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert checksum.masked(checksum.crc32c(b"foo")).to_bytes(4, "little") == masked(b"foo")


@pytest.mark.parametrize("size", [0, 1, 3, 2047, 2048, 2049, 5000, (1 << 20) - 1, (1 << 20) + 5])
def test_crc32c_by_numpy_is_the_bytewise_one(size: int) -> None:
    data = random.Random(size).randbytes(size)
    state = 0xFFFFFFFF
    byte_table = [crc32c(bytes([b])) ^ crc32c(b"\0") for b in range(256)]  # linear: xor removes init and final xor
    for byte in data:
        state = byte_table[(state ^ byte) & 0xFF] ^ state >> 8
    cut = size // 3
    assert checksum.extend_numpy(checksum.extend_numpy(0, data[:cut]), data[cut:]) == state ^ 0xFFFFFFFF


def test_snappy_copies_and_literals() -> None:
    block = varint(14) + bytes([3 << 2]) + b"abcd" + bytes([2 << 2 | 1, 4]) + bytes([3 << 2 | 2, 2, 0])
    assert decompress(block, 100) == b"abcdabcdab" + b"abab"
    long = bytes(range(256)) * 300
    literal = varint(len(long)) + bytes([61 << 2]) + (len(long) - 1 & 0xFFFF).to_bytes(2, "little")
    assert decompress(varint(300) + literal[3:4] + (299).to_bytes(2, "little") + long[:300], 1000) == long[:300]


@pytest.mark.parametrize(
    "block",
    [b"", b"\xff" * 9, varint(5) + b"\x10abc", varint(4) + bytes([1, 9]), varint(9) + b"\x00a", varint(1) + b"\x04ab"],
)
def test_snappy_refuses(block: bytes) -> None:
    with pytest.raises(InvalidModel):
        decompress(block, 1000)


def test_snappy_bound() -> None:
    with pytest.raises(InvalidModel, match="claims 1000000 bytes"):
        decompress(varint(1_000_000) + b"\x00a", 100)


# --- what is written is read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
def test_dtypes_and_byte_orders(tmp_path: Path, order: str) -> None:
    arrays = {f"{dtype}{len(shape)}": some(dtype, shape) for dtype in CODES for shape in [(), (3,), (4, 0), (5, 2, 3)]}
    prefix = write(tmp_path / "w", {k: numbers(a, order=order) for k, a in arrays.items()}, big=order == ">")
    bundle = open_bundle(prefix)
    assert list(bundle.entries) == sorted(arrays)
    for name, array in arrays.items():
        assert same(bundle.weight(name), array), name


@pytest.mark.parametrize("options", [{}, {"block_size": 200}, {"restart": 1}, {"kind": 1}])
def test_tables(tmp_path: Path, options: dict[str, int]) -> None:
    arrays = {
        f"layer_with_weights-{i}/cell/{n}": some("float32", (i % 4, 3)) for i in range(40) for n in ("kernel", "bias")
    }
    shards = {key: i % 3 for i, key in enumerate(arrays)}
    prefix = write(tmp_path / "w", {k: numbers(a, shards[k]) for k, a in arrays.items()}, shards=3, **options)
    bundle = open_bundle(prefix)
    assert all(same(bundle.weight(key), array) for key, array in arrays.items())


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
@settings(deadline=None, max_examples=30)
def test_strings(tmp_path_factory: pytest.TempPathFactory, texts: list[bytes]) -> None:
    prefix = write(tmp_path_factory.mktemp("s") / "w", {"s": strings(texts, (len(texts),)), "one": strings([b"x"])})
    bundle = open_bundle(prefix)
    assert bundle.strings("s") == texts
    assert bundle.string("one") == b"x"
    with pytest.raises(Unsupported, match="holds strings"):
        bundle.weight("s")


@pytest.mark.parametrize(
    ("boxes", "shape"),
    [
        ([[(0, 4), None], [(4, 6), None]], (10, 3)),
        ([[None, (0, 64)], [None, (64, 64)], [None, (128, 72)]], (2, 200)),
        ([[(0, 2), (0, 5)], [(0, 2), (5, 1)], [(2, 1), None]], (3, 6)),
        ([[(0, 8192)], [(8192, 9)]], (8201,)),
    ],
)
def test_slices(tmp_path: Path, boxes: list[list[tuple[int, int] | None]], shape: tuple[int, ...]) -> None:
    array = some("float32", shape)
    tensors: dict[str | bytes, Tensor] = {"v": sliced(1, shape, boxes), "other": numbers(some("int8", (7,)))}
    for box in boxes:
        place = tuple(slice(None) if e is None else slice(e[0], e[0] + e[1]) for e in box)
        key = slice_key("v", tuple((0, -1) if e is None else e for e in box))
        assert key.startswith(b"\0v\0\1\1")
        tensors[key] = numbers(array[place])
    bundle = open_bundle(write(tmp_path / "w", tensors))
    assert list(bundle.entries) == ["other", "v"]
    assert same(bundle.weight("v"), array)


def test_slice_key_is_tensorflows() -> None:
    """Keys that TensorFlow 2.21 wrote for partitioned variables, and one computed from ordered_code.cc."""
    assert slice_key("part_v", ((0, 65), (0, 24))) == b"\x00part_v\x00\x01\x01\x02\x80\xc0A\x80\x98"
    assert slice_key("part_w", ((0, 3), (13334, 6666))) == b"\x00part_w\x00\x01\x01\x02\x80\x83\xe04\x16\xda\n"
    assert slice_key("a", ((0, -1), (64, 63))) == b"\x00a\x00\x01\x01\x02\x80\x7f\xc0\x40\xbf"


# --- what is broken is refused ----------------------------------------------------------------------------------------


def entry(**changes: bytes | int) -> bytes:
    """The entry of four floats with fields replaced; a later field of a message wins."""
    data = np.arange(4, dtype="<f4").tobytes()
    proto = Tensor(1, (4,), data, masked(data)).proto(0)
    numbered = {"dtype": 1, "shard": 3, "offset": 4, "size": 5}
    return proto + b"".join(field(numbered[name], value) for name, value in changes.items())


BROKEN = {
    "negative size": entry(size=-16),
    "huge size": entry(size=1 << 62),
    "negative offset": entry(offset=-1),
    "no such shard": entry(shard=1),
    "shape and size": entry(dtype=2),
    "negative axis": field(1, 1) + field(2, field(2, field(1, -4))) + field(5, 16),
    "overflow": field(1, 1) + field(2, field(2, field(1, 1 << 32)) * 2),
    "overflow of nothing": field(1, 1) + field(2, field(2, field(1, 1 << 62)) + field(2, b"")),
    "unknown rank": field(1, 1) + field(2, field(3, 1)),
    "many axes": field(1, 1) + field(2, field(2, field(1, 1)) * 100) + field(5, 4),
    "many strings": field(1, 7) + field(2, field(2, field(1, 1 << 40))) + field(5, 16),
    "slices that are missing": sliced(1, (4,), [[(0, 2)], [(2, 2)]]).proto(0),
    "no message": b"\x0a\xff",
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_entries(tmp_path: Path, what: str) -> None:
    header = field(1, 1) + field(3, field(1, 1))
    (tmp_path / "w.index").write_bytes(table({b"": header, b"v": BROKEN[what]}))
    (tmp_path / "w.data-00000-of-00001").write_bytes(np.arange(4, dtype="<f4").tobytes())
    with pytest.raises(InvalidModel, match="v"):
        open_bundle(tmp_path / "w").weight("v").read()


@pytest.mark.parametrize(
    ("shape", "boxes", "message"),
    [
        ((4,), [[(0, 3)], [(2, 2)]], "two slices overlap"),
        ((4,), [[(0, 1)], [(2, 2)]], "do not cover"),
        ((4,), [[(0, 2)], [(2, 3)]], "reaches over"),
        ((4,), [[(-1, 5)]], "reaches over"),
        ((), [[]], "do not fit"),
        ((4,), [[(0, 4), None]], "do not fit"),
    ],
)
def test_broken_slices(tmp_path: Path, shape: tuple, boxes: list, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        open_bundle(write(tmp_path / "w", {"v": sliced(1, shape, boxes)}))


@pytest.mark.parametrize("header", [field(1, 0), field(1, -1), field(1, 1 << 30), field(1, 1) + field(2, 2), b"\xff"])
def test_broken_headers(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "w.index").write_bytes(table({b"": header}))
    with pytest.raises(InvalidModel, match=r"w\.index"):
        open_bundle(tmp_path / "w")


def test_tables_out_of_order() -> None:
    with pytest.raises(InvalidModel, match="out of order"):
        list(read_table(table({b"b": b"", b"a": b""})))


def test_unknown_compression() -> None:
    with pytest.raises(InvalidModel, match="unknown way"):
        list(read_table(table({b"a": b""}, kind=7)))


@pytest.mark.parametrize("code", [20, 21, 29, 99])
def test_what_is_no_number(tmp_path: Path, code: int) -> None:
    bundle = open_bundle(write(tmp_path / "w", {"v": Tensor(code, (4,), b"1234", masked(b"1234"))}))
    with pytest.raises(Unsupported, match="v: the tensor holds"):
        bundle.weight("v")


def test_changed_data_is_noticed_however_it_is_read(tmp_path: Path) -> None:
    prefix = write(tmp_path / "w", {"v": numbers(some("float32", (6, 50))), "s": strings([b"abc"])})
    data = tmp_path / "w.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    content[2] ^= 1
    data.write_bytes(content)
    bundle = open_bundle(prefix)
    weight = bundle.weight("v")
    assert weight.read_rows is not None
    for read in (weight.read, lambda: weight.read_rows(0, 1), lambda: bundle.string("s")):
        with pytest.raises(InvalidModel, match="checksum"):
            read()


@pytest.mark.parametrize("place", [0, 2, -1])
def test_changed_strings_are_noticed(tmp_path: Path, place: int) -> None:
    """A changed length, a changed checksum of the lengths, a changed byte."""
    tensor = strings([b"abc", b"d"], (2,))
    data = bytearray(tensor.data)
    data[place] ^= 1
    bundle = open_bundle(write(tmp_path / "w", {"s": Tensor(7, (2,), bytes(data), tensor.crc)}))
    with pytest.raises(InvalidModel, match=r"s: .*(checksum|bytes)"):
        bundle.strings("s")


def test_data_files_that_are_not_there_or_elsewhere(tmp_path: Path) -> None:
    prefix = write(tmp_path / "a" / "w", {"v": numbers(some("float32", (2,)))})
    data = tmp_path / "a" / "w.data-00000-of-00001"
    content = data.read_bytes()
    data.write_bytes(content[:-1])
    with pytest.raises(InvalidModel, match="cut off"):
        open_bundle(prefix).weight("v")
    data.unlink()
    with pytest.raises(InvalidModel, match="missing"):
        open_bundle(prefix).weight("v")
    (tmp_path / "secret").write_bytes(content)
    data.symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidModel, match="link out of its folder"):
        open_bundle(prefix).weight("v")


def test_changed_indices_never_escape(tmp_path: Path) -> None:
    """Changed, cut and lengthened indices are refused; none is read as something else."""
    prefix = write(tmp_path / "w", {f"layer/{i}": numbers(some("float32", (3, i))) for i in range(30)}, block_size=300)
    index = tmp_path / "w.index"
    good, rng = index.read_bytes(), random.Random(1)
    for _ in range(300):
        changed = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        if rng.random() < 0.3:
            del changed[rng.randrange(len(changed)) :]
        if changed[:-48] == good[:-48] and len(changed) == len(good):
            continue  # the footer has no checksum: another valid handle is possible
        index.write_bytes(changed)
        with pytest.raises(ConversionError):
            open_bundle(prefix)
