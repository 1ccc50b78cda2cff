"""SavedModels, checkpoints and tfjs models: the architecture found, arrays by object, the rest refused by name."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from bundle_files import Tensor, field, masked, numbers, object_graph, shape_proto, strings, table, write

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.keras.source import NamedWeights
from converter.readers import checkpoint, find, read_source, read_weights, saved_model, tfjs

SHARED = Path(__file__).parents[2] / "shared"
CORPUS, EVIL = SHARED / "corpus", SHARED / "evil"
KERNEL = np.arange(24, dtype="f4").reshape(2, 12)
LAYERS = [{"class_name": "LSTM", "config": {"name": "lstm", "units": 3, "batch_input_shape": [None, 7, 2]}}]
ARCHITECTURE = {"class_name": "Sequential", "config": {"name": "s", "layers": LAYERS}}
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def tensors(**more: Tensor) -> dict[str | bytes, Tensor]:
    """One LSTM's kernel under a key that says nothing, and an object graph with a cycle that leads to it."""
    nodes = [
        ({"layer_with_weights-0": 1, "optimizer": 3}, "", ""),
        ({"cell": 2, "parent": 0}, "", ""),
        ({"kernel": 4}, "", ""),
        ({}, "", ""),
        ({}, "lstm/lstm_cell/kernel", "variables/0" + VALUE),
    ]
    slot = numbers(np.zeros(3, "f4"))
    graph = {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes), "variables/0" + VALUE: numbers(KERNEL)}
    return {**graph, "optimizer/iter" + VALUE: slot, "variables/0/.OPTIMIZER_SLOT/optimizer/m" + VALUE: slot, **more}


def saved(
    folder: Path,
    version: str = "2.4.1",
    identifier: str = "_tf_keras_sequential",
    metadata: str = "",
    beside: str = "",
    stored: dict[str | bytes, Tensor] | None = None,
) -> Path:
    """A SavedModel whose root says `metadata`, with `beside` as the root's entry in keras_metadata.pb."""
    write(folder / "variables" / "variables", tensors() if stored is None else stored)
    root = field(1, field(1, 1) + field(2, "layer_with_weights-0")) + field(
        4, field(1, identifier) + field(3, metadata)
    )
    tensor = field(1, "x:0") + field(2, 1) + field(3, shape_proto([-1, 7, 2]))
    signature = field(1, "serving_default") + field(2, field(1, field(1, "x") + field(2, tensor)))
    meta = (
        field(1, field(4, "serve") + field(5, version)) + field(5, signature) + field(7, field(1, root) + field(1, b""))
    )
    (folder / "saved_model.pb").write_bytes(field(1, 1) + field(2, meta))
    if beside:
        node = field(2, 0) + field(3, "root") + field(4, "_tf_keras_sequential") + field(5, beside)
        (folder / "keras_metadata.pb").write_bytes(field(1, node))
    return folder


def root_metadata(architecture: dict = ARCHITECTURE, **more: object) -> str:
    return json.dumps({"class_name": architecture["class_name"], "model_config": architecture, **more})


def kernel_of(source) -> np.ndarray:
    return source.weights.child("layer_with_weights-0", "cell", "kernel").variable().read()


# --- SavedModel -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beside", [False, True])
def test_savedmodel(tmp_path: Path, beside: bool) -> None:
    text = root_metadata(keras_version="2.6.0", backend="tensorflow")
    folder = saved(tmp_path / "m", "2.6.5", metadata="" if beside else text, beside=text if beside else "")
    assert find(folder) == "saved_model" == find(folder / "saved_model.pb")
    source = read_source(folder)
    assert source.architecture["config"] == ARCHITECTURE["config"]
    assert (kernel_of(source) == KERNEL).all()
    assert (source.provenance.keras_version, source.provenance.backend) == ("2.6.0", "tensorflow")
    assert source.provenance.format == "SavedModel of TensorFlow 2.6.5"
    assert len(source.provenance.sha256) == 64
    assert "layer_with_weights-0" in source.weights.children()
    cycle = source.weights.child("layer_with_weights-0", "parent", "layer_with_weights-0", "cell")
    assert cycle is not None
    assert cycle.variable() is None
    assert source.weights.child("layer_with_weights-0", "forward_layer", "cell") is None


