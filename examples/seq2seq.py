"""Decodes a sequence step by step with onnxruntime and NumPy alone: an encoder, and a decoder with its states.

Both come from the one file that training left, here with layers called encoder, decoder and head:

    convert s2s.h5 --outputs encoder:1,encoder:2 -o encoder.onnx
    convert s2s.h5 --inputs target,encoder:1,encoder:2 --outputs head,decoder:1,decoder:2 -o decoder.onnx

`convert inspect s2s.h5` shows the names. A layer with return_state gives its output as number 0, then its states.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime


def decode(encoder: str, decoder: str, source: Any, first: Any, steps: int) -> Iterator[Any]:
    """Yields one token [batch, tokens] after the other, the most likely one each time, as one-hot vectors.

    Args:
        encoder: the file that turns a source into states.
        decoder: the file that takes a token and states, and gives the next token's probabilities and states.
        source: [batch, time, features].
        first: the token that begins a sequence, [batch, tokens].
        steps: how many tokens to decode.
    """
    encode, step = (onnxruntime.InferenceSession(f, providers=["CPUExecutionProvider"]) for f in (encoder, decoder))
    states = encode.run(None, {encode.get_inputs()[0].name: source})
    names = [value.name for value in step.get_inputs()]
    token = first
    for _ in range(steps):
        scores, *states = step.run(None, dict(zip(names, [token[:, None, :], *states], strict=True)))
        token = np.eye(scores.shape[-1], dtype=np.float32)[scores[:, 0].argmax(-1)]
        yield token
