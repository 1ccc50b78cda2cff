"""Seeds of each kind of container, made from the fixtures."""

from __future__ import annotations

import io
import json
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from structures import with_members

ROOT = Path(__file__).parents[1]
GOOD = ROOT / "fixtures/good"
VALUES = 1_000_000  # arrays of more values than this are not drawn for an architecture


@dataclass(frozen=True)
class Seed:
    """One file to be mutated.

    Attributes:
        data: its bytes.
        name: the file's name in its folder; what is read is `main` there, by default the file itself.
        companions: a folder whose other files it needs, or None.
        main: what is given to the reader.
        architecture: a file next to it, for weights alone.
    """

    data: bytes
    name: str
    companions: Path | None = None
    main: str = ""
    architecture: str = ""

    def place(self, folder: Path) -> tuple[Path, Path, Path | None]:
        """Puts everything but the file itself in a folder; the file, what is read, and its architecture."""
        if self.companions is not None:
            shutil.copytree(self.companions, folder, dirs_exist_ok=True)
        file = folder / self.name
        file.parent.mkdir(parents=True, exist_ok=True)
        given = folder / self.architecture if self.architecture else None
        return file, folder / self.main if self.main else file, given


def _files(*patterns: str, most: int = 60_000) -> Iterator[Path]:
    for pattern in patterns:
        yield from (file for file in sorted(GOOD.glob(pattern)) if file.stat().st_size <= most)


def alone(*patterns: str, most: int = 60_000) -> list[Seed]:
    return [Seed(file.read_bytes(), f"m{file.suffix}") for file in _files(*patterns, most=most)]


@cache
def samples() -> list[Seed]:
    """One model around each class of layer; and the fixtures' own architectures with the shapes of their arrays."""
    from converter import readers
    from converter.errors import ConversionError
    from converter.keras.source import FlatWeights

    listed = list(json.loads((ROOT / "fixtures/layers.json").read_text()).values())
    for file in _files("*/model.h5"):
        try:
            source = readers.read_source(file)
        except ConversionError:
            continue
        if isinstance(source.weights, FlatWeights):
            layers = source.weights.layers.items()
            arrays = {name: [(w.name, w.shape, w.dtype) for w in group] for name, group in layers}
            version = source.provenance.keras_version or "1.2.2"
            listed.append({"architecture": source.architecture, "arrays": arrays, "version": version})
    return [Seed(json.dumps(one).encode(), "m.sample") for one in listed]


def weights() -> list[Seed]:
    """`.weights.h5` and weights of the legacy layout, with their architectures."""
    found = [file for file in _files("*/model.weights.h5", "*/weights.h5") if (file.parent / "model.json").exists()]
    return [Seed(f.read_bytes(), "m.weights.h5", _copy(f.parent / "model.json"), "", "model.json") for f in found]


def _copy(*files: Path) -> Path:
    """A new folder with these files."""
    folder = _scratch()
    for file in files:
        shutil.copy(file, folder / file.name)
    return folder


def exported(to: str) -> list[Seed]:
    """What this program writes for some fixtures."""
    from converter import api
    from converter.exporters import EXPORTERS

    made, suffix = list[Seed](), EXPORTERS[to].suffix
    for name in ("tf215_stack", "tf215_bi", "k3151_gru", "k122_last", "tf215_share", "k3151_conv", "tf215_maskbi"):
        goal = _scratch() / f"m{suffix}"
        try:
            api.convert(GOOD / name / "model.h5", to=to, target=goal, check=False)
        except Exception:  # the target does not take every model
            continue
        made.append(Seed(goal.read_bytes(), goal.name))
    return made


_LSTM: Mapping[str, tuple[int, ...]] = {
    "lstm.weight_ih_l0": (16, 3), "lstm.weight_hh_l0": (16, 4), "lstm.bias_ih_l0": (16,), "lstm.bias_hh_l0": (16,),
    "head.weight": (2, 4), "head.bias": (2,),
}  # fmt: skip


def state_dicts() -> list[Seed]:
    """What torch.save writes for an LSTM and a Linear layer, and for all kinds of elements, opcode by opcode."""
    return [_state_dict(_LSTM, "Float", 4), _state_dict(_LSTM, "Double", 8), _state_dict(_LSTM, "BFloat16", 2)]


def safetensors() -> list[Seed]:
    """The same state_dict as safetensors; and what this program writes, whose metadata is read."""
    header, end = dict[str, Any](), 0
    for name, shape in _LSTM.items():
        start, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return [Seed(struct.pack("<Q", len(text)) + text + bytes(end), "m.safetensors"), *exported("torch")[:1]]


