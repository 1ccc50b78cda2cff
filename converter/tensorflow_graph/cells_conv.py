"""Which ConvLSTM a step is; see `converter.tensorflow_graph.cells`.

Source: keras/src/layers/rnn/conv_lstm.py. A ConvLSTM of one spatial axis convolves by Conv2D over a first axis of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from converter.model import layers
from converter.model.activations import Activation
from converter.tensorflow_graph.cells import Found, StepRun, as_dtype, lstm_activations
from converter.tensorflow_graph.packings import Candidate
from converter.tensorflow_graph.tracing import Convolution
from reference_lstm import ConvLSTM
from reference_lstm.conv import convolve


def find_conv_cell(run: StepRun, candidates: Sequence[Candidate], convolutions: Sequence[Convolution]) -> Found | None:
    """The ConvLSTM that makes the first two states, or None."""
    if len(run.old) < 2 or run.old[0].shape != run.old[1].shape or run.old[0].ndim < 3:
        return None
    rank = run.x.ndim - 2
    for kernel, recurrent, bias, way in _choices(run, candidates, convolutions, rank):
        found = _matched(run, kernel, recurrent, bias, way)
        if found is not None:
            neutral = layers.ConvLSTMCell(
                rank, recurrent.sample.shape[-2], kernel.weight.astype(run.dtype), recurrent.weight.astype(run.dtype),
                as_dtype(None if bias is None else bias.weight, run.dtype), *found, way.strides[-rank:],
                "same" if way.padding == "same" else "valid", way.dilation[-rank:],
                "channels_first" if way.data_format == "channels_first" else "channels_last",
            )  # fmt: skip
            return Found(neutral, (0, 1))
    return None


def _choices(
    run: StepRun, candidates: Sequence[Candidate], convolutions: Sequence[Convolution], rank: int
) -> Iterator[tuple[Candidate, Candidate, Candidate | None, Convolution]]:
    for way in convolutions:
        at = 1 if way.data_format == "channels_first" else -1
        inputs, filters = run.x.shape[at], run.old[0].shape[at]
        sized = [c for c in candidates if c.sample.ndim == rank + 2 and c.sample.shape[-1] == 4 * filters]
        kernels = [c for c in sized if c.sample.shape[-2] == inputs]
        recurrent = [c for c in sized if c.sample.shape[-2] == filters]
        biases = [*(c for c in candidates if c.sample.shape == (4 * filters,)), None]
        for k, r, b in product(kernels, recurrent, biases):
            if k is not r:
                yield k, r, b, way


def _matched(
    run: StepRun, kernel: Candidate, recurrent: Candidate, bias: Candidate | None, way: Convolution
) -> tuple[Activation, Activation] | None:
    """The activations with which the equations hold, if there are any."""
    rank = run.x.ndim - 2
    cell = ConvLSTM(
        kernel.sample, recurrent.sample, None if bias is None else bias.sample, way.strides[-rank:], way.padding,
        way.dilation[-rank:], way.data_format,
    )  # fmt: skip
    one = (1,) * rank
    try:
        z = cell.project(run.x[None])[0] + convolve(
            run.old[0], recurrent.sample, strides=one, padding="same", dilation=one, data_format=way.data_format
        )
    except ValueError:
        return None
    return lstm_activations(run, np.split(z, 4, axis=cell.channel_axis), (0, 1))
