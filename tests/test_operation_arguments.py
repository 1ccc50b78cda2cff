"""What TensorFlow's functions may be called without, the rows of the tables take too: files leave defaults out."""

from __future__ import annotations

import inspect
from operator import attrgetter
from typing import Any

import pytest

from converter.keras.operations.nodes import bind
from converter.keras.operations.tensorflow import MODULES, SYNONYMS, TF_FUNCTIONS

pytestmark = pytest.mark.tensorflow


def functions(name: str) -> list[Any]:
    """All that a name means in the modules that the tables know; TensorFlow 1's have None where they need something."""
    import tensorflow as tf

    made = []
    for module in sorted(one for one in MODULES if "v1" not in one and "v1" not in name):
        try:
            made.append(attrgetter(".".join(filter(None, (module, name))))(tf))
        except AttributeError:
            continue
    return [function for function in made if callable(function)]


@pytest.mark.parametrize("name", TF_FUNCTIONS)
def test_what_a_function_may_be_called_without_is_no_more_needed_here(name: str) -> None:
    row = TF_FUNCTIONS[name]
    for function in functions(name):
        parameters = inspect.signature(function).parameters.values()
        needed = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        names = row.names.split()
        given = {SYNONYMS.get(key, key) if key not in names else key: 1 for key in needed}
        if set(given) <= set(names):  # else an argument that no row has, which is refused
            bind(row, name, (), given)
            bind(row, name, [1] * len(needed), {})
