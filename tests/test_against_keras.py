"""Random recurrent models against Keras 3 and tf_keras: built, saved, converted, run, compared.

KERAS_EXAMPLES sets how many models each test draws; those beyond the default are drawn anew every time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_graph_spaces as graphs
import keras_models as models
import keras_spaces as spaces
import pytest
from keras_compare import check, library, over
from keras_graphs import Entry, Graph, GraphCase, Step
from needing import BOTH_KERAS

from converter.errors import Unsupported
from converter.readers import load

pytestmark = BOTH_KERAS
LIBRARIES = pytest.mark.parametrize("library_name", [models.KERAS3, models.TF_KERAS])


@LIBRARIES
def test_arguments_of_lstm(library_name: str) -> None:
    over(spaces.lstm_cases(library_name), 2)


@LIBRARIES
def test_native_layers(library_name: str) -> None:
    over(spaces.recurrent_cases(library_name, native=True), 2)


@LIBRARIES
def test_layers_of_any_activation(library_name: str) -> None:
    over(spaces.recurrent_cases(library_name, native=False))


@LIBRARIES
@pytest.mark.parametrize("native", [True, False])
def test_layers_in_time_distributed(library_name: str, native: bool) -> None:
    over(spaces.distributed_cases(library_name, native), 0.5)


@LIBRARIES
def test_convolutional_layers(library_name: str) -> None:
    over(spaces.convolutional_cases(library_name, native=True), 0.5)


@LIBRARIES
@pytest.mark.parametrize("native", [True, False])
def test_graphs_of_shared_layers_and_nested_models(library_name: str, native: bool) -> None:
    over(graphs.graph_cases(library_name, native), 0.4)


LSTM = {"class_name": "LSTM", "units": 3, "return_sequences": True}
GRU = {"class_name": "GRU", "units": 2, "return_sequences": True}
ROWS = [[False, True, True], [True, False, True], [True, True, False], [False] * 3]
X, MASK = Entry("floats", (3, 3), ROWS), Entry("mask", (3,), ROWS[::-1])
MASKING = {"class_name": "Masking", "mask_value": 0.5}
INNER = {"class_name": "Model", "graph": Graph((Entry("floats", (3, 3)),), (LSTM,), (Step(0, (-1,)),), (0,))}
# What random graphs once found, and how often and under which policy they are run.
FOUND_GRAPHS = {
    "constant states": (
        Graph((X,), (LSTM,), (Step(0, (-1,), [(0.5, -0.5, 1.0), (1.0, 0.25, -1.0)]),), (0,)), 1, "float32",
    ),
    "a mask for a nested model": (Graph((X, MASK), (INNER,), (Step(0, (-1,), mask=-2),), (0,)), 1, "float32"),
    "a given mask goes on": (
        Graph((X, MASK), (LSTM, GRU), (Step(0, (-1,), mask=-2), Step(1, (0,))), (1,)), 1, "float32",
    ),
    "a stateful layer called twice": (
        Graph((X,), ({**LSTM, "stateful": True}, GRU), (Step(0, (-1,)), Step(0, (-1,)), Step(1, (0,))), (1, 2)),
        3, "float32",
    ),
    "behind a masked Attention": (
        Graph((X,), (MASKING, LSTM, {"class_name": "Attention"}, GRU),
              (Step(0, (-1,)), Step(1, (0,)), Step(2, (1, 1)), Step(3, (2,))), (3,)), 1, "float32",
    ),
    "a cast before a nested model": (
        Graph((X,), (MASKING, INNER), (Step(0, (-1,)), Step(1, (0,))), (1,)), 1, "mixed_float16",
    ),
}  # fmt: skip


@LIBRARIES
@pytest.mark.parametrize("name", FOUND_GRAPHS)
def test_what_was_found_in_graphs(library_name: str, name: str) -> None:
    graph, calls, policy = FOUND_GRAPHS[name]
    for suffix in (".h5", ".keras"):
        for seed in (4, 5):  # which also says whether a constant has a row for each of the batch
            check(GraphCase(library_name, suffix, graph, 4, seed, policy=policy, calls=calls))


SIDES = {
    "class_name": "Bidirectional", "merge_mode": "concat",
    "layer": {"class_name": "RNN", "cell": [{"class_name": "SimpleRNNCell", "units": 2}] * 2},
    "backward_layer": {"class_name": "GRU", "units": 2, "go_backwards": True, "name": "other_way"},
}  # fmt: skip
STATE = Entry("floats", (2,))
# What Keras computes by accident: who reads a mask that hangs on a tensor, which side gets which of three states.
LEFT = Graph((X, MASK), (INNER, GRU), (Step(0, (-1,), mask=-2), Step(1, (-1,))), (1, 0))
REFUSED_GRAPHS = [
    (models.KERAS3, LEFT, "read elsewhere"),
    (models.TF_KERAS, LEFT, "read elsewhere"),
    (models.KERAS3, Graph((X, STATE), (SIDES,), (Step(0, (-1,), [-2, -2, -2]),), (0,)), "more states than the other"),
]  # fmt: skip


@pytest.mark.parametrize(("library_name", "graph", "message"), REFUSED_GRAPHS)
def test_what_keras_does_by_accident_is_refused(library_name: str, graph: Graph, message: str, tmp_path: Path) -> None:
    GraphCase(library_name, ".keras", graph, 4, 1).build(library(library_name)).save(tmp_path / "model.keras")
    with pytest.raises(Unsupported, match=message):
        load(tmp_path / "model.keras")


def bidirectional(layer: dict[str, Any], **backward: Any) -> dict[str, Any]:
    other = {**layer, "name": "other_way", "go_backwards": True, **backward}
    return {"class_name": "Bidirectional", "layer": layer, "backward_layer": other, "merge_mode": "concat"}


CONV = {"class_name": "ConvLSTM1D", "filters": 2, "kernel_size": 3, "padding": "same", "return_sequences": True}
# What random models once found: a layer, where its initial states come from, the model's input shape and source.
FOUND = {
    "unrolled backwards, Keras misplaces zeros": (bidirectional({**GRU, "unroll": True}), "none", (4, 3), "masking"),
    "no zeros unless return_sequences": (
        bidirectional({**GRU, "return_sequences": False, "zero_output_for_mask": True}), "none", (4, 3), "masking",
    ),
    "units that broadcast": ({**bidirectional(GRU, units=1), "merge_mode": "sum"}, "none", (4, 3), "floats"),
    "a mask of places": (
        {"class_name": "Bidirectional", "layer": CONV, "merge_mode": "sum"}, "none", (4, 5, 2), "masking",
    ),
    "a single step": (GRU, "inputs", (1, 3), "mask"),
}  # fmt: skip


@LIBRARIES
@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(library_name: str, name: str) -> None:
    layer, initial, shape, source = FOUND[name]
    layer = {"backward_layer": None, **layer} if layer["class_name"] == "Bidirectional" else layer
    time = shape[0]
    rows = [[k % 2 == 1 or k == time - 1 for k in range(time)], [k < 2 for k in range(time)], [False] * time]
    for suffix in (".h5", ".keras"):
        check(models.Case(library_name, suffix, source, shape, rows, (models.Block(layer, initial),), 5))