@pytest.mark.parametrize(
    ("tensorflow", "keras"),
    [
        ("1.15.5", "2.2.4-tf"),
        ("2.0.4", "2.2.4-tf"),
        ("2.1.4", "2.3.0-tf"),
        ("2.3.0", "2.4.0"),
        ("2.13.1", "2.13.0"),
        ("9.9", ""),
    ],
)
def test_keras_of_a_tensorflow(tmp_path: Path, tensorflow: str, keras: str) -> None:
    source = read_source(saved(tmp_path / "m", tensorflow, metadata=root_metadata()))
    assert source.provenance.keras_version == keras
    assert tensorflow in source.provenance.format


def test_wrapped_shapes_become_lists(tmp_path: Path) -> None:
    wrapped = {"class_name": "__tuple__", "items": [None, {"class_name": "TensorShape", "items": [7, 2]}]}
    config = {"name": "s", "layers": [{"class_name": "InputLayer", "config": {"batch_input_shape": wrapped}}]}
    text = root_metadata({"class_name": "Sequential", "config": config})
    layers = read_source(saved(tmp_path / "m", metadata=text)).architecture["config"]["layers"]
    assert layers[0]["config"]["batch_input_shape"] == [None, [7, 2]]


def test_metadata_left_over_from_another_save(tmp_path: Path) -> None:
    stale = root_metadata({"class_name": "Sequential", "config": {"name": "stale", "layers": []}})
    source = read_source(saved(tmp_path / "a", metadata=root_metadata(), beside=stale))
    assert source.architecture["config"]["name"] == "s"
    with pytest.raises(InvalidModel, match="left over from another save"):
        read_source(saved(tmp_path / "b", identifier="_generic_user_object", beside=stale))


def test_export_of_tensorflow_1(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    (folder / "saved_model.pb").write_bytes(field(2, field(1, field(4, "serve") + field(5, "1.15.5"))))
    (folder / "assets").mkdir()
    (folder / "assets" / "saved_model.json").write_text(json.dumps({**ARCHITECTURE, "keras_version": "2.2.4-tf"}))
    source = read_source(folder)
    assert source.architecture["config"] == ARCHITECTURE["config"]
    assert (kernel_of(source) == KERNEL).all()


def test_no_configuration_names_what_is_there(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", "2.21.0", "_generic_user_object")
    with pytest.raises(
        Unsupported, match=r"without a Keras configuration.*1 variables \(lstm/lstm_cell/kernel\).*serving_default"
    ):
        read_source(folder)
    (signature,) = saved_model.signatures(folder)
    assert (signature.name, signature.inputs) == ("serving_default", {"x": ("float32", (None, 7, 2))})
    given = tmp_path / "model.json"
    given.write_text(json.dumps({**ARCHITECTURE, "keras_version": "2.15.0"}))
    source = read_source(folder, given)
    assert source.provenance.keras_version == "2.15.0"
    assert (kernel_of(source) == KERNEL).all()


@pytest.mark.parametrize("config", [{}, {"layer was saved without config": True}])
def test_subclassed_models(tmp_path: Path, config: dict) -> None:
    with pytest.raises(Unsupported, match=r"subclassed model \(Sub\)"):
        read_source(saved(tmp_path / "m", metadata=root_metadata({"class_name": "Sub", "config": config})))


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "saved_model.cpb"])
def test_other_forms(tmp_path: Path, name: str) -> None:
    (saved(tmp_path / "m") / "saved_model.pb").rename(tmp_path / "m" / name)
    with pytest.raises(Unsupported, match=name):
        read_source(tmp_path / "m")


