"""Keras 3's quantized layers: int8 as Keras computes it, everything else refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import converter
from converter.errors import Unsupported
from converter.keras.layers.core import DenseConfig
from converter.keras.schema import policy_name, validate

pytestmark = pytest.mark.filterwarnings("ignore")
PLAIN = {"name": "d", "units": 3}


def quantized(mode: str = "int8", source: str = "float32") -> dict[str, Any]:
    return {"class_name": "QuantizedDTypePolicy", "config": {"mode": mode, "source_name": source}}


def by(quantizer: Any) -> dict[str, Any]:
    config = {"weight_quantizer": None, "activation_quantizer": quantizer}
    return {"class_name": "Int8QuantizationConfig", "config": config}


LARGEST = {
    "class_name": "AbsMaxQuantizer",
    "config": {"value_range": [-127, 127], "epsilon": 1e-6, "output_dtype": "int8"},
}


def test_what_a_policy_says() -> None:
    assert policy_name(quantized()) == policy_name("int8_from_float32") == "float32"
    for dtype in (quantized(), "int8_from_float32"):
        config = validate(DenseConfig, {**PLAIN, "dtype": dtype})
        assert config.quantized
        assert config.quantizes_inputs
        assert config.epsilon == 1e-7
    config = validate(DenseConfig, {**PLAIN, "dtype": quantized(), "quantization_config": by(LARGEST)})
    assert config.quantizes_inputs
    assert config.epsilon == 1e-6
    config = validate(DenseConfig, {**PLAIN, "dtype": quantized(), "quantization_config": by(None)})
    assert config.quantized
    assert not config.quantizes_inputs


@pytest.mark.parametrize("mode", ["int4", "int4/128", "float8", "gptq/4/128", "awq/4/128"])
def test_other_modes_are_refused_by_name(mode: str) -> None:
    for dtype in (quantized(mode), f"{mode}_from_float32"):
        with pytest.raises(Unsupported, match=f"quantized to {mode}"):
            validate(DenseConfig, {**PLAIN, "dtype": dtype})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": quantized(source="mixed_float16")}, "from float16, not from float32"),
        ({"dtype": quantized(source="bfloat16")}, "from bfloat16"),
        ({"quantization_config": by(LARGEST)}, "not quantized"),
        ({"dtype": quantized(), "quantization_config": by({"class_name": "Own", "config": {}})}, "Own"),
        ({"dtype": quantized(), "quantization_config": by({**LARGEST, "config": {"value_range": [-8, 7]}})}, "-8"),
        ({"dtype": quantized(), "quantization_config": by({**LARGEST, "config": {"axis": 0}})}, "axis"),
        (
            {"dtype": quantized(), "quantization_config": {"class_name": "Int4QuantizationConfig"}},
            "inputs are quantized",
        ),
    ],
)
def test_what_is_not_computed_as_keras_does_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        validate(DenseConfig, {**PLAIN, **changes})


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("inputs", [True, False])
def test_layers_are_computed_as_by_keras(suffix: str, inputs: bool, tmp_path: Path) -> None:
    import keras
    import onnxruntime

    layers = keras.layers
    made = [
        layers.Dense(4), layers.Dense(4, use_bias=False, activation="tanh"),
        layers.EinsumDense("abc,cd->abd", (None, 7), bias_axes="d"),
        layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"),
        layers.EinsumDense("abc,bd->adc", (3, 5)), layers.EinsumDense("abc,cd->ad", (3,)),
        layers.EinsumDense("abc,dc->abd", (None, 3)), layers.EinsumDense("abc,bcd->ad", (2,)),
    ]  # fmt: skip
    random = np.random.default_rng(0)
    x = keras.Input((4, 5))
    model = keras.Model(x, [layer(x) for layer in made])
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    config = None if inputs else keras.quantizers.Int8QuantizationConfig(activation_quantizer=None)
    model.quantize("int8") if config is None else model.quantize(config=config)
    file, more = tmp_path / f"model{suffix}", {}
    if suffix == ".weights.h5":
        model.save_weights(file)
        (tmp_path / "model.json").write_text(model.to_json())
        more = {"architecture": tmp_path / "model.json"}
    else:
        model.save(file)
    converter.convert(file, tmp_path / "model.onnx", **more)
    array = random.normal(size=(6, 4, 5)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    have = session.run(None, {session.get_inputs()[0].name: array})
    for one, want in zip(have, model(array), strict=True):
        np.testing.assert_allclose(one, np.asarray(want), rtol=1e-6, atol=1e-6)


@pytest.mark.tensorflow
def test_wrappers_that_keras_computes_without_scales_are_refused(tmp_path: Path) -> None:
    import keras

    x = keras.Input((4, 5))
    model = keras.Model(x, keras.layers.TimeDistributed(keras.layers.Dense(3))(x))
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    assert "QuantizedDTypePolicy" in json.dumps(model.get_config(), default=str)
    with pytest.raises(Unsupported, match="whose scales Keras leaves out"):
        converter.load(tmp_path / "model.keras")
