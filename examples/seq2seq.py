"""Decodes a sequence step by step with onnxruntime and NumPy alone: an encoder, and a decoder with its states.

Both come from the one file that training left, here with layers called encoder, decoder and head:

    convert s2s.h5 --outputs encoder:1,encoder:2 -o encoder.onnx
    convert s2s.h5 --inputs target,encoder:1,encoder:2 --outputs head,decoder:1,decoder:2 -o decoder.onnx

`convert inspect s2s.h5` shows the names. A layer with return_state gives its output as number 0, then its states. Where
the decoder looks at all of the encoder's steps (attention), encoder:0 comes first in both --outputs and after target.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime

DTYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64}


def decode(encoder: str, decoder: str, source: Any, first: Any, steps: int) -> Iterator[Any]:
    """Yields one token [batch, tokens] after the other, the most likely one each time, as one-hot vectors.

    Args:
        encoder: the file that turns a source into states.
        decoder: the file that takes a token and states, and gives the next token's probabilities and states.
        source: [batch, time, features], or [batch, time] of words for an Embedding.
        first: the token that begins a sequence, [batch, tokens].
        steps: how many tokens to decode.
    """
    encode, step = (onnxruntime.InferenceSession(f, providers=["CPUExecutionProvider"]) for f in (encoder, decoder))
    states = encode.run(None, {encode.get_inputs()[0].name: source})
    target, *others = step.get_inputs()
    fixed = len(others) - (len(step.get_outputs()) - 1)  # what the decoder reads of the encoder and does not change
    token = first
    for _ in range(steps):
        word = token[:, None, :] if len(target.shape) == 3 else token.argmax(-1)[:, None]  # an Embedding takes numbers
        given = dict(zip([value.name for value in others], states, strict=True))
        scores, *after = step.run(None, {target.name: word.astype(DTYPES[target.type]), **given})
        states = [*states[:fixed], *after]
        token = np.eye(scores.shape[-1], dtype=np.float32)[scores[:, 0].argmax(-1)]
        yield token
