"""Loops written by hand in TensorFlow: which way they go, where they end; against TensorFlow itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter import convert, load
from converter.errors import Unsupported
from converter.interpret import run
from converter.model import Array
from converter.model.layers import Recurrent, Scan

pytestmark = pytest.mark.tensorflow
D, U = 3, 4
Weights = Mapping[str, Any]
Loop = Callable[[Any, Any, Weights], Any]


def weights_of(tf: Any) -> Weights:
    random = np.random.default_rng(5)
    return {name: tf.Variable(random.normal(0, 0.5, shape).astype("f4"))
            for name, shape in {"w": (D, U), "u": (U, U), "b": (U,)}.items()}  # fmt: skip


def zeros(tf: Any, x: Any) -> Any:
    return tf.zeros([tf.shape(x)[0], U])


def steps(tf: Any, x: Any) -> Any:
    return tf.transpose(x, [1, 0, 2])


def cell(tf: Any, w: Weights, x: Any, h: Any) -> Any:
    return tf.tanh(x @ w["w"] + h @ w["u"] + w["b"])


def own_cell(tf: Any, w: Weights, x: Any, h: Any) -> Any:
    return 0.3 * h + tf.sigmoid(x @ w["w"] + h @ w["u"])


def written_down(tf: Any, x: Any, w: Weights) -> Any:
    t, h = tf.shape(x)[1], zeros(tf, x)
    made = tf.TensorArray(tf.float32, t)
    while t > 0:
        h = own_cell(tf, w, x[:, t - 1], h)
        made = made.write(t - 1, h)
        t -= 1
    return tf.transpose(made.stack(), [1, 0, 2]), t


def written_up_and_down(tf: Any, x: Any, w: Weights) -> Any:
    many, t, h = tf.shape(x)[1], 0, zeros(tf, x)
    forth, back = (tf.TensorArray(tf.float32, many) for _ in range(2))
    while t <= many - 1:
        h = own_cell(tf, w, x[:, t] - x[:, many - 1 - t], h)
        forth, back = forth.write(t, h), back.write(many - 1 - t, h + 1)
        t += 1
    return forth.stack(), back.stack()


def every_second(tf: Any, x: Any, w: Weights) -> Any:
    t, h = 1, zeros(tf, x)
    while t < tf.shape(x)[1]:
        h = own_cell(tf, w, x[:, t], h) * tf.cast(t, tf.float32)
        t += 2
    return h, t


def down_by_range(tf: Any, x: Any, w: Weights) -> Any:
    h, given = zeros(tf, x), steps(tf, x)
    for t in tf.range(tf.shape(x)[1] - 1, -1, -1):
        h = cell(tf, w, given[t], h)
    return h


def broken_off(tf: Any, x: Any, w: Weights) -> Any:
    h, made = zeros(tf, x), tf.TensorArray(tf.float32, tf.shape(x)[1])
    for t in tf.range(tf.shape(x)[1]):
        h = own_cell(tf, w, x[:, t], h)
        made = made.write(t, h)
        if tf.reduce_sum(h) > 6.0:
            break
    return h, made.stack()


def until_it_is_large(tf: Any, x: Any, w: Weights) -> Any:
    t, h = 0, zeros(tf, x)
    while t < tf.shape(x)[1] and tf.reduce_sum(tf.abs(h)) < 4.0:
        h = own_cell(tf, w, x[:, t], h)
        t += 1
    return h, t


def at_most_ten_times(tf: Any, x: Any, w: Weights) -> Any:
    return tf.while_loop(
        lambda h: tf.reduce_max(h) > 0.1, lambda h: (h * 0.5,), (tf.reduce_sum(x, 1),), maximum_iterations=10
    )[0]


def between_neighbors(tf: Any, x: Any, w: Weights) -> Any:
    t, h = 1, zeros(tf, x)  # of one step, there is none
    while t < tf.shape(x)[1]:
        h = own_cell(tf, w, x[:, t] - x[:, t - 1], h)
        t += 1
    return h, t


def every_other_step(tf: Any, x: Any, w: Weights) -> Any:
    h, made = zeros(tf, x), tf.TensorArray(tf.float32, tf.shape(x)[1])
    for t in tf.range(tf.shape(x)[1]):
        if t % 2 == 0:
            h = own_cell(tf, w, x[:, t], h)
        elif tf.reduce_sum(x[:, t]) > 0.0:
            h = h - 1.0
        made = made.write(t, h)
    return made.stack()


SCANS: dict[str, Loop] = {
    "scan": lambda tf, x, w: tf.scan(lambda h, v: own_cell(tf, w, v, h), steps(tf, x), zeros(tf, x), reverse=True),
    "scan of two": lambda tf, x, w: tf.scan(
        lambda s, v: (own_cell(tf, w, v, s[1]), s[0]), steps(tf, x), (zeros(tf, x), zeros(tf, x)), reverse=True
    ),
    "scan from the first": lambda tf, x, w: tf.scan(lambda h, v: 0.5 * h + tf.sin(v), steps(tf, x)),
    "scan from the last": lambda tf, x, w: tf.scan(lambda h, v: 0.5 * h + tf.sin(v), steps(tf, x), reverse=True),
    "written down": written_down, "written up and down": written_up_and_down, "every second": every_second,
    "broken off": broken_off, "until it is large": until_it_is_large, "at most ten times": at_most_ten_times,
    "between neighbors": between_neighbors, "every other step": every_other_step,
}  # fmt: skip
LAYERS: dict[str, Loop] = {
    "scan": lambda tf, x, w: tf.scan(lambda h, v: cell(tf, w, v, h), steps(tf, x), zeros(tf, x), reverse=True),
    "fold": lambda tf, x, w: tf.foldr(lambda h, v: cell(tf, w, v, h), steps(tf, x), zeros(tf, x)),
    "range": down_by_range,
}


def saved(tf: Any, make: Loop, folder: Path) -> tuple[Path, Any]:
    module = tf.Module()
    module.w = weights_of(tf)

    def f(x: Any) -> dict[str, Any]:
        made = make(tf, x, module.w)
        return {f"y{k}": one for k, one in enumerate(made if isinstance(made, tuple | list) else [made])}

    module.f = tf.function(f, input_signature=[tf.TensorSpec((None, None, D), tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures=module.f)
    return folder, module.f


def check(tf: Any, make: Loop, folder: Path, times: tuple[int, ...] = (1, 2, 8)) -> list[Any]:
    """The layers of the model, which gives what TensorFlow does."""
    place, f = saved(tf, make, folder / "m")
    done = convert(place, folder / "m.onnx")
    assert done.reports[0].passed
    for time in times:
        x: Array = np.random.default_rng(time).normal(size=(2, time, D)).astype("f4")
        have, want = run(done.model, {done.model.inputs[0].name: x}), f(x)
        for value, name in zip(done.model.outputs, sorted(want), strict=True):
            np.testing.assert_allclose(have[value.name], want[name].numpy(), rtol=0, atol=1e-5)
    return [node.layer for node in done.model.nodes]


@pytest.mark.parametrize("case", SCANS)
def test_loops_that_go_otherwise(case: str, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    assert any(isinstance(layer, Scan) for layer in check(tf, SCANS[case], tmp_path))


@pytest.mark.parametrize("case", LAYERS)
def test_known_cells_backwards_are_layers(case: str, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    (layer,) = (layer for layer in check(tf, LAYERS[case], tmp_path) if isinstance(layer, Recurrent | Scan))
    assert isinstance(layer, Recurrent)
    assert layer.directions[0].reverse_input


def gap(tf: Any, x: Any, w: Weights) -> Any:
    t, made = tf.shape(x)[1] - 2, tf.TensorArray(tf.float32, tf.shape(x)[1])
    while t >= 0:
        made = made.write(t, x[:, t])
        t -= 1
    return made.stack()


def away(tf: Any, x: Any, w: Weights) -> Any:
    t, h = tf.shape(x)[1], zeros(tf, x)
    while t > 0:
        h = own_cell(tf, w, x[:, 0], h)
        t += 1
    return h


def loop_in_loop(tf: Any, x: Any, w: Weights) -> Any:
    h = zeros(tf, x)
    for t in tf.range(tf.shape(x)[1]):
        for u in tf.range(t):
            h = own_cell(tf, w, x[:, u], h)
    return h


def halved(tf: Any, x: Any, w: Weights) -> Any:
    h = tf.reduce_sum(x, 1)
    while tf.reduce_max(tf.abs(h)) > 0.5:
        h = h * 0.5
    return h


@pytest.mark.parametrize(
    ("make", "message"),
    [(gap, "a list of which a loop fills a part"), (away, "a loop that moves away from its end"),
     (loop_in_loop, "while: .* a loop within it with an iteration for each step of the model's input"),
     (halved, "while: .* a loop whose end depends on what it computes")],
)  # fmt: skip
def test_loops_without_a_neutral_form_are_refused(make: Loop, message: str, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(Unsupported, match=message):
        load(saved(tf, make, tmp_path / "m")[0])


BRANCHES: dict[str, Loop] = {
    "of numbers": lambda tf, x, w: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * 2.0, lambda: 1.0 / (x - x[:1])),
    "of several": lambda tf, x, w: tf.switch_case(
        tf.cast(tf.reduce_sum(x), tf.int32), [lambda: x, lambda: tf.tanh(x), lambda: x - 1.0]
    ),
    "by a size": lambda tf, x, w: tf.cond(tf.shape(x)[1] > 2, lambda: tf.reduce_sum(x, 1), lambda: x[:, 0]),
    "checked": lambda tf, x, w: (tf.debugging.assert_less(tf.shape(x)[1], 100), x * 2.0)[1],
}


@pytest.mark.parametrize("case", BRANCHES)
def test_branches_are_both_computed(case: str, tmp_path: Path) -> None:
    """Where only picks: what is infinite or no number in the branch that is not taken does not matter."""
    tf = pytest.importorskip("tensorflow")
    with np.errstate(all="ignore"):
        check(tf, BRANCHES[case], tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda tf, x, w: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x, lambda: x[:, :1]), "of which nothing says that"),
     (lambda tf, x, w: tf.cond(tf.reduce_sum(x) > 0.0, lambda: w["b"].assign(w["b"] + 1), lambda: w["b"] + 0),
      "If cond writes to variables in one of its branches"),
     (lambda tf, x, w: tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.cast(x, tf.int32) // tf.cast(x + 1, tf.int32),
                               lambda: tf.cast(x, tf.int32)), "divides whole numbers")],
)  # fmt: skip
def test_branches_that_differ_are_refused(make: Loop, message: str, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(Unsupported, match=message):
        load(saved(tf, make, tmp_path / "m")[0])
