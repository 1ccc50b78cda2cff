"""What becomes of a mask in every layer class: the rows against what real layers of Keras 3 and tf_keras gave."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layer_samples import drawn, samples

from converter.keras.architecture.context import Context
from converter.keras.architecture.parse import parse_layer
from converter.keras.arrays.binding import bind
from converter.keras.arrays.slots import Reading
from converter.keras.building.graph import Graph, Tensor
from converter.keras.eras.switches import parse
from converter.keras.graph.topology import Topology
from converter.keras.layers import LAYERS
from converter.keras.layers.index import ALIASES
from converter.keras.layers.refused import REFUSED
from converter.keras.source import FlatWeights
from converter.keras.spec import ModelSpec
from converter.model import Value

MEASURED: dict[str, dict[str, list[bool]]] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "layer_masks.json").read_text()
)
OWN = {"module": "keras.layers", "registered_name": None}  # as archives say it
# What the variants of fixtures/make/make_layer_masks.py change in a sample: its configuration, and its arrays.
VARIANTS: dict[str, tuple[dict[str, Any], list[Any] | None]] = {
    "LSTM sequences": ({"return_sequences": True}, None),
    "GRU sequences": ({"return_sequences": True}, None),
    "Embedding mask_zero": ({"mask_zero": True}, None),
    "TimeDistributed activation": (
        {"layer": OWN | {"class_name": "Activation", "config": {"name": "a", "activation": "tanh"}}}, [],
    ),
    "SpectralNormalization conv": (
        {"layer": OWN | {"class_name": "Conv1D", "config": {"name": "c", "filters": 3, "kernel_size": [2]}}},
        [["kernel", [2, 4, 3], "float32"], ["bias", [3], "float32"], ["vector_u", [1, 3], "float32"]],
    ),
}  # fmt: skip


def model_of(name: str) -> dict[str, Any]:
    """The sample of a class, or of one of its variants, without the training=True that Keras 3 writes."""
    class_name = name.split()[0]
    raw = copy.deepcopy(samples()[class_name])
    for layer in raw["architecture"]["config"]["layers"]:
        for node in layer.get("inbound_nodes", []):
            if isinstance(node, dict):
                node["kwargs"].pop("training", None)
        if layer["class_name"] == class_name and name in VARIANTS:
            config, arrays = VARIANTS[name]
            layer["config"] |= config
            if arrays is not None:
                raw["arrays"] = {layer["config"]["name"]: arrays} if arrays else {}
        if layer["class_name"] == class_name and name == "Bidirectional sequences":
            for side in ("layer", "backward_layer"):
                layer["config"][side]["config"]["return_sequences"] = True
    return raw


def masks(name: str, version: str) -> list[bool]:
    """Which outputs of a sample carry a mask, if its inputs of three or more axes do."""
    era, raw, random = parse(version), model_of(name), np.random.default_rng(0)
    root = parse_layer(raw["architecture"], Context(era))
    arrays = {layer: tuple(drawn(*array, random) for array in listed) for layer, listed in raw["arrays"].items()}
    bound, topology = bind(root, FlatWeights(arrays), era, Reading())[0], Topology(Graph(), era, fixed_batch=False)
    assert isinstance(root.config, ModelSpec)
    inputs = {
        key: Tensor(x.value, Value(f"{key}_mask", x.value.shape[:2], "bool") if len(x.value.shape) > 2 else None)
        for key, x in topology.inputs(root.config, bound).items()
    }
    return [x.mask is not None for made in topology.run(root.config, bound, inputs, "") for x in made]


CASES = [
    pytest.param(name, package.split()[1], wanted, id=f"{package.split()[0]}-{name}")
    for package, rows in MEASURED.items()
    for name, wanted in rows.items()
    if ALIASES.get(name.split()[0], name.split()[0]) not in REFUSED and name.split()[0] in samples()
]


@pytest.mark.parametrize(("name", "version", "wanted"), CASES)
def test_a_mask_goes_where_the_genuine_layer_let_it_go(name: str, version: str, wanted: list[bool]) -> None:
    assert masks(name, version) == wanted


def test_all_but_these_classes_were_measured() -> None:
    """Those of older versions alone, of words or functions, and Softmax, whose mask is like its input."""
    measured = {name.split()[0] for rows in MEASURED.values() for name in rows}
    assert {name for name in LAYERS if not name.startswith("ops.")} - measured == {
        "CuDNNGRU", "CuDNNLSTM", "GroupQueryAttention", "Highway", "InputLayer", "MaxoutDense", "Merge",
        "ParametricSoftplus", "PeepholeLSTMCell", "SReLU", "SlicingOpLambda", "Softmax", "StringLookup", "TFOpLambda",
        "TensorFlowOpLayer", "TextVectorization",
    }  # fmt: skip
