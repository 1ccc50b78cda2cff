"""The stages joined: `load`, `convert`, `verify`, `inspect`. Each imports what it needs when it is called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter import output
from converter.converting import (
    ENGINES,
    Conversion,
    PathLike,
    Progress,
    convert,
    default_target,
    guard_certificate,
    silent,
)
from converter.errors import Unsupported, walled

if TYPE_CHECKING:
    from converter.comparing.comparison import Comparison
    from converter.inspection import Inspection
    from converter.model import Model
    from converter.model.sizes import Sizes
    from converter.verification.report import Report

__all__ = [
    "ENGINES",
    "Conversion",
    "compare",
    "convert",
    "default_target",
    "draft",
    "inspect",
    "load",
    "verify",
]


@walled
def load(
    path: PathLike,
    architecture: PathLike | None = None,
    outputs: Sequence[str] = (),
    plugins: Sequence[PathLike] = (),
    route: str = "",
    signature: str = "",
    by_name: bool = False,
    keras_version: str = "",
    begin: Sequence[str] = (),
    stateful: bool = False,
    sizes: Sizes | None = None,
) -> Model:
    """Reads any supported Keras file as a neutral model.

    Args:
        path: the file, folder or checkpoint prefix; its kind is found from its content.
        architecture: a JSON or YAML file or a whole model, for files that hold weights alone.
        outputs: layers whose outputs become the model's; by default the model's own.
        plugins: Python files that explain layers of your own, see `converter.plugin`. They are run.
        route: "keras" or "graph": how a SavedModel is read, by Keras' configuration or by its function graph; by
            default by the first that serves.
        signature: of a SavedModel, which is then read by its function graph.
        by_name: match arrays with layers by what the file calls them, as `load_weights(by_name=True)` does. By default
            they are matched by order, as Keras does.
        keras_version: of the Keras that wrote the file, "3.4.1" or "2.2.4-tf", in place of what the file says.
        begin: layers whose outputs become the model's inputs; only together with `outputs`.
        stateful: recurrent layers keep their states from call to call, whatever they were trained with.
        sizes: of the inputs, to fix what the file leaves open.

    Raises:
        InvalidModel: the file is broken.
        InvalidPlugin: a plugin is.
        Unsupported: something in it cannot be read exactly.
        OSError: it cannot be opened.

    >>> load("model.h5")
    <Model: 'sequential', 4 layers, 4 nodes; HDF5 whole model, tf.keras 2.15.0>
    """
    from converter import loading

    return loading.model_of(Path(path), loading.Reading(
        architecture, tuple(outputs), tuple(plugins), route, signature, by_name, keras_version, tuple(begin), stateful,
        sizes,
    ))  # fmt: skip


@walled
def draft(path: PathLike, target: PathLike | None = None, force: bool = False) -> dict[str, Any]:
    """An architecture for a file that holds weights alone, as JSON: what no array tells is "?", with what it may be.

    Filled in, it is what `load` takes as `architecture`.

    Args:
        path: the file, folder or checkpoint prefix.
        target: the JSON file to write, if any; `force` writes over an existing one.

    Raises:
        InvalidModel, Unsupported: as `load`, and where the file holds its architecture.
        FileExistsError: the target exists and `force` is not set.
    """
    from converter.readers import read_draft

    goal = None if target is None else Path(target)
    if goal is not None:
        output.guard(goal, [Path(path)], force)
    tree = read_draft(Path(path))
    if goal is not None:
        with output.staging(goal) as written:
            written.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
            output.publish(written, goal, force)
    return tree


@walled
def inspect(model: Model | PathLike) -> Inspection:
    """What is in a model, and what a conversion does with each layer, refused ones included. Raises as `load` does.

    >>> inspect("model.h5").parameters
    340
    """
    from converter import loading
    from converter.inspection import inspection_of
    from converter.model import Model

    return inspection_of(model if isinstance(model, Model) else loading.model_or_survey(Path(model), loading.Reading()))


@walled
def verify(
    model: Model | PathLike,
    exported: PathLike,
    *,
    against: str = "",
    runtime: str = "",
    seed: int = 0,
    inputs: PathLike | None = None,
    expected: PathLike | None = None,
    tolerance: float | None = None,
    certificate: PathLike | None = None,
    progress: Progress = silent,
) -> Report:
    """Compares an exported file with the model it was made from.

    Args:
        model: the model, or its file.
        exported: the ONNX file, which is run; or a Keras file, which is read back; or weights, which are compared.
        against: "" for `reference_lstm`; a key of `ENGINES`, which must be installed; or "keras" or "torch", to run a
            Keras archive or a PyTorch module there.
        runtime: "openvino" or "reference" to run the file there and compare its outputs; by default onnxruntime, node
            by node.
        seed: of the inputs.
        inputs: an .npz file with inputs of your own, compared next to those made here.
        expected: an .npz file with the outputs they should give.
        tolerance: how far outputs may be off in a file that was changed on purpose; nothing else is compared then.
        certificate: a JSON file to write: what was checked, with bounds and hashes.
        progress: called with each step of the work.

    Raises:
        InvalidModel, Unsupported, OSError: as `load`, and where `exported` cannot be read.

    >>> verify("model.h5", "model.onnx").passed
    True
    """
    from converter.exporters import EXPORTERS, row_of
    from converter.model import Model
    from converter.verification import by_target
    from converter.verification.own_data import own_data

    read = [exported, inputs, expected, None if isinstance(model, Model) else model]
    guard_certificate(certificate, [Path(file) for file in read if file], force=True)
    neutral = model if isinstance(model, Model) else load(model)
    row = row_of(Path(exported))
    if runtime:
        from converter.verification import elsewhere

        return elsewhere.verify(neutral, Path(exported), runtime, seed)
    own = own_data(inputs, expected, tolerance)
    proof, engine = row.proof if row else "read back", ENGINES.get(against, "")
    home = "" if against in ENGINES else against
    if home and (row is None or not row.home or row is not EXPORTERS.get(home)):
        raise Unsupported(f"{Path(exported).name} is not a file of {home}")
    report = by_target.prove(
        neutral, Path(exported), proof, engine=engine, home=home, seed=seed, own=own, progress=progress
    )
    if certificate is not None:
        output.write_text(Path(certificate), by_target.certified(neutral, Path(exported), report))
    return report


@walled
def compare(a: PathLike, b: PathLike) -> Comparison:
    """The weights of two files, gate by gate, whatever their conventions.

    Args:
        a: a file of any readable kind: Keras, ONNX, PyTorch, safetensors, NumPy.
        b: another.

    Raises:
        InvalidModel, Unsupported, OSError: one of them cannot be read.

    >>> compare("model.h5", "weights.npz")
    <Comparison: equal, 3 pairs of layers>
    """
    from converter.comparing.compare import compare as compared

    return compared(a, b)
