"""IntegerLookup and StringLookup: words to indices and back, from a vocabulary given or learned.

Source: keras/src/layers/preprocessing/index_lookup.py, the same in tf_keras.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import Tensor, refuse_constant
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.layers.preprocessing import OutputMode, encode
from converter.keras.schema import Count, DenseOutput, Positive
from converter.keras.spec import Call
from converter.model import Value, Weight, constant, layers

Word = int | str
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
KEEP_WORDS = (
    "save the model as .keras, or as a SavedModel with tf.keras; or give the layer its words when you build it, "
    "vocabulary=[...]"
)
LEARNED = "vocabulary or weights learned: not in HDF5 files"


class LookupConfig(DenseOutput, frozen=True):
    """What both lookups have."""

    inert = frozenset({"salt"})
    max_tokens: Positive | None = None
    num_oov_indices: Count = 1
    vocabulary_size: int | None = None
    idf_weights: list[float] | None = None
    invert: bool = False
    output_mode: OutputMode = "int"
    pad_to_max_tokens: bool = False
    has_input_vocabulary: bool | None = None
    oov_method: Literal["floormod", "farmhash"] | None = None

    @property
    def compute_dtype(self) -> None:
        """Words or indices in, and by `encode` what comes out."""
        return None


class IntegerLookupConfig(LookupConfig, frozen=True):
    """https://keras.io/api/layers/preprocessing_layers/categorical/integer_lookup/"""

    mask_token: Int64 | None = None
    oov_token: Int64 | None = -1
    vocabulary: list[Int64] | str | None = None
    vocabulary_dtype: Literal["int64"] = "int64"


class StringLookupConfig(LookupConfig, frozen=True):
    """https://keras.io/api/layers/preprocessing_layers/categorical/string_lookup/"""

    mask_token: str | None = None
    oov_token: str | None = "[UNK]"  # noqa: S105 - no password
    vocabulary: list[str] | str | None = None
    vocabulary_dtype: Literal["string"] = "string"
    encoding: str = "utf-8"


AnyLookup = IntegerLookupConfig | StringLookupConfig


def lookup_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    """The words, unless given, and the weights of tf_idf."""
    words = (Variable("vocabulary", False, kind="text"),) if config.vocabulary is None else ()
    weights = (Variable("idf_weights", False, kind="named"),) if config.output_mode == "tf_idf" else ()
    return (*words, *weights)


def has_mask_index(config: AnyLookup) -> bool:
    """Whether index 0 stands for masked positions; where indices are encoded, these are left out instead."""
    return config.mask_token is not None and config.output_mode == "int"


def special_tokens(config: AnyLookup) -> list[Word | None]:
    """The tokens that come before the words: mask, then those out of vocabulary."""
    return [config.mask_token] * has_mask_index(config) + [config.oov_token] * config.num_oov_indices


def words_of(call: Call, config: AnyLookup) -> tuple[Word, ...]:
    """The words, without the special tokens before them.

    Raises:
        Unsupported: they lie outside of the file.
        InvalidModel: there are none, one occurs twice or is the mask, or they are not as the configuration says.
    """
    if isinstance(config.vocabulary, str):
        what = f"a vocabulary in the file {clean(config.vocabulary, 60)}, outside of the model"
        raise Unsupported(what, hint=KEEP_WORDS)
    words = _learned(call, config) if config.vocabulary is None else _given(config, list(config.vocabulary))
    if not words:
        raise InvalidModel("an empty vocabulary")
    twice = next((word for word, count in Counter(words).items() if count > 1), None)
    if twice is not None:
        raise InvalidModel(f"the word {clean(twice, 60)!r} occurs twice in the vocabulary")
    if config.mask_token is not None and config.mask_token in words:
        raise InvalidModel(f"the mask token {clean(config.mask_token, 60)!r} stands among the words")
    return tuple(words)


def _given(config: AnyLookup, words: list[Any]) -> list[Word]:
    special = special_tokens(config)
    return words[len(special) :] if words[: len(special)] == special else words


def _learned(call: Call, config: AnyLookup) -> list[Word]:
    weight = call.bound.variables.get("vocabulary")
    if weight is None:
        raise Unsupported("its vocabulary was learned and is not in the file", hint=KEEP_WORDS)
    lines, special = weight.read().tolist(), special_tokens(config)
    expected = config.vocabulary_size
    if len(lines) < len(special) or (expected is not None and expected != len(lines)):
        what = f"{len(lines)} words in the file, {expected or len(special)} are expected"
        raise InvalidModel(f"{what}; a word may hold the end of a line", where=weight.name)
    for line, token in zip(lines, special, strict=False):
        if line not in (None, str(token)):
            raise InvalidModel(f"starts with {clean(line, 60)!r}, not {clean(token, 60)!r}", where=weight.name)
    words = lines[len(special) :]
    if None in words:
        raise InvalidModel("its indices begin later than the configuration says", where=weight.name)
    return words if isinstance(config, StringLookupConfig) else [_number(word, weight.name) for word in words]


def _number(word: str, place: str) -> int:
    digits = word.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and -(2**63) <= int(word) < 2**63):
        raise InvalidModel(f"{clean(word, 60)!r} is no int64", where=place)
    return int(word)


