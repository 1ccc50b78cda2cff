"""The tables of docs/supported.md, made from the code. `python tests/docs_tables.py` writes them; a test compares."""

from __future__ import annotations

import importlib
import re
import typing
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from layer_samples import sample

from converter import exporters
from converter.errors import Unsupported
from converter.keras import layers
from converter.keras.eras import existence
from converter.keras.operations.keras3 import KERAS3
from converter.keras.operations.node_defs import NODE_DEFS
from converter.keras.operations.tensorflow import TF_FUNCTIONS
from converter.model import Model
from converter.model import layers as neutral
from converter.model.activations import BY_MAJOR, NAMES, native
from converter.readers import containers

PAGE = Path(__file__).parents[1] / "docs/supported.md"
# Of Keras' legacy modules, or abstract there: no layers of that version's own.
LEGACY = {2: {"Highway", "MaxoutDense", "Merge"}, 3: {"Merge", "RandomHeight", "RandomWidth", "ThresholdedReLU"}}


def table(*rows: tuple[str, ...]) -> str:
    """Rows as Markdown, the first one the head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def first_line(module: ModuleType) -> str:
    """What a module says of itself."""
    return (module.__doc__ or "").splitlines()[0].rstrip(".")


def formats() -> str:
    """What is read."""
    rows = [(f"`{name}`", first_line(containers.reader(name))) for name in containers.READERS]
    others = dict.fromkeys(container.module for _, container in containers.OTHERS.values())
    rows += [(f"`{name.rpartition('.')[2]}`", first_line(importlib.import_module(name))) for name in others]
    return table(("read by", "what"), *rows)


def targets() -> str:
    """What is written."""
    return table(("`--to`", "what", "suffix"), *((f"`{k}`", e.title, e.suffix) for k, e in exporters.EXPORTERS.items()))


MODELS = ("onnx", "keras", "torch", "tflite")  # targets that hold a model and not its weights alone


def can_be_written(model: Model, target: str) -> bool:
    """Whether a target says a model."""
    with TemporaryDirectory() as folder:
        try:
            row = exporters.EXPORTERS[target]
            row.export(model, Path(folder, f"model{row.suffix}"))
        except Unsupported:
            return False
        return True


def majors(name: str) -> set[int]:
    """The major versions of Keras that have a layer class, under any of its names."""
    names = (name, *layers.LAYERS[name].aliases)
    spans = [span for f in existence.FAMILIES for each in names for span in existence.spans(f, "layers", each)]
    had = {major for span in spans for major in range(span.first[0], span.last[0] + 1)}
    return {major for major in had if name not in LEGACY.get(major, ())}


def layer_table() -> str:
    """Every layer class by the versions of Keras that have it, the targets that take it, and what restricts it."""
    rows = []
    for name, row in sorted(layers.LAYERS.items()):
        if not name.startswith("ops."):
            model = sample(name)
            said = [major in majors(name) for major in (1, 2, 3)] + [can_be_written(model, t) for t in MODELS]
            rows.append((name, *("x" if yes else "" for yes in said), row.note))
    head = ("Keras 1", "Keras 2", "Keras 3", *(f"`{target}`" for target in MODELS))
    return table(("layer", *head, "restriction"), *rows)


def operation_table() -> str:
    """Operations that models list as layers, as each vocabulary calls them."""
    vocabularies = {
        "Keras 3 (`keras.ops`)": KERAS3,
        "tf.keras since 2.4 (TFOpLambda and SlicingOpLambda, by the function's last name)": TF_FUNCTIONS,
        "TensorFlow 1.15 to 2.3 (TensorFlowOpLayer)": NODE_DEFS,
    }
    return "\n".join(f"* {whose}: {', '.join(sorted(rows))}." for whose, rows in vocabularies.items())


def neutral_table() -> str:
    """What each target can say of the neutral nodes that layers become."""
    from converter.exporters.keras.graph import rule as keras_rule
    from converter.exporters.onnx.lower import lower as onnx_rule
    from converter.exporters.tflite.lower import lower as tflite_rule
    from converter.exporters.torch.source import rule as torch_rule

    kinds = dict(zip(MODELS, (onnx_rule, keras_rule, torch_rule, tflite_rule), strict=True))
    for name in kinds:
        importlib.import_module(exporters.EXPORTERS[name].module)  # brings its rules
    rows = [
        (kind.__name__, *("x" if rule.dispatch(kind) is not rule.dispatch(object) else "" for rule in kinds.values()))
        for kind in typing.get_args(neutral.Layer)
    ]
    return table(("node", *(f"`{name}`" for name in kinds)), *rows)


def activations() -> str:
    """Every activation name, by what it becomes inside a recurrent layer."""
    rows: dict[bool, list[str]] = {True: [], False: []}
    for name, activation in sorted({**BY_MAJOR[3], **NAMES}.items()):
        rows[native(activation) is not None].append(name)
    return table(
        ("in a recurrent layer", "activations"),
        ("attribute of the native operator", ", ".join(rows[True])),
        ("Scan", ", ".join(rows[False])),
    )


TABLES = {
    "formats": formats,
    "targets": targets,
    "layers": layer_table,
    "operations": operation_table,
    "nodes": neutral_table,
    "activations": activations,
}


def filled(text: str) -> str:
    """The page's text with every table between its markers made anew."""
    for name, make in TABLES.items():
        pattern = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
        made = make().replace("\\", r"\\")
        text, count = re.subn(pattern, rf"\g<1>{made}\n\g<2>", text, flags=re.DOTALL)
        assert count == 1, f"the page has no marker for {name}"
    return text


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
