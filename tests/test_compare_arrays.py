"""Arrays used in arithmetic (activations with weights, layers of each place) in files of weights alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converter import api, convert
from converter.comparing.compare import compare, compare_parts
from converter.comparing.parts import parts_of
from converter.exporters import EXPORTERS
from converter.formats import npz, safetensors
from converter.model import constant

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
FILES = ("k122_parametric/model.h5", "k231_local/model.h5")
MOST = 6  # arrays of a file that are changed
TARGETS = {"npz": "m.npz", "safetensors": "m.safetensors", "flax": "m.safetensors"}


def write_changed(path: Path, name: str, other: Path) -> None:
    """The file with the last number of one array changed."""
    if npz.sniff(path):
        with np.load(path) as held:
            arrays = {member: held[member].copy() for member in held.files}
        arrays[name].reshape(-1)[-1] += np.asarray(1e-3, arrays[name].dtype)
        np.savez(other, **arrays)
        return
    contents = safetensors.read(path)
    array = contents.tensors[name].read().copy()
    array.reshape(-1)[-1] += np.asarray(1e-3, array.dtype)
    safetensors.write(other, {**contents.tensors, name: constant(name, array)}, contents.metadata)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("target", TARGETS)
def test_each_array_counts(target: str, file: str, tmp_path: Path) -> None:
    source, path = GOOD / file, tmp_path / TARGETS[target]
    EXPORTERS[target].export(api.load(source), path)
    same = compare(source, path)
    assert same.equal
    assert not same.left_out
    assert any(pair.kind == "array" for pair in same.pairs)
    tensors = (npz if target == "npz" else safetensors).read(path).tensors
    names = [name for name, weight in tensors.items() if weight.dtype.startswith("float") and weight.size > 1]
    ours = parts_of(source)
    for name in names[:: -(-len(names) // MOST)]:
        other = tmp_path / f"other_{path.name}"
        write_changed(path, name, other)
        theirs = parts_of(other)
        assert not compare_parts(ours, theirs).equal, name
        assert not compare_parts(theirs, ours).equal, name
        other.unlink()


@pytest.mark.parametrize("target", TARGETS)
def test_the_proof_compares_them(target: str, tmp_path: Path) -> None:
    (report,) = convert(GOOD / FILES[0], tmp_path / TARGETS[target], to=target).reports
    assert report.passed
    assert any("array" in output.name for output in report.outputs)


def test_what_the_other_file_cannot_say_is_told(tmp_path: Path) -> None:
    """A state_dict holds layers alone."""
    model = GOOD / FILES[0]
    EXPORTERS["torch"].export(api.load(model), tmp_path / "m.safetensors")
    found = compare(model, tmp_path / "m.safetensors")
    assert "srelu_1 array 1" in found.left_out
    assert found.lines()[-2].startswith("not compared, as one of the files holds layers alone: ")
    assert found.as_json()["left_out"] == list(found.left_out)