def _state_dict(shapes: Mapping[str, tuple[int, ...]], kind: str, size: int) -> Seed:
    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"K" + bytes([n]) for n in values) + b"t"

    code, members = b"\x80\2ccollections\nOrderedDict\n)R(", {"m/byteorder": b"little"}
    for key, (name, shape) in enumerate(shapes.items()):
        count = int(np.prod(shape))
        strides = tuple(int(np.prod(shape[k + 1 :])) for k in range(len(shape)))
        stored = b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(str(key)) + text("cpu")
        tensor = stored + b"K" + bytes([count]) + b"tQK\0" + numbers(shape) + numbers(strides)
        hooks = b"\x89ccollections\nOrderedDict\n)R"
        code += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + tensor + hooks + b"tR"
        members[f"m/data/{key}"] = b"\0" * (count * size)
    return Seed(with_members({"m/data.pkl": code + b"u.", **members}), "m.pt")


def _scratch() -> Path:
    return Path(tempfile.mkdtemp(dir=SCRATCH[0]))


SCRATCH: list[str | None] = [None]
"""Where seeds keep what they need; the caller makes and removes it."""


def checkpoints() -> list[Seed]:
    seeds = []
    for index in _files("*/ckpt/*.index", most=20_000):
        architecture = index.parents[1] / "model.json"
        if architecture.exists():
            companions = _copy(architecture, *index.parent.glob(f"{index.stem}.data*"))
            seeds.append(Seed(index.read_bytes(), index.name, companions, index.stem, architecture.name))
    return seeds


def saved_models(folders: tuple[str, ...], name: str) -> list[Seed]:
    return [
        Seed((GOOD / folder / name).read_bytes(), f"m/{name}", _nested(GOOD / folder), "m")
        for folder in folders if (GOOD / folder / name).exists()
    ]  # fmt: skip


def _nested(source: Path) -> Path:
    folder = _scratch()
    shutil.copytree(source, folder / "m")
    return folder


def pickles() -> list[Seed]:
    files = [zipfile.ZipFile(io.BytesIO(seed.data)) for seed in state_dicts()]
    return [Seed(file.read("m/data.pkl"), "data.pkl") for file in files]


def indices() -> list[Seed]:
    return [Seed(file.read_bytes(), "m.index") for file in _files("*/ckpt/*.index", most=20_000)]


def compressed() -> list[Seed]:
    """Literals and copies of both lengths, google/snappy format_description.txt."""
    pieces = (
        b"\x14\x10abcde\x3d\x05",
        b"\x0a\x00a\x22\x01\x00",
        b"\x40\xf0\x0f" + b"b" * 16 + b"\xbe\x10\x00",
        b"\x00",
    )
    return [Seed(piece, "m.snappy") for piece in pieces]


_KERAS = ("tf213_words/savedmodel_notraces", "tf215_nested/savedmodel_notraces", "tf26_nested/savedmodel_notraces",
          "tf26_words/savedmodel_notraces", "tfk221_nested/savedmodel_notraces")  # fmt: skip


def metadata_seeds() -> list[Seed]:
    return [*saved_models(_KERAS, "keras_metadata.pb"), *saved_models(_KERAS, "saved_model.pb")]


def tfjs() -> list[Seed]:
    found = []
    for file in _files("*/tfjs/model.json"):
        found.append(Seed(file.read_bytes(), "m/model.json", _nested(file.parent), "m/model.json"))
    return found


def frozen() -> list[Seed]:
    """The graph of a Dense layer with what usually surrounds it."""
    from converter.formats.protobuf import parse

    proto = parse("GraphDef", b"")
    x = proto.node.add(name="x", op="Placeholder")
    x.attr.add(key="dtype").value.type = 1
    shape = x.attr.add(key="shape").value.shape
    shape.dim.add(size=-1)
    shape.dim.add(size=3)
    for name, array in (("w", np.ones((3, 3), np.float32)), ("one", np.ones((), np.int32)),
                        ("turn", np.arange(2, dtype=np.int32))):  # fmt: skip
        tensor = proto.node.add(name=name, op="Const").attr.add(key="value").value.tensor
        tensor.dtype, tensor.tensor_content = {"float32": 1, "int32": 3}[array.dtype.name], array.tobytes()
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
    for text in ("m=MatMul x w", "t=Tanh m", "r=Relu t", "s=Softmax r", "a=AddV2 t s", "n=Shape a", "e=Reshape a n",
                 "u=Sum e one", "d=ExpandDims u one", "b=Sub e d", "p=Transpose b turn", "c=ConcatV2 p t one",
                 "g=Greater c one", "f=ZerosLike c", "y=SelectV2 g c f"):  # fmt: skip
        name, _, (op, *inputs) = (*text.partition("=")[:2], text.partition("=")[2].split())
        node = proto.node.add(name=name, op=op, input=inputs)
        node.attr.add(key="T").value.type = 1
        if op == "Sum":
            node.attr.add(key="keep_dims").value.b = False
    return [Seed(proto.SerializeToString(), "m.pb")]
