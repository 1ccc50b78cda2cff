"""Hostile graphs: circles, endless calls, tensors that are declared and not stored, loops that never end."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.model import Value, constant
from converter.tensorflow_graph.definitions import Body, Library, Ref, Step
from converter.tensorflow_graph.kernels import run_kernel
from converter.tensorflow_graph.meaning import outputs_of
from converter.tensorflow_graph.restoring import Stored as Part
from converter.tensorflow_graph.rules_lists import gather
from converter.tensorflow_graph.running import Running
from converter.tensorflow_graph.signature import Port, _in_order, choose
from converter.tensorflow_graph.tracing import NotRecurrent, roles_of
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import TensorList
from converter.tensorflow_graph.walking import Walk

EMPTY = Library(SimpleNamespace(node=[], library=SimpleNamespace(function=[])))


def attribute(**fields: object) -> SimpleNamespace:
    """Stands for an AttrValue message."""
    return SimpleNamespace(HasField=lambda name: name in fields, **fields)


def step(name: str, op: str, *inputs: Ref, loop: tuple[Body, Body] | None = None, **attr: object) -> Step:
    return Step(name, op, inputs, (), {key: attribute(func=SimpleNamespace(name=v)) for key, v in attr.items()}, loop)


def const(name: str, array: object) -> Step:
    made = Step(name, "Const", (), ())
    made.__dict__["attributes"] = {"value": np.asarray(array)}
    return made


def body(*steps: Step, result: str, name: str = "main") -> Body:
    return Body(name, {one.name: one for one in steps}, {}, ((result, 0),))


@pytest.mark.parametrize(
    "meaning", [lambda: Running(EMPTY), lambda: Translating(EMPTY, {}, outputs_of)], ids=["run", "translate"]
)
@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (body(step("a", "Tanh", ("b", 0)), step("b", "Tanh", ("a", 0)), result="a"), "circle at a"),
        (body(step("a", "Tanh", ("gone", 0)), result="a"), "gone, which is not there"),
        (body(step("a", "PartitionedCall", f="main"), result="a"), "does not have"),
        (body(const("d", np.int32([1 << 30, 1 << 10])), const("v", np.float32(0)),
              step("a", "Fill", ("d", 0), ("v", 0)), result="a"), "too large"),
        (body(const("d", np.int32([-1])), const("v", np.float32(0)),
              step("a", "Fill", ("d", 0), ("v", 0)), result="a"), "shape"),
        (body(const("x", np.zeros((4, 4), np.float32)), const("n", np.int32([1 << 20, 1 << 20])),
              step("a", "Tile", ("x", 0), ("n", 0)), result="a"), "too large"),
        (body(const("s", np.int32(0)), const("e", np.int32(1 << 30)), const("d", np.int32(1)),
              step("a", "Range", ("s", 0), ("e", 0), ("d", 0)), result="a"), "too large"),
        (body(step("a", "NoSuchOperator"), result="a"), "NoSuchOperator"),
    ],
)  # fmt: skip
def test_broken_graphs_are_refused(meaning: Callable[[], object], graph: Body, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        Walk(meaning()).call(graph, [])  # type: ignore[arg-type]


def test_a_function_that_calls_itself() -> None:
    library = Library(EMPTY.graph)
    library._made["f"] = body(step("a", "PartitionedCall", f="f"), result="a", name="f")
    object.__setattr__(library, "function", lambda name: library._made[name])
    with pytest.raises(InvalidModel, match="calls itself"):
        Walk(Running(library)).call(library._made["f"], [])


def test_one_number_that_stands_for_4_tb() -> None:
    splat = const("x", np.broadcast_to(np.float32(1), (1 << 20, 1 << 20)))
    with pytest.raises(Unsupported, match="of one number"):
        Walk(Translating(EMPTY, {}, outputs_of)).call(body(splat, result="x"), [])


def test_endless_loops_are_not_run() -> None:
    true = Body("cond", {"c": const("c", True)}, {("x", 0): 0}, (("c", 0),))
    same = Body("body", {}, {("x", 0): 0}, (("x", 0),))
    with pytest.raises(NotRecurrent, match="depends on what it computes"):
        roles_of(EMPTY, true, same, [False], [True])
    graph = body(const("z", np.int32(0)), step("w", "While", ("z", 0), loop=(true, same)), result="w")
    with pytest.raises(Unsupported, match="no recurrent layer"):
        Walk(Translating(EMPTY, {}, outputs_of)).call(graph, [])


def counting(name: str, *inner: Step, made: Ref = ("b", 0)) -> tuple[Body, Body]:
    """A loop of 200 rounds round further steps."""
    cond = Body(f"{name}/cond", {"n": const("n", np.int32(200)), "c": step("c", "Less", ("x", 0), ("n", 0))},
                {("x", 0): 0}, (("c", 0),))  # fmt: skip
    steps = [const("one", np.int32(1)), step("b", "AddV2", ("x", 0), ("one", 0)), *inner]
    return cond, Body(f"{name}/body", {one.name: one for one in steps}, {("x", 0): 0}, (made,), ("w",))


def looping(loop: tuple[Body, Body]) -> Body:
    return body(const("z", np.int32(0)), step("w", "While", ("z", 0), loop=loop), result="w")


def test_loops_in_loops_are_counted_together() -> None:
    loop = counting("0")
    for depth in range(1, 6):
        loop = counting(str(depth), const("z", np.int32(0)), step("w", "While", ("z", 0), loop=loop))
    with pytest.raises(Unsupported, match="more steps than any model"):
        Walk(Translating(EMPTY, {}, outputs_of), 5000).call(looping(loop), [])


def test_a_loop_that_is_its_own_body() -> None:
    cond, inner = counting("a", const("z", np.int32(0)))
    inner.steps["w"] = step("w", "While", ("z", 0), loop=(cond, inner))  # type: ignore[index]
    with pytest.raises(InvalidModel, match="calls itself"):
        Walk(Translating(EMPTY, {}, outputs_of)).call(looping((cond, inner)), [])


def test_signatures_are_listed() -> None:
    assert choose(["a", "serving_default"], "") == "serving_default"
    assert choose(["a"], "") == "a"
    with pytest.raises(Unsupported, match="Signatures: a, b"):
        choose(["a", "b"], "c")
    with pytest.raises(Unsupported, match="Choose with --signature: a, b"):
        choose(["a", "b"], "")
    with pytest.raises(Unsupported, match="no signature"):
        choose([], "")


def test_parts_of_stored_tensors() -> None:
    whole = constant("w", np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(Part("w", (0, 1), (None, 2)).of(whole).read(), whole.read()[:, 1:3])
    with pytest.raises(InvalidModel, match="beyond the tensor"):
        Part("w", (0, 3), (None, 2)).of(whole)


def test_kernels_do_not_guess() -> None:
    with pytest.raises(InvalidModel, match="does not take"):
        run_kernel("AddV2", {}, [np.zeros((2, 3)), np.zeros((4, 5))])
    with pytest.raises(InvalidModel, match="steps of 0"):
        run_kernel("Range", {}, [np.int32(0), np.int32(3), np.int32(0)])


def test_the_order_of_inputs_is_not_sought_for_ever() -> None:
    library = Library(EMPTY.graph)
    library._made["f"] = body(step("a", "PartitionedCall", f="f"), result="a", name="f")
    object.__setattr__(library, "function", lambda name: library._made[name])
    object.__setattr__(library, "arguments", lambda name: ())
    port = Port("y", ("a", 0), "float32", (None, 3))
    assert _in_order(library, library._made["f"], (), (port,)) == ((), (port,))


@pytest.mark.parametrize("index", [[0, 1], [1, 0, 2]])
def test_elements_of_a_list_are_taken_all_in_order_or_refused(index: list[int]) -> None:
    t = Translating(EMPTY, {}, outputs_of)
    held = TensorList(Value("x", (3, None, 2), "float32"), 3)
    assert gather(t, Step("gather", "TensorArrayGatherV3", (), {}), None, np.arange(3), held) is held.stacked
    with pytest.raises(Unsupported, match="of a TensorArray"):
        gather(t, Step("gather", "TensorArrayGatherV3", (), {}), None, np.array(index), held)
