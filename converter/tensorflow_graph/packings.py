"""The places that weights can have in a cell: kernels and bias as Keras packs them, from candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from converter.model import Array, Weight, constant, join

MAX_CHOICES = 4000  # of weights for places, so that no file makes this endless


@dataclass(frozen=True, eq=False)
class Candidate:
    """A weight that the step reads.

    Attributes:
        sample: the random values that it had when the step was run, float64.
        weight: the file's.
    """

    sample: Array
    weight: Weight


@dataclass(frozen=True, eq=False)
class Packed:
    """Weights in Keras' places: samples and, made when needed, the file's."""

    kernel: Array
    recurrent: Array
    bias: Array | None
    weights: Callable[[], tuple[Weight, Weight, Weight | None]]
    peephole: Array | None = None


def apart(candidates: Sequence[Candidate], inputs: int, units: int, gates: int) -> Iterator[Packed]:
    """Kernel, recurrent kernel and bias apart, as in Keras."""
    kernels = [c for c in candidates if c.sample.shape == (inputs, gates * units)]
    recurrent = [c for c in candidates if c.sample.shape == (units, gates * units)]
    biases = [None, *(c for c in candidates if c.sample.shape == (gates * units,))]
    for k, r, b in product(kernels, recurrent, biases):
        if k is not r:
            yield _packed(k, r, b)


def _packed(k: Candidate, r: Candidate, b: Candidate | None) -> Packed:
    return Packed(k.sample, r.sample, None if b is None else b.sample,
                  lambda: (k.weight, r.weight, None if b is None else b.weight))  # fmt: skip


def joint(
    candidates: Sequence[Candidate], inputs: int, units: int, order: Sequence[int], shifts: Sequence[float]
) -> Iterator[Packed]:
    """One kernel for input and state, gates in another order; `shifts` may be added to the second gate's bias."""
    gates = len(order)
    for k in candidates:
        if k.sample.shape != (inputs + units, gates * units):
            continue
        for b in [None, *(c for c in candidates if c.sample.shape == (gates * units,))]:
            for shift in shifts if gates == 4 else (0.0,):
                yield _split(k, b, inputs, units, order, shift)


def _split(k: Candidate, b: Candidate | None, inputs: int, units: int, order: Sequence[int], shift: float) -> Packed:
    columns = np.concatenate([np.arange(gate * units, (gate + 1) * units) for gate in order])
    added = np.zeros(len(columns))
    added[units : 2 * units] = shift
    bias = added if b is None else b.sample[columns] + added

    def weights() -> tuple[Weight, Weight, Weight | None]:
        kernel = k.weight.map(lambda v: v[:inputs][:, columns], (inputs, len(columns)))
        recurrent = k.weight.map(lambda v: v[inputs:][:, columns], (units, len(columns)))
        if b is None:
            return (
                kernel,
                recurrent,
                constant(f"{k.weight.name}/forget_bias", added.astype(np.float32)) if shift else None,
            )
        return kernel, recurrent, b.weight.map(lambda v: v[columns] + added.astype(v.dtype), b.weight.shape)

    return Packed(k.sample[:inputs][:, columns], k.sample[inputs:][:, columns], bias if b or shift else None, weights)


def limited(choices: Iterator[Packed]) -> Iterator[Packed]:
    """The first MAX_CHOICES of them."""
    for _, one in zip(range(MAX_CHOICES), choices, strict=False):
        yield one


def chained(*parts: Iterator[Packed]) -> Iterator[Packed]:
    """One after the other."""
    for part in parts:
        yield from part


def gru_apart(candidates: Sequence[Candidate], inputs: int, units: int) -> Iterator[Packed]:
    """As `apart`, and with the two biases of the form that resets after the product."""
    wide = [c for c in candidates if c.sample.shape == (2, 3 * units)]
    single = [c for c in candidates if c.sample.shape == (3 * units,)]
    for packed in apart(candidates, inputs, units, 3):
        yield packed
        if packed.bias is None:
            for both in wide:
                yield _with_bias(packed, both.sample, both.weight)
            for a, b in permutations(single, 2):
                weight = join(a.weight.name, tuple(_row(w.weight) for w in (a, b)), 0)
                yield _with_bias(packed, np.stack([a.sample, b.sample]), weight)


def _row(weight: Weight) -> Weight:
    return weight.map(lambda values: values[None], (1, *weight.shape))


def _with_bias(packed: Packed, sample: Array, weight: Weight) -> Packed:
    return Packed(packed.kernel, packed.recurrent, sample, lambda: (*packed.weights()[:2], weight))


def gru_joint(candidates: Sequence[Candidate], inputs: int, units: int) -> Iterator[Packed]:
    """TensorFlow 1's GRUCell: gates r, u by one kernel, the candidate by another."""
    for gates in joint(candidates, inputs, units, (1, 0), (0.0,)):
        for new in joint(candidates, inputs, units, (0,), (0.0,)):
            yield _side_by_side(gates, new)


def _side_by_side(a: Packed, b: Packed) -> Packed:
    bias = None if a.bias is None or b.bias is None else np.concatenate([a.bias, b.bias])

    def weights() -> tuple[Weight, Weight, Weight | None]:
        (k1, r1, b1), (k2, r2, b2) = a.weights(), b.weights()
        return join(k1.name, (k1, k2), 1), join(r1.name, (r1, r2), 1), join(b1.name, (b1, b2), 0) if b1 and b2 else None

    return Packed(np.hstack([a.kernel, b.kernel]), np.hstack([a.recurrent, b.recurrent]), bias, weights)
