"""Inputs and outputs next to an exported file in ONNX' own layout, which other runners use unchanged.

https://github.com/onnx/onnx/blob/main/docs/OnnxBackendTest.md: `test_data_set_0/input_0.pb`, `output_0.pb`, ...
"""

from __future__ import annotations

from pathlib import Path

from onnx import numpy_helper

from converter.errors import InvalidModel
from converter.model import Model
from converter.verification.calls import usable_cases
from converter.verification.own_data import OwnData
from converter.verification.runtime import Exported


def write_test_data(model: Model, exported: Path, inputs_file: Path | None = None) -> tuple[Path, ...]:
    """Writes `test_data_set_0` next to `exported`, over what is there: the user's inputs, or else seeded ones.

    Raises:
        InvalidModel: the model does not take the user's inputs.
        OSError: it cannot be written.
    """
    given = OwnData(inputs_file).case(model)
    calls = [] if given is not None else usable_cases(model, 0)[1]
    inputs = dict(given.calls[0]) if given is not None else dict(calls[-1].given)
    if given is not None and model.states:
        raise InvalidModel("a model with states takes them as inputs too", hint="leave --inputs out")
    file = Exported(exported)
    names = [value.name for value in model.inputs] + [state.input.name for state in model.states]
    session = file.whole()
    feed = session.typed({theirs: inputs[ours] for theirs, ours in zip(file.inputs, names, strict=True)})
    made = session.run(feed)
    folder = exported.parent / "test_data_set_0"
    folder.mkdir(exist_ok=True)
    written = []
    for kind, order, values in (("input", file.inputs, feed), ("output", file.outputs, made)):
        for place, name in enumerate(order):
            written.append(folder / f"{kind}_{place}.pb")
            written[-1].write_bytes(numpy_helper.from_array(values[name], name).SerializeToString())
    return tuple(written)