def looked_up(call: Call, config: AnyLookup, x: Value) -> Value:
    """The output of a lookup layer called on x.

    Raises:
        Unsupported: unknown words numbered by a hash, an encoding ONNX cannot say, or too many words to encode.
    """
    if isinstance(config, StringLookupConfig) and config.encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
        raise Unsupported(f"encoding {clean(config.encoding, 40)}: ONNX has UTF-8 only")
    words = words_of(call, config)
    if config.invert:
        return _inverse(call, config, x, words)
    size = len(special_tokens(config)) + len(words)
    if config.max_tokens is not None and size > config.max_tokens:
        raise InvalidModel(f"{size} words where max_tokens is {config.max_tokens}")
    depth = config.max_tokens if config.pad_to_max_tokens and config.max_tokens else size
    index = _index(call, config, x, words, depth)
    if config.output_mode == "int":
        named = config.dtype if config.dtype == "int32" and call.era.switch("lookup_heeds_dtype") else "int64"
        return call.ops.cast(index, str(named))
    if config.output_mode != "tf_idf":
        return encode(call, index, config.output_mode, depth)
    counts = encode(call, index, "count", depth)
    weights = _idf(call, config, len(words), depth, counts.dtype)
    return call.ops.elementwise("multiply", counts, call.ops.weight(weights))


def _index(call: Call, config: AnyLookup, x: Value, words: tuple[Word, ...], depth: int) -> Value:
    """Where words are encoded, masked ones have an index past the end."""
    ops, count, first = call.ops, config.num_oov_indices, int(has_mask_index(config))
    by_hash = isinstance(config, StringLookupConfig) or config.oov_method == "farmhash"
    if count > 1 and by_hash:
        raise Unsupported(
            f"num_oov_indices={count}: unknown words are numbered by FarmHash64, which ONNX does not have",
            hint="rebuild the model with num_oov_indices=1",
        )
    table: dict[Word, int] = {}
    if config.mask_token is not None:
        table[config.mask_token] = 0 if has_mask_index(config) else depth
    table |= {word: first + count + k for k, word in enumerate(words)}
    default = None if count == 0 else first if count == 1 else -1
    index = _table(call, table, default, x, "int64")
    if count <= 1:
        return index
    bucket = ops.with_scalar("add", ops.with_scalar("mod", x, count), first)
    return ops.where(ops.with_scalar("equal", index, -1), bucket, index)


def _inverse(call: Call, config: AnyLookup, x: Value, words: tuple[Word, ...]) -> Value:
    """The word of an index; the one for unknown words where there is none."""
    if config.oov_token is None:
        raise Unsupported("invert without an oov_token")
    table: dict[Word, Word] = {}
    if config.mask_token is not None:
        table[0] = config.mask_token
    first = len(special_tokens(config))
    table |= {first + k: word for k, word in enumerate(words)}
    dtype = "string" if isinstance(config, StringLookupConfig) else "int64"
    return _table(call, table, config.oov_token, call.ops.cast(x, "int64"), dtype)


def _table(call: Call, table: dict[Any, Any], default: Word | None, x: Value, dtype: str) -> Value:
    return call.ops.one(layers.Lookup(tuple(table), tuple(table.values()), default), [x], x.shape, dtype)


def _idf(call: Call, config: AnyLookup, words: int, depth: int, dtype: str) -> Weight:
    """The weight of each index [depth]: as stored, else as given; for unknown words the mean, for padding 0.

    Raises:
        InvalidModel: they do not fit the words. Unsupported: they are not in the file.
    """
    stored, given = call.bound.variables.get("idf_weights"), config.idf_weights
    if stored is not None:
        call.check(stored, "idf_weights", depth)
        return stored.astype(dtype)
    if given is None:
        raise Unsupported("the weights of tf_idf were learned and are not in the file", hint=KEEP_WORDS)
    special = len(special_tokens(config))
    values = np.asarray(given, np.float64)
    lengths = (words, words + special) if config.vocabulary is None else (len(config.vocabulary),)
    if len(given) not in lengths:
        raise InvalidModel(f"{len(given)} idf_weights for {words} words")
    if len(given) == words:
        values = np.concatenate([np.full(special, values.mean()), values])
    refuse_constant(depth)
    return constant("idf_weights", np.concatenate([values, np.zeros(depth - len(values))])).astype(dtype)


def _integer_lookup(call: Call) -> tuple[Tensor, ...]:
    return (Tensor(looked_up(call, call.config, call.ops.cast(call.x.value, "int64"))),)


def _string_lookup(call: Call) -> tuple[Tensor, ...]:
    config: StringLookupConfig = call.config
    if (call.x.dtype == "string") == config.invert:
        raise InvalidModel(f"is called on {call.x.dtype}, {'indices are' if config.invert else 'text is'} expected")
    return (Tensor(looked_up(call, config, call.x.value)),)


TYPES: dict[str, LayerType] = {
    "IntegerLookup": LayerType(IntegerLookupConfig, _integer_lookup, lookup_variables, note=LEARNED),
    "StringLookup": LayerType(StringLookupConfig, _string_lookup, lookup_variables, note=LEARNED, takes="text"),
}
