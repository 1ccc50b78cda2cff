"""Text in ONNX files: what our exports write is read back as the same layers, what differs by a little is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import run
from neutral_models import Builder
from onnx import helper, numpy_helper
from test_text_nodes import TRICKY

from converter import api, interpret
from converter.errors import ConversionError
from converter.exporters.onnx import export
from converter.model import Model, Value, layers
from converter.model.sizes import Sizes

WORDS = layers.Lookup(("", "a", "b", "az[az{"), (0, 2, 3, 4), 1)
EVERY = (layers.LowerCase(), layers.RemoveCharacters("!?\\]-"), layers.SplitWords(), WORDS)
CHAINS: dict[str, tuple[Any, ...]] = {
    "words": EVERY,
    "words as they are": EVERY[2:],
    "lower case": (*EVERY[:1], *EVERY[2:]),
    "no words": (*EVERY[:2], WORDS),
    "removed, then lower case": (EVERY[1], EVERY[0]),
    "words of words": (EVERY[2], EVERY[1], EVERY[2]),
    "unit vectors": (*EVERY, layers.OneHot(5)),
}


def chain(parts: tuple[Any, ...], shape: tuple[int | None, ...] = (None, 2)) -> Model:
    b = Builder()
    x = b.input("x", shape, "string")
    for k, layer in enumerate(parts):
        wider = {layers.SplitWords: (None,), layers.OneHot: (5,)}.get(type(layer), ())
        dtype = {layers.Lookup: "int64", layers.OneHot: "float32"}.get(type(layer), "string")
        (x,) = b.node(f"part{k}", layer, [x], (*x.shape, *wider), dtype=dtype)
    return b.model([x])


def texts(shape: tuple[int | None, ...]) -> np.ndarray:
    return TRICKY if len(shape) == 2 else TRICKY[:, 0]


def computed(model: Model, x: np.ndarray) -> Any:
    made = interpret.run(model, {model.inputs[0].name: x})[model.outputs[0].name]
    return made.shape, made.tolist()


def said(model: Model) -> list[Any]:
    return [node.layer if not isinstance(node.layer, layers.Lookup) else (node.layer.keys, node.layer.values)
            for node in model.nodes]  # fmt: skip


@pytest.mark.parametrize("opset", [20, 21])
@pytest.mark.parametrize("shape", [(None, 2), (None,), (5, 2)])
@pytest.mark.parametrize("name", CHAINS)
def test_it_comes_back_as_it_was(name: str, shape: tuple[int | None, ...], opset: int, tmp_path: Path) -> None:
    """Twice, and the second file is as the first."""
    model = chain(CHAINS[name], shape)
    export(model, tmp_path / "m.onnx", opset=opset)
    again = api.load(tmp_path / "m.onnx")
    assert said(again) == said(model)
    assert computed(again, texts(shape)) == computed(model, texts(shape))
    export(again, tmp_path / "again.onnx", opset=opset)
    assert said(api.load(tmp_path / "again.onnx")) == said(model)
    assert api.verify(again, tmp_path / "again.onnx").passed


def test_with_a_fixed_batch_that_the_user_asked_for(tmp_path: Path) -> None:
    """onnx 1.23 crashes where it infers the sizes of such a graph without the types."""
    fixture = Path(__file__).parents[1] / "fixtures/good/k3151_texts"
    done = run(fixture / "model.keras", "--opset", "20", "--batch", "5", "-o", tmp_path / "m.onnx")
    assert done.returncode == 0, done.stderr
    with np.load(fixture / "inputs.npz") as given, np.load(fixture / "expected.npz") as wanted:
        (x,), (want,) = ([file[name] for name in file.files] for file in (given, wanted))
    for model in (api.load(fixture / "model.keras", sizes=Sizes(batch=5)), api.load(tmp_path / "m.onnx")):
        (value,) = model.outputs
        have = interpret.run(model, {model.inputs[0].name: x.astype(object)})[value.name]
        np.testing.assert_allclose(have, want, rtol=0, atol=1e-6)


# --- what is almost the same ------------------------------------------------------------------------------------------


def of(graph: onnx.GraphProto, kind: str, place: int = 0) -> onnx.NodeProto:
    return [node for node in graph.node if node.op_type == kind][place]


def body(proto: onnx.ModelProto, place: int = 0) -> onnx.GraphProto:
    return next(a.g for a in of(proto.graph, "Loop", place).attribute if a.name == "body")


def attribute(node: onnx.NodeProto, name: str, value: Any) -> None:
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def text(node: onnx.NodeProto, value: bytes) -> None:
    node.attribute[0].t.string_data[0] = value


def output(proto: onnx.ModelProto, name: str) -> None:
    proto.graph.output[0].name = name


def rounds(proto: onnx.ModelProto, number: int) -> None:
    proto.graph.initializer.append(numpy_helper.from_array(np.array(number), "rounds"))
    of(proto.graph, "Loop").input[0] = "rounds"


def turned(node: onnx.NodeProto) -> None:
    node.input[0], node.input[1] = node.input[1], node.input[0]


def nested(proto: onnx.ModelProto) -> None:
    """The body joins by a Loop of its own."""
    inner = body(proto)
    held = of(proto.graph, "Loop")
    inner.node.insert(0, held)
    inner.node[0].output[0] = "inner"


# Of LowerCase, RemoveCharacters("!") and SplitWords: StringSplit at "!", then at five kinds of white space, then words.
CHANGES: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "two characters": (lambda p: attribute(of(p.graph, "StringSplit"), "delimiter", "!!"), "at '!!', not at one ASCII"),
    "no ASCII": (lambda p: attribute(of(p.graph, "StringSplit"), "delimiter", "\u00e9"), "at '\u00e9', not at one"),
    "no UTF-8": (lambda p: attribute(of(p.graph, "StringSplit"), "delimiter", b"\xff"), "StringSplit of .* delimiter"),
    "maxsplit": (lambda p: attribute(of(p.graph, "StringSplit"), "maxsplit", 1), "StringSplit with maxsplit"),
    "other white space": (
        lambda p: attribute(of(p.graph, "StringSplit", 3), "delimiter", "x"), "StringSplit at blanks alone"
    ),
    "blanks alone": (
        lambda p: of(p.graph, "StringSplit", -1).input.__setitem__(0, "x"), "StringSplit at blanks alone"
    ),
    "words before all is white space": (
        lambda p: of(p.graph, "StringSplit", -1).input.__setitem__(0, of(p.graph, "Loop", -2).output[0]),
        "StringSplit at blanks alone",
    ),
    "no delimiter": (lambda p: of(p.graph, "StringSplit").ClearField("attribute"), "StringSplit at blanks alone"),
    "at most three words": (lambda p: attribute(of(p.graph, "StringSplit", -1), "maxsplit", 3), "with maxsplit"),
    "another text between": (lambda p: text(of(body(p, 2), "Constant"), b"-"), "joined with '-'"),
    "two blanks between": (lambda p: text(of(body(p, 2), "Constant"), b"  "), "joined with '  '"),
    "no text between": (lambda p: text(of(body(p, 2), "Constant"), b""), "joined with ''"),
    "something before": (lambda p: text(of(p.graph, "Constant"), b"a"), "something else than empty texts"),
    "two texts": (lambda p: of(p.graph, "Constant").attribute[0].t.dims.append(1), "an array of texts"),
    "another axis": (lambda p: attribute(of(body(p), "Gather"), "axis", 0), "operator Gather in a Loop"),
    "others' number": (
        lambda p: of(p.graph, "Loop", 1).input.__setitem__(0, of(p.graph, "Loop").input[0]), "operator Gather in a Loop"
    ),
    "others' pieces": (
        lambda p: of(body(p, 1), "Gather").input.__setitem__(0, of(p.graph, "StringSplit").output[0]), "operator Gather"
    ),
    "more rounds than there are": (lambda p: rounds(p, 2**62), "does not end at a count"),
    "no rounds": (lambda p: rounds(p, 0), "does not end at a count"),
    "a condition": (
        lambda p: of(p.graph, "Loop").input.__setitem__(1, of(p.graph, "Loop").input[0]), "pieces of text of this form"
    ),
    "from the end": (lambda p: turned(of(body(p), "StringConcat")), "operator StringConcat in a Loop"),
    "the number of the round": (
        lambda p: of(body(p), "Gather").input.__setitem__(1, body(p).input[1].name), "operator Gather in a Loop"
    ),
    "it may end": (lambda p: setattr(of(body(p), "Identity"), "op_type", "Not"), "operator Not in a Loop"),
    "another domain": (lambda p: setattr(of(body(p), "Gather"), "domain", "mine"), "operator Gather in a Loop"),
    "one piece": (
        lambda p: body(p).output.__getitem__(1).__setattr__("name", of(body(p), "Gather").output[0]), "does not join"
    ),
    "a Loop in it": (nested, "operator Loop in a Loop over pieces"),
    "no body": (lambda p: of(p.graph, "Loop").ClearField("attribute"), "Loop without a body"),
    "the pieces": (lambda p: output(p, of(p.graph, "StringSplit").output[0]), "pieces of text"),
    "how many pieces": (lambda p: output(p, of(p.graph, "StringSplit").output[1]), "pieces of text"),
    "how many words": (lambda p: output(p, of(p.graph, "StringSplit", -1).output[1]), "pieces of text"),
    "most pieces": (lambda p: output(p, of(p.graph, "Loop").input[0]), "pieces of text"),
    "blanks for white space": (lambda p: output(p, of(p.graph, "Loop", -1).output[0]), "pieces of text"),
    "no text": (lambda p: output(p, of(p.graph, "Constant").output[0]), "pieces of text"),
    "stopwords": (lambda p: attribute(of(p.graph, "StringNormalizer"), "stopwords", ["a"]), "StringNormalizer"),
    "upper case": (lambda p: attribute(of(p.graph, "StringNormalizer"), "case_change_action", "UPPER"), "StringNorm"),
    "another locale": (lambda p: attribute(of(p.graph, "StringNormalizer"), "locale", "tr_TR"), "StringNormalizer"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_differs_is_refused_by_name(name: str, tmp_path: Path) -> None:
    change, words = CHANGES[name]
    export(
        chain((layers.LowerCase(), layers.RemoveCharacters("!"), layers.SplitWords())), tmp_path / "m.onnx", opset=20
    )
    proto = onnx.load(tmp_path / "m.onnx")
    change(proto)
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(ConversionError, match=words) as refusal:
        api.load(tmp_path / "m.onnx")
    assert "\n" not in str(refusal.value)


def test_the_command_line_says_so_in_one_line(tmp_path: Path) -> None:
    export(chain(EVERY), tmp_path / "m.onnx", opset=20)
    proto = onnx.load(tmp_path / "m.onnx")
    rounds(proto, 2**62)
    onnx.save(proto, tmp_path / "m.onnx")
    done = run(tmp_path / "m.onnx", "--to", "onnx", "-o", tmp_path / "again.onnx")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "Loop" in done.stderr


def test_a_number_is_not_split(tmp_path: Path) -> None:
    node = helper.make_node("StringSplit", ["x"], ["y", "n"], delimiter=",")
    ends = [helper.make_tensor_value_info(n, t, None if n == "y" else [2]) for n, t in (("x", 1), ("y", 8))]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), tmp_path / "m.onnx")
    with pytest.raises(ConversionError, match="StringSplit of float32"):
        api.load(tmp_path / "m.onnx")


def test_indices_equal_to_other_numbers_are_no_unit_vectors(tmp_path: Path) -> None:
    export(chain(CHAINS["unit vectors"]), tmp_path / "m.onnx", opset=20)
    proto = onnx.load(tmp_path / "m.onnx")
    for tensor in proto.graph.initializer:
        if list(tensor.dims) == [5]:
            tensor.CopyFrom(numpy_helper.from_array(np.array([0, 1, 2, 4, 3]), tensor.name))
    onnx.save(proto, tmp_path / "m.onnx")
    model = api.load(tmp_path / "m.onnx")
    assert not any(isinstance(node.layer, layers.OneHot) for node in model.nodes)
    shape, made = computed(model, TRICKY)
    want = np.array(computed(chain(CHAINS["unit vectors"]), TRICKY)[1])[..., [0, 1, 2, 4, 3]]
    assert shape == want.shape and made == want.tolist()


def test_what_is_removed_is_read_before_it_is(tmp_path: Path) -> None:
    """Characters removed one after the other become one layer, unless somebody reads what is between."""
    b = Builder()
    x: Value = b.input("x", (None, 2), "string")
    (once,) = b.node("once", layers.RemoveCharacters("!a"), [x], (None, 2), dtype="string")
    (twice,) = b.node("twice", layers.RemoveCharacters("a\\"), [once], (None, 2), dtype="string")
    model = b.model([once, twice])
    export(model, tmp_path / "m.onnx", opset=20)
    again = api.load(tmp_path / "m.onnx")
    assert said(again) == [layers.RemoveCharacters("!a"), layers.RemoveCharacters("!a\\")]
    wanted, made = (interpret.run(m, {"x": TRICKY}) for m in (model, again))
    for a, b_ in zip(model.outputs, again.outputs, strict=True):
        assert made[b_.name].tolist() == wanted[a.name].tolist()