@pytest.mark.parametrize(
    "metadata", ["{", "[1]", '{"class_name": "Sequential"}', '{"class_name": 3, "config": {}}', "NaN"]
)
def test_broken_metadata(tmp_path: Path, metadata: str) -> None:
    with pytest.raises(ConversionError, match=r"saved_model\.pb"):
        read_source(saved(tmp_path / "m", metadata=metadata))


def test_broken_protobufs(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", metadata=root_metadata())
    content = (folder / "saved_model.pb").read_bytes()
    for cut in (0, 1, len(content) // 2, len(content) - 1):
        (folder / "saved_model.pb").write_bytes(content[:cut])
        with pytest.raises(InvalidModel, match=r"m: saved_model\.pb"):
            read_source(folder)


def test_states_of_stateful_layers_are_warned_of(tmp_path: Path) -> None:
    key = "layer_with_weights-0/keras_api/states/0" + VALUE
    for value, count in ((0, 0), (1, 1)):
        stored = tensors(**{key: numbers(np.full((2, 3), value, "f4"))})
        source = read_source(saved(tmp_path / str(value), metadata=root_metadata(), stored=stored))
        assert len(source.warnings) == count


# --- checkpoints ------------------------------------------------------------------------------------------------------


def given_architecture(folder: Path) -> Path:
    (folder / "model.json").write_text(json.dumps({**ARCHITECTURE, "keras_version": "2.6.0", "backend": "tensorflow"}))
    return folder / "model.json"


@pytest.mark.parametrize("name", ["w", "w.index", "w.data-00000-of-00001", "."])
def test_checkpoint(tmp_path: Path, name: str) -> None:
    write(tmp_path / "c" / "w", tensors())
    path = tmp_path / "c" / name
    assert find(path) == "checkpoint"
    source = read_source(path, given_architecture(tmp_path))
    assert (kernel_of(source) == KERNEL).all()
    assert source.provenance.keras_version == "2.6.0"
    (weight,) = [w for ws in read_weights(path).layers.values() for w in ws]
    assert weight.name == "lstm/lstm_cell/kernel"
    with pytest.raises(Unsupported, match="--architecture"):
        read_source(path)


def test_layers_by_place_alone(tmp_path: Path) -> None:
    """TF 1.15 numbers no layers with weights in models that are built by their first call."""
    nodes = [
        ({"layer-1": 2, "layer-0": 1, "layer-10": 2}, "", ""),
        ({}, "", ""),
        ({"kernel": 3}, "", ""),
        ({}, "k", "k" + VALUE),
    ]
    stored = {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes), "k" + VALUE: numbers(KERNEL)}
    weights = read_source(write(tmp_path / "w", stored), given_architecture(tmp_path)).weights
    assert weights.child("layer_with_weights-0", "kernel").variable().name == "k"
    assert weights.child("layer_with_weights-1") is not None
    assert weights.child("layer_with_weights-2") is None


def test_names_that_repeat_give_way_to_places(tmp_path: Path) -> None:
    nodes = [({"a": 1, "b": 2}, "", ""), ({}, "kernel", "a" + VALUE), ({}, "kernel", "b" + VALUE)]
    stored = {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes)} | {k + VALUE: numbers(KERNEL) for k in "ab"}
    assert [w.name for w in read_weights(write(tmp_path / "w", stored)).layers[""]] == ["a", "b"]


def test_checkpoints_without_objects_can_be_listed(tmp_path: Path) -> None:
    prefix = write(tmp_path / "w", {"lstm/kernel": numbers(KERNEL)})
    assert [w.name for w in read_weights(prefix).layers["lstm"]] == ["lstm/kernel"]
    found = read_source(prefix, given_architecture(tmp_path)).weights
    assert isinstance(found, NamedWeights) and list(found.arrays) == ["lstm/kernel"]


