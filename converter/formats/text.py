"""Text of a model file to plain trees: JSON and YAML. Bounded in size, depth and numbers.

Python's own json would follow 100,000 brackets or 100,000 digits, and let the second of two equal keys win. NaN,
Infinity and -Infinity are taken as it does, since Keras writes them: Masking(nan) masks nothing, clipnorm=inf is legal.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from functools import partial
from itertools import islice
from typing import Any

from converter import limits
from converter.errors import InvalidModel, clean

_PYTHON = "tag:yaml.org,2002:python/"
_TRACKING = "object/apply:tensorflow.python.training.tracking.data_structures."
_WRAPPERS = ("object/apply:builtins.dict", _TRACKING + "ListWrapper", _TRACKING + "_DictWrapper")
"""Tags that tf.keras 1.x wrote round a plain list or dict. Nothing is called: their one argument is taken."""

# An unterminated string ends with the text, so that no place is ever looked at twice.
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|$)|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def decode(data: bytes, place: str) -> str:
    """UTF-8, with or without a byte order mark.

    Raises:
        InvalidModel: it is something else, or larger than limits.TEXT_BYTES.
    """
    if len(data) > limits.TEXT_BYTES:
        raise InvalidModel(f"{len(data)} bytes of text", where=place)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidModel("not UTF-8 text", where=place) from error


def parse_json(text: str, place: str) -> Any:
    """The tree of a JSON text: dict, list, str, int, float, bool, None.

    Raises:
        InvalidModel: not JSON, too deep, a number out of range, a key that occurs twice.
    """
    nodes = sum(map(text.count, "[{,"))
    if nodes > limits.TEXT_NODES:
        raise InvalidModel(f"{nodes} brackets and commas, more than any architecture has", where=place)
    _check_depth(text, place)
    try:
        tree = _decoder().decode(text)
        if _SURROGATE.search(text):
            json.dumps(tree, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise InvalidModel(f"not JSON: {error.msg} at character {error.pos}", where=place) from error
    except UnicodeEncodeError as error:
        raise InvalidModel("half a character pair in a text", where=place) from error
    except (InvalidModel, RecursionError) as error:
        what = error.what if isinstance(error, InvalidModel) else "nested too deeply"
        raise InvalidModel(what, where=place) from error
    return tree


def _check_depth(text: str, place: str) -> None:
    depth = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
            if depth > limits.TEXT_DEPTH:
                raise InvalidModel(f"nested more than {limits.TEXT_DEPTH} levels deep", where=place)
        elif first in "]}":
            depth -= 1


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_number)


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise InvalidModel(f"the key {clean(twice)!r} occurs twice")
    return tree


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > limits.DIGITS:
        raise InvalidModel(f"an integer of {len(digits)} digits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InvalidModel("a number out of range")
    return value


# What PyYAML's constructors raise for `!!bool x`, `!!timestamp x`, `!!int ''`.
_YAML_FAILURES = (ValueError, TypeError, OverflowError, KeyError, IndexError, AttributeError)


def parse_yaml(text: str, place: str) -> Any:
    """The tree of a YAML text as Keras 1 and 2 wrote it: plain values, and tuples as lists.

    No other tag is obeyed.

    Raises:
        InvalidModel: not YAML, a tag that would make an object, too deep or too large.
    """
    import yaml

    if len(text) > limits.YAML_CHARACTERS:
        raise InvalidModel(f"{len(text)} characters of YAML", where=place)

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Builds plain values only."""

    for kind in ("int", "float"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kind}", partial(_yaml_number, f"construct_yaml_{kind}"))
    Loader.flatten_mapping = lambda self, node: None  # "<<" would copy mappings into mappings, to any size
    Loader.add_constructor(_PYTHON + "tuple", lambda loader, node: loader.construct_sequence(node, deep=True))
    Loader.add_constructor(_PYTHON + "unicode", lambda loader, node: loader.construct_scalar(node))
    for tag in _WRAPPERS:
        Loader.add_constructor(_PYTHON + tag, _unwrap)
    try:
        if sum(1 for _ in islice(yaml.parse(text, Loader), limits.YAML_NODES)) == limits.YAML_NODES:
            raise InvalidModel(f"more than {limits.YAML_NODES} nodes", where=place)
        return _plain(yaml.load(text, Loader), [limits.YAML_NODES], place)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, *_YAML_FAILURES) as error:
        raise InvalidModel(f"not YAML of plain values: {clean(error)}", where=place) from error
    except RecursionError as error:
        raise InvalidModel("nested too deeply", where=place) from error


def _yaml_number(method: str, loader: Any, node: Any) -> Any:
    """A number; not YAML's 1:30:00 to the base 60, which Keras never writes and Python is slow to read."""
    digits = loader.construct_scalar(node)
    if len(digits) > limits.YAML_DIGITS or ":" in digits:
        raise ValueError(f"the number {clean(digits, 40)!r}")
    return getattr(loader, method)(node)


def _unwrap(loader: Any, node: Any) -> Any:
    """The one argument of a wrapper, as a plain value."""
    (argument,) = loader.construct_sequence(node, deep=True)
    return argument


def _plain(tree: Any, budget: list[int], place: str, depth: int = 0) -> Any:
    """A copy without shared parts: aliases are written out, within a budget of nodes."""
    budget[0] -= 1
    if budget[0] < 0 or depth > limits.TEXT_DEPTH:
        raise InvalidModel("nested too deeply, or too many nodes", where=place)
    if isinstance(tree, dict):
        if not all(isinstance(key, str) for key in tree):
            raise InvalidModel("a key that is not text", where=place)
        return {key: _plain(value, budget, place, depth + 1) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value, budget, place, depth + 1) for value in tree]
    if isinstance(tree, int) and abs(tree) >= 10**limits.DIGITS:
        raise InvalidModel("a number out of range", where=place)
    if tree is not None and not isinstance(tree, (str, int, float)):
        raise InvalidModel(f"a value of type {type(tree).__name__}", where=place)
    return tree
