"""A container is one module and one row of `READERS`: a toy one is read, converted, inspected and compared."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from converter import api
from converter.batch import found
from converter.cli.main import main
from converter.comparing.compare import compare
from converter.keras.source import FlatWeights
from converter.readers import read_source, read_weights
from converter.readers.containers import READERS, Container, find

LSTM = Path(__file__).parents[1] / "fixtures" / "good" / "tf215_stack" / "model.h5"

TOY = '''
"""Toy: a line that says so, then the configuration and the arrays of each layer as JSON."""
import hashlib
import json
import numpy as np
from converter.keras.source import FlatWeights, Source
from converter.model import constant
from converter.readers.common import provenance

def sniff(path):
    return path.is_file() and path.read_bytes()[:4] == b"TOY\\n"

def said(path):
    return json.loads(path.read_bytes()[4:])

def read(path, architecture):
    file, digest = said(path), hashlib.sha256(path.read_bytes()).hexdigest()
    where = provenance(path, "toy", file["keras_version"], "tensorflow", architecture, digest)
    return Source(file["architecture"] if architecture is None else architecture, read_weights(path), where)

def read_weights(path):
    return FlatWeights({
        layer: tuple(constant(name, np.array(values, np.float32)) for name, values in arrays.items())
        for layer, arrays in said(path)["layers"].items()
    })
'''


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A toy file of a model."""
    made = ModuleType("toy_reader")
    exec(TOY, made.__dict__)
    monkeypatch.setitem(sys.modules, "toy_reader", made)
    monkeypatch.setitem(READERS, "toy", Container("toy_reader", 10, (".toy",)))  # type: ignore[arg-type]
    source = read_source(LSTM)
    assert isinstance(source.weights, FlatWeights)
    layers = {name: {weight.name: weight.read().tolist() for weight in each}
              for name, each in source.weights.layers.items()}  # fmt: skip
    said = {"keras_version": source.provenance.keras_version, "architecture": source.architecture, "layers": layers}
    path = tmp_path / "model.toy"
    path.write_text("TOY\n" + json.dumps(said), encoding="utf-8")
    return path


def test_a_container_needs_one_module_and_one_row(toy: Path) -> None:
    assert find(toy) == "toy"
    assert [path for path, _ in found([toy.parent])] == [toy]
    assert api.inspect(toy).parameters == api.inspect(LSTM).parameters
    assert api.convert(toy).reports[0].passed
    assert compare(toy, LSTM).equal
    assert isinstance(read_weights(toy), FlatWeights)


def test_the_command_line_knows_it(toy: Path) -> None:
    assert main([str(toy)]) == 0
    assert main(["verify", str(LSTM), str(toy.with_suffix(".onnx"))]) == 0
    assert main(["inspect", str(toy)]) == 0
    assert main([str(LSTM), "--architecture", str(toy), "-o", str(toy.with_name("b.onnx"))]) == 0
