"""TextVectorization: text to the indices of its words, as far as ONNX can take text apart.

Source: keras/src/layers/preprocessing/text_vectorization.py, the same in tf_keras.
"""

from __future__ import annotations

from typing import Any

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.layers.lookup import LEARNED, StringLookupConfig, looked_up, lookup_variables
from converter.keras.layers.preprocessing import OutputMode
from converter.keras.schema import Config, Positive
from converter.keras.spec import Call
from converter.model import Value, layers

PUNCTUATION = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
# What `standardize` does: whether to lower case, and which characters to remove.
STANDARDS: dict[str | None, tuple[bool, str]] = {
    None: (False, ""),
    "lower": (True, ""),
    "strip_punctuation": (False, PUNCTUATION),
    "lower_and_strip_punctuation": (True, PUNCTUATION),
}
INSTEAD = (
    "split the text in your application and look its words up there, in the layer's vocabulary; for the rest, build "
    "the same model from an Input of indices on, set its weights, and convert that"
)


class TextVectorizationConfig(Config, frozen=True):
    """https://keras.io/api/layers/preprocessing_layers/text/text_vectorization/"""

    max_tokens: Positive | None = None
    standardize: Any = "lower_and_strip_punctuation"
    split: Any = "whitespace"
    ngrams: int | list[int] | None = None
    output_mode: OutputMode | None = "int"
    output_sequence_length: Positive | None = None
    pad_to_max_tokens: bool = False
    vocabulary: list[str] | str | None = None
    idf_weights: list[float] | None = None
    sparse: bool = False
    ragged: bool = False
    encoding: str = "utf-8"
    vocabulary_size: int | None = None
    has_input_vocabulary: bool | None = None

    @property
    def compute_dtype(self) -> None:
        """Text in; indices or float32 out."""
        return None


def _lookup_config(config: TextVectorizationConfig) -> StringLookupConfig:
    """Of the lookup layer inside, whose mask token is the empty string."""
    return StringLookupConfig(
        max_tokens=config.max_tokens,
        mask_token="",
        output_mode=config.output_mode or "int",
        pad_to_max_tokens=config.pad_to_max_tokens,
        vocabulary=config.vocabulary,
        idf_weights=config.idf_weights,
        vocabulary_size=config.vocabulary_size,
        encoding=config.encoding,
    )


def _variables(config: Any, era: Era) -> tuple[Variable, ...]:
    return lookup_variables(_lookup_config(config), era)


def _refuse(config: TextVectorizationConfig) -> None:
    """What cannot be said, by name."""
    standard = clean(config.standardize, 60)
    wrong = [
        (config.standardize not in list(STANDARDS), f"standardize={standard}, which is Python code"),
        (config.split == "character", "split='character': ONNX cannot split text into characters"),
        (config.split not in (None, "whitespace", "character"), "split by Python code"),
        (config.ngrams is not None, "ngrams"),
        (config.output_mode is None, "output_mode=None: pieces of text as output"),
        (config.ragged or config.sparse, "ragged or sparse output"),
        (config.output_mode == "one_hot" and config.split is not None, "output_mode='one_hot' of words: ragged output"),
    ]
    for is_so, what in wrong:
        if is_so:
            raise Unsupported(what, hint=INSTEAD)


def _text_vectorization(call: Call) -> tuple[Tensor, ...]:
    """Text [batch, 1] or [batch] -> indices [batch, words], or one row of numbers for each text."""
    config: TextVectorizationConfig = call.config
    _refuse(config)
    ops, x = call.ops, call.x.value
    if x.dtype != "string":
        raise InvalidModel(f"is called on {x.dtype}, text is expected")
    lower, removed = STANDARDS[config.standardize]
    if lower:
        x = ops.one(layers.LowerCase(), [x], x.shape, x.dtype)
    if removed:
        x = ops.one(layers.RemoveCharacters(removed), [x], x.shape, x.dtype)
    if config.split is not None:
        if len(x.shape) > 1:
            if x.shape[-1] != 1:
                raise InvalidModel(f"text of shape {x.shape} to be split; its last axis must be 1")
            x = ops.squeeze(x, -1)
        x = ops.one(layers.SplitWords(), [x], (*x.shape, None), x.dtype)
    index = looked_up(call, _lookup_config(config), x)
    length = config.output_sequence_length
    return (Tensor(index if length is None else _of_length(call, index, length)),)


def _of_length(call: Call, index: Value, length: int) -> Value:
    """The last axis cut, or filled up with zeros."""
    last = len(index.shape) - 1
    pads = ((0, 0),) * last + ((0, length),)
    known = index.shape[last]
    shape = (*index.shape[:last], None if known is None else known + length)
    padded = call.ops.one(layers.Pad(pads), [index], shape, index.dtype)
    cut = layers.Slice((last,), (0,), (length,), (1,))
    return call.ops.one(cut, [padded], (*index.shape[:last], length), index.dtype)


TYPES: dict[str, LayerType] = {
    "TextVectorization": LayerType(
        TextVectorizationConfig, _text_vectorization, _variables, variables_under=("_lookup_layer",), takes="text",
        note=f"standardize and split by name, not by character; --opset 20; {LEARNED}",
    ),
}  # fmt: skip