def test_first_checkpoint_format(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(table({b"": field(1, field(1, b""))}))
    with pytest.raises(Unsupported, match="V1 checkpoint"):
        read_source(tmp_path / "model.ckpt")


def test_several_checkpoints_in_a_folder(tmp_path: Path) -> None:
    for name in ("epoch-1", "epoch-2"):
        write(tmp_path / name, tensors())
    with pytest.raises(Unsupported, match="epoch-1, epoch-2"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    "nodes",
    [
        [({"layer_with_weights-0": 9}, "", "")],
        [({"layer_with_weights-0": -1}, "", "")],
        [({"layer_with_weights-0": 1}, "", ""), ({}, "k", "not there")],
    ],
)
def test_broken_object_graphs(tmp_path: Path, nodes: list) -> None:
    prefix = write(tmp_path / "w", {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes)})
    with pytest.raises(InvalidModel):
        read_source(prefix, given_architecture(tmp_path)).weights.child("layer_with_weights-0").variable()


def test_object_graph_is_no_message_or_no_object(tmp_path: Path) -> None:
    for i, tensor in enumerate(
        (strings([b"\xff"]), strings([b""]), numbers(KERNEL), Tensor(7, (), b"\0", masked(b"")))
    ):
        prefix = write(tmp_path / f"w{i}", {"_CHECKPOINTABLE_OBJECT_GRAPH": tensor})
        with pytest.raises(InvalidModel):
            read_source(prefix, given_architecture(tmp_path))


def test_long_chains_of_objects(tmp_path: Path) -> None:
    nodes = [({"layer-0": i + 1}, "", "") for i in range(20_000)] + [({}, "k", "k" + VALUE)]
    stored = {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes), "k" + VALUE: numbers(KERNEL)}
    weights = read_source(write(tmp_path / "w", stored), given_architecture(tmp_path)).weights
    assert weights.child("layer_with_weights-0", "layer_with_weights-0") is not None


# --- tfjs -------------------------------------------------------------------------------------------------------------


def tfjs_model(
    folder: Path, weights: list[dict], pieces: list[bytes], architecture: dict = ARCHITECTURE, **more
) -> Path:
    folder.mkdir(exist_ok=True)
    names = [f"group1-shard{i}.bin" for i in range(len(pieces))]
    for name, piece in zip(names, pieces, strict=True):
        (folder / name).write_bytes(piece)
    topology = {"keras_version": "2.15.0", "backend": "tensorflow", "model_config": architecture}
    tree = {
        "format": "layers-model",
        "modelTopology": topology,
        "weightsManifest": [{"paths": names, "weights": weights}],
    }
    (folder / "model.json").write_text(json.dumps({**tree, **more}))
    return folder / "model.json"


def entry(name: str, shape: list, dtype: str = "float32", quantization: dict | None = None) -> dict:
    return {"name": name, "shape": shape, "dtype": dtype, **({"quantization": quantization} if quantization else {})}


def test_tfjs_weights_span_files(tmp_path: Path) -> None:
    data = KERNEL.tobytes() + np.float32(5).tobytes()
    path = tfjs_model(
        tmp_path, [entry("lstm/lstm_cell/kernel", [2, 12]), entry("lstm/x", [])], [data[:33], b"", data[33:]]
    )
    assert find(path) == "tfjs" == find(tmp_path)
    source = read_source(path)
    kernel, scalar = source.weights.layers["lstm"]
    assert (kernel.read() == KERNEL).all()
    assert (np.concatenate(list(kernel.rows(50))) == KERNEL).all()
    assert scalar.read() == 5
    assert source.provenance.keras_version == "2.15.0"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tfjs_quantised(tmp_path: Path, dtype: str) -> None:
    stored = np.array([0, 1, 7, 255], dtype)
    scale, low = 0.0123456789, -1.5
    weights = [
        entry("lstm/a", [4], dtype=d, quantization={"dtype": dtype, "scale": scale, "min": low})
        for d in ("float32", "int32")
    ]
    weights[1]["name"] = "lstm/b"
    a, b = read_source(tfjs_model(tmp_path, weights, [stored.tobytes() * 2])).weights.layers["lstm"]
    assert a.dtype == "float32"
    assert (a.read() == np.array([v * scale + low for v in stored.tolist()], "f4")).all()
    assert b.read().tolist() == [-1, -1, -1, 2]  # -1.5, -1.49, -1.41 and 1.65, rounded as JavaScript does


