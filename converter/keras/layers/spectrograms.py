"""Spectrograms: sound as how much of each frequency it holds, step by step. A Fourier transform is two convolutions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor, refuse_constant
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.layers.wrappers import fold, unfold
from converter.keras.schema import Config, DataFormat, Positive
from converter.keras.shared.windows import window_length
from converter.keras.spec import Call
from converter.model import Value, Weight, constant, layers

Array = np.ndarray[Any, np.dtype[Any]]
EPSILON = 1e-7  # keras.backend.epsilon()


class STFTConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/preprocessing_layers/audio_preprocessing/stft_spectrogram/; it stores its windows."""

    mode: Literal["log", "magnitude", "psd", "real", "imag", "angle", "stft"] = "log"
    frame_length: Positive = 256
    frame_step: Positive | None = None
    fft_length: Positive | None = None
    window: Any = "hann"
    periodic: bool = False
    scaling: str | None = "density"
    padding: Literal["valid", "same"] = "valid"
    expand_dims: bool = False
    data_format: DataFormat | None = None

    @property
    def frequencies(self) -> int:
        """How many there are."""
        return (self.fft_length or 1 << (self.frame_length - 1).bit_length()) // 2 + 1


def _stft_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    kinds = {"real": ("real",), "imag": ("imag",)}.get(config.mode, ("real", "imag"))
    return tuple(Variable(f"{kind}_kernel") for kind in kinds)


def _stft(call: Call) -> tuple[Tensor, ...]:
    config: STFTConfig = call.config
    x, ops = call.x.value, call.ops
    if len(x.shape) != 3:
        raise InvalidModel(f"an input of shape {x.shape}, where 3 axes are expected")
    if config.mode == "angle":
        raise Unsupported("a spectrogram of angles")
    if config.data_format != "channels_first":
        x = ops.transpose(x, [0, 2, 1])
    kernels = {v.name: call.need(v.name) for v in _stft_variables(config, call.era)}
    for name, kernel in kernels.items():
        call.check(kernel, name, config.frame_length, 1, config.frequencies)
    step = config.frame_step or config.frame_length // 2
    signals = [_transformed(call, ops.expand_dims(x, -1), k, step, config.padding) for k in kernels.values()]
    return (Tensor(_arranged(call, _by_mode(call, signals))),)


def _transformed(call: Call, x: Value, kernel: Weight, step: int, padding: Literal["valid", "same"]) -> Value:
    """x [batch, channel, time, 1] convolved, each channel by itself -> [batch, channel, step, frequency]."""
    flat = fold(call, x)
    steps = window_length(x.shape[2], kernel.shape[0], step, padding)
    layer = layers.Conv(1, kernel, None, (step,), padding, (1,))
    return unfold(call, call.emit(layer, [flat], (None, steps, kernel.shape[-1])), x)


def _by_mode(call: Call, signals: list[Value]) -> Value:
    """What is asked for of the real and the imaginary part."""
    ops, mode = call.ops, call.config.mode
    if len(signals) == 1:
        return signals[0]
    if mode == "stft":
        return ops.concatenate(signals, -1)
    power = ops.elementwise("add", *(ops.unary("square", signal) for signal in signals))
    if mode == "psd":  # the frequencies below zero, which mirror all but the first and the last
        both = np.full(call.config.frequencies, 2.0)
        both[[0, -1]] = 1.0
        return ops.elementwise("multiply", power, ops.constant(both, power.dtype))
    magnitude = ops.unary("sqrt", ops.with_scalar("maximum", power, EPSILON))
    return magnitude if mode == "magnitude" else ops.unary("log", ops.with_scalar("maximum", magnitude, EPSILON))


def _arranged(call: Call, y: Value) -> Value:
    """[batch, channel, step, frequency] as the data format says; unless `expand_dims`, frequencies within channels."""
    config: STFTConfig = call.config
    ops, (batch, channels, steps, frequencies) = call.ops, y.shape
    last = config.data_format != "channels_first"
    if config.expand_dims:
        return ops.transpose(y, [0, 2, 3, 1]) if last else y
    if channels is None or frequencies is None:
        raise InvalidModel("the number of channels is open")
    count = channels * frequencies
    if last:
        return ops.reshape(ops.transpose(y, [0, 2, 1, 3]), [0, 0, count], (batch, steps, count))
    return ops.reshape(ops.transpose(y, [0, 1, 3, 2]), [0, count, -1], (batch, count, steps))


Hertz = Annotated[float, msgspec.Meta(ge=0, lt=2**31)]


class MelConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/preprocessing_layers/audio_preprocessing/mel_spectrogram/; it keeps no arrays."""

    fft_length: Positive = 2048
    sequence_stride: Positive = 512
    sequence_length: Positive | None = None
    window: Literal["hann", "hamming"] | None = "hann"
    sampling_rate: Hertz = 16000
    num_mel_bins: Positive = 128
    min_freq: Hertz = 20.0
    max_freq: Hertz | None = None
    power_to_db: bool = True
    top_db: float = 80.0
    mag_exp: float = 2.0
    min_power: float = 1e-10
    ref_power: float = 1.0


def _mel(call: Call) -> tuple[Tensor, ...]:
    config: MelConfig = call.config
    ops, dtype = call.ops, call.dtype if call.dtype == "float64" else "float32"
    x = ops.cast(call.x.value, dtype)
    if len(x.shape) != 2:
        raise Unsupported(f"MelSpectrogram of an input of shape {x.shape}")
    margin = config.fft_length // 2
    time = None if x.shape[1] is None else x.shape[1] + 2 * margin
    x = ops.one(layers.Pad(((0, 0), (margin, margin)), mode="reflect"), [x], (x.shape[0], time), dtype)
    parts = [_part(call, ops.expand_dims(x, -1), kernel) for kernel in fourier(config)]
    y = ops.elementwise("add", *parts)
    if config.mag_exp != 2:
        y = ops.with_scalar("power", y, config.mag_exp / 2)
    y = ops.matmul(y, ops.constant(mel_matrix(config), dtype))
    y = _decibels(call, y) if config.power_to_db else y
    return (Tensor(ops.cast(ops.transpose(y, [0, 2, 1]), call.dtype)),)


def _part(call: Call, x: Value, kernel: Array) -> Value:
    """The square of the real or the imaginary part, [batch, step, frequency]."""
    weight = constant(f"{call.path}/fourier", kernel).astype(x.dtype)
    step = call.config.sequence_stride
    steps = window_length(x.shape[1], kernel.shape[0], step, "valid")
    layer = layers.Conv(1, weight, None, (step,), "valid", (1,))
    return call.ops.unary("square", call.ops.one(layer, [x], (x.shape[0], steps, kernel.shape[-1]), x.dtype))


def _decibels(call: Call, y: Value) -> Value:
    """Ten times the logarithm, and nothing more than `top_db` below the loudest of the whole batch."""
    config, ops, ten = call.config, call.ops, 10 / np.log(10)
    y = ops.unary("log", ops.with_scalar("maximum", y, config.min_power))
    y = ops.with_scalar("multiply", y, ten)
    y = ops.with_scalar("subtract", y, float(ten * np.log(max(abs(config.ref_power), config.min_power))))
    loudest = ops.reduce("max", y, [0, 1, 2], keepdims=True)
    return ops.elementwise("maximum", y, ops.with_scalar("subtract", loudest, config.top_db))


def fourier(config: MelConfig) -> tuple[Array, Array]:
    """Kernels [fft_length, 1, frequency] of the real and the imaginary part, with the window (tf.signal) in them."""
    length = config.sequence_length or config.fft_length
    if length > config.fft_length:
        raise InvalidModel(f"a sequence_length of {length} above the fft_length {config.fft_length}")
    refuse_constant(config.fft_length, config.fft_length // 2 + 1)
    window = np.ones(length if config.window else config.fft_length)
    if config.window is not None and length > 1:
        low, period = {"hann": 0.5, "hamming": 0.54}[config.window], length - length % 2
        window = low - (1 - low) * np.cos(2 * np.pi * np.arange(length) / period)
    before = (config.fft_length - len(window)) // 2
    window = np.pad(window, (before, config.fft_length - len(window) - before))
    turns = np.outer(np.arange(config.fft_length), np.arange(config.fft_length // 2 + 1)) % config.fft_length
    angles = 2 * np.pi * turns / config.fft_length
    return (window[:, None] * np.cos(angles))[:, None], (-window[:, None] * np.sin(angles))[:, None]


def mel_matrix(config: MelConfig) -> Array:
    """[frequency, mel band]: triangles that are straight in mels; frequency 0 counts for nothing."""
    highest = config.max_freq or int(config.sampling_rate / 2)
    refuse_constant(config.fft_length // 2 + 1, config.num_mel_bins)
    heard = np.linspace(0, config.sampling_rate / 2, config.fft_length // 2 + 1)[1:, None]
    edges = np.linspace(_mels(config.min_freq), _mels(highest), config.num_mel_bins + 2)
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    slopes = np.minimum((_mels(heard) - lower) / (center - lower), (upper - _mels(heard)) / (upper - center))
    return np.pad(np.maximum(slopes, 0), ((1, 0), (0, 0)))


def _mels(hertz: Any) -> Any:
    return 1127.0 * np.log(1.0 + hertz / 700.0)


TYPES: dict[str, LayerType] = {
    "STFTSpectrogram": LayerType(STFTConfig, _stft, _stft_variables, note="but for angles"),
    "MelSpectrogram": LayerType(MelConfig, _mel),
}
