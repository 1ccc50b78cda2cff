"""SavedModels, checkpoints and tfjs models of ../shared: genuine ones give their arrays, hostile ones one line."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pytest
from bundle_files import write
from tf_files import given_architecture, saved, tensors, tfjs_model

from converter.errors import ConversionError, Unsupported
from converter.keras.source import NamedWeights
from converter.readers import checkpoint, read_source, read_weights, saved_model, tfjs

SHARED = Path(__file__).parents[2] / "shared"
CORPUS, EVIL = SHARED / "corpus", SHARED / "evil"


def arrays_of(path: Path) -> set[tuple]:
    return {(w.shape, w.read().tobytes()) for ws in read_weights(path).layers.values() for w in ws}


KINDS = ("savedmodel", "savedmodel_notraces", "export_v1", "ckpt", "tfsm")
GENUINE = [path for kind in KINDS for path in sorted(CORPUS.glob(f"eras/*/*/{kind}"))]


@pytest.mark.corpus
@pytest.mark.skipif(not GENUINE, reason="no corpus")
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_the_corpus(kind: str) -> None:
    for path in (p for p in GENUINE if p.name == kind):
        with np.load(path.parent / "weights.npz") as stored:
            expected = {(stored[k].shape, stored[k].tobytes()) for k in stored.files}
        assert expected <= arrays_of(path), path
        if kind == "tfsm" or (path.parent.name == "x_subclass" and kind != "ckpt"):
            with pytest.raises(Unsupported):
                read_source(path)
        else:
            architecture = path.parent / "model.json" if kind == "ckpt" else None
            if architecture is None or architecture.exists():
                assert isinstance(read_source(path, architecture).architecture["config"], dict), path


HOSTILE = [*sorted(EVIL.glob("ckpt/*.index")), *sorted(EVIL.glob("sm/*")), *sorted(EVIL.glob("tfjs/*"))]


@pytest.mark.corpus
@pytest.mark.skipif(not HOSTILE, reason="no hostile files")
def test_hostile_files(tmp_path: Path) -> None:
    started, architecture = time.process_time(), given_architecture(tmp_path)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in HOSTILE:
        with pytest.raises(ConversionError):
            for ws in read_weights(path).layers.values():
                for weight in ws:
                    weight.read()
            source = read_source(path, None if path.suffix != ".index" else architecture)
            if isinstance(source.weights, NamedWeights):
                raise Unsupported("variables of TensorFlow 1 are matched further on")
            if path.name == "metadata_lambda":
                raise Unsupported("a Lambda layer is refused further on")
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < most + 500_000


def test_every_reader_says_no_to_the_others(tmp_path: Path) -> None:
    paths = {
        saved_model: saved(tmp_path / "sm"),
        checkpoint: write(tmp_path / "c" / "w", tensors()),
        tfjs: tfjs_model(tmp_path / "js", [], []),
    }
    for reader, path in paths.items():
        assert [other for other in paths if other.sniff(path)] == [reader]
        assert not reader.sniff(tmp_path / "nothing")