def test_tfjs_float16(tmp_path: Path) -> None:
    half = np.array([0.1, -3, 65504], "f2")
    path = tfjs_model(tmp_path, [entry("lstm/a", [3], quantization={"dtype": "float16"})], [half.tobytes()])
    (weight,) = read_source(path).weights.layers["lstm"]
    assert weight.read().dtype == "f4"
    assert (weight.read() == half).all()


def test_tfjs_names_lead_to_layers(tmp_path: Path) -> None:
    lstm = {"class_name": "LSTM", "config": {"name": "lstm_3"}}
    inner = {
        "class_name": "Sequential",
        "config": {"name": "inner", "layers": [{"class_name": "Dense", "config": {"name": "d"}}]},
    }
    wrapped = {"class_name": "Bidirectional", "config": {"name": "bi", "layer": lstm}}
    architecture = {"class_name": "Sequential", "config": {"name": "seq", "layers": [wrapped, inner, *LAYERS]}}
    names = ["bi/forward_lstm_3/kernel", "forward_lstm_3/lstm_cell/kernel", "d/kernel", "seq/lstm/lstm_cell/kernel"]
    layers = read_source(tfjs_model(tmp_path, [entry(n, []) for n in names], [bytes(16)], architecture)).weights.layers
    assert {k: [w.name for w in ws] for k, ws in layers.items()} == {
        "bi": names[:2],
        "inner": names[2:3],
        "lstm": names[3:],
    }
    twice = {
        "class_name": "Sequential",
        "config": {"layers": [inner, {**inner, "config": {**inner["config"], "name": "b"}}]},
    }
    with pytest.raises(InvalidModel, match="more than one layer"):
        read_source(tfjs_model(tmp_path, [entry("d/kernel", [])], [bytes(4)], twice))
    with pytest.raises(InvalidModel, match="no layer"):
        read_source(tfjs_model(tmp_path, [entry("ghost/kernel", [])], [bytes(4)]))


@pytest.mark.parametrize(
    "weights",
    [
        [entry("lstm/a", [1 << 20, 1 << 20])],
        [entry("lstm/a", [-1])],
        [entry("lstm/a", [1 << 40, 1 << 40, 0])],
        [entry("lstm/a", [2.0])],
        [entry("lstm/a", [True])],
        [entry("lstm/a", [2])],
        [entry("lstm/a", [2]), entry("lstm/a", [2])],
        [entry("lstm/a", [4], dtype="string")],
        [entry("lstm/a", [4], quantization={"dtype": "int4"})],
        [entry("lstm/a", [16], quantization={"dtype": "uint8", "scale": "1"})],
        [{"name": "lstm/a"}],
        ["x"],
    ],
)
def test_tfjs_broken_weights(tmp_path: Path, weights: list) -> None:
    with pytest.raises(ConversionError, match=r"model\.json"):
        read_source(tfjs_model(tmp_path, weights, [bytes(16)]))


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "", "C:x", "a\\b", "missing.bin", 3])
def test_tfjs_paths(tmp_path: Path, name: object) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    manifest = [{"paths": [name], "weights": [entry("lstm/a", [4])]}]
    with pytest.raises(InvalidModel):
        read_source(tfjs_model(tmp_path / "m", [], [], weightsManifest=manifest))


def test_tfjs_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="graph model"):
        read_source(tfjs_model(tmp_path, [], [], format="graph-model"))
    with pytest.raises(Unsupported, match=r"TensorFlow\.js itself \(tfjs-layers 4\.1\)"):
        read_source(tfjs_model(tmp_path, [], [], modelTopology={**ARCHITECTURE, "keras_version": "tfjs-layers 4.1"}))


# --- genuine files ----------------------------------------------------------------------------------------------------


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
