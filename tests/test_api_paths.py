"""What is no path is the caller's mistake, said as one, and no fault of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import converter
from converter import api

MODEL = Path(__file__).parents[1] / "fixtures/good/tf215_last/model.h5"


@pytest.mark.parametrize("function", [converter.load, converter.convert, api.draft], ids=lambda f: f.__name__)
@pytest.mark.parametrize("given", [b"model.h5", 3, converter.load(MODEL)], ids=lambda given: type(given).__name__)
def test_the_first_argument(function: Callable[..., Any], given: Any) -> None:
    with pytest.raises(TypeError, match=rf"is a path, not {type(given).__name__}"):
        function(given)


@pytest.mark.parametrize("name", ["target", "architecture", "inputs"])
def test_arguments_by_name(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is a path, not list"):
        converter.convert(MODEL, **{name: [MODEL]})
