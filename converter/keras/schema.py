"""Strict configurations: every field of a layer's config is consumed by its struct or listed as inert here.

A field that is neither makes the layer unsupported, so that nothing that could change a number is dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec

from converter import limits
from converter.errors import InvalidModel, Unsupported, clean

Positive = Annotated[int, msgspec.Meta(gt=0, lt=2**31)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Number = Annotated[int, msgspec.Meta(gt=-(2**31), lt=2**31)]
Axes = Annotated[list[Number], msgspec.Meta(max_length=limits.RANK)]
Sizes = Annotated[list[Number | None], msgspec.Meta(max_length=limits.RANK)]
Ints = Number | Axes
DataFormat = Literal["channels_last", "channels_first"]
ActivationField = str | dict[str, Any] | None

_KINDS = ("kernel", "recurrent", "bias", "embeddings", "gamma", "beta", "moving_mean", "moving_variance", "depthwise",
          "pointwise", "alpha")  # fmt: skip
# Fields without effect at inference, in every layer: how weights were made and trained.
INERT: frozenset[str] = frozenset(
    {f"{kind}_{role}" for kind in _KINDS for role in ("initializer", "regularizer", "constraint")}
    | {"activity_regularizer", "seed", "build_config", "shared_object_id", "autocast", "lora_rank", "lora_alpha"}
)
POLICIES: Mapping[str, str] = {
    "mixed_float16": "float16",
    "mixed_bfloat16": "bfloat16",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float32": "float32",
    "float64": "float64",
    "infer": "",
    "_infer": "",
    "infer_with_float32_vars": "",
}


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Fields that any layer may carry.

    Attributes:
        inert: further fields that a class writes and that have no effect at inference, whatever their values. One that
            is a field of the struct and that nothing reads has none either, but a value that Keras refuses is refused.
        absent: fields of the struct it extends that a class does not have.
        modes: the quantizations that its rule computes.
    """

    inert: ClassVar[frozenset[str]] = frozenset()
    absent: ClassVar[frozenset[str]] = frozenset()
    modes: ClassVar[frozenset[str]] = frozenset()

    name: str = ""
    trainable: bool = True
    dtype: str | dict[str, Any] | None = None
    batch_input_shape: Sizes | None = None
    batch_size: Number | None = None

    @property
    def compute_dtype(self) -> str | None:
        """What the layer computes in; None where its inputs decide."""
        name = policy_name(self.dtype)
        return None if name is None else (POLICIES.get(name, name) or None)


class DenseOutput(Config, frozen=True, kw_only=True):
    """Layers that could give sparse tensors, which no target has."""

    sparse: bool = False

    def __post_init__(self) -> None:
        if self.sparse:
            raise Unsupported("sparse outputs cannot be converted")


class Quantizable(Config, frozen=True, kw_only=True):
    """Layers that Keras 3 can quantize, of which int8 is computed; see `shared.quantized`.

    Raises:
        Unsupported: of other floats than float32; another way to quantize inputs than by their largest number.
    """

    modes = frozenset({"int8"})
    quantization_config: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.quantized:
            if self.quantization_config is not None:
                raise Unsupported("quantization_config in a layer that is not quantized")
        elif self.compute_dtype != "float32":
            raise Unsupported(f"the layer is quantized to int8 from {clean(self.compute_dtype)}, not from float32")
        elif self.quantization_config is not None and not _by_largest(self._of_inputs):
            raise Unsupported(f"inputs are quantized by {clean(self._of_inputs, 200)}")

    @property
    def quantized(self) -> bool:
        """Whether kernels are int8."""
        return bool(_quantized(self.dtype))

    @property
    def quantizes_inputs(self) -> bool:
        """Whether inputs are made int8, too."""
        return self.quantized and (self.quantization_config is None or self._of_inputs is not None)

    @property
    def epsilon(self) -> float:
        """What is added to the largest number of a row."""
        own = self._of_inputs.get("config", {}) if self.quantization_config is not None else {}
        return float(own.get("epsilon", 1e-7))

    @property
    def _of_inputs(self) -> Any:
        """The quantizer of inputs as Keras 3.13 and later write it; None for none."""
        own = (self.quantization_config or {}).get("config")
        return own.get("activation_quantizer", "") if isinstance(own, Mapping) else ""


def _by_largest(quantizer: Any) -> bool:
    """Whether it is Keras' AbsMaxQuantizer to -127 to 127, or none."""
    if quantizer is None:
        return True
    own = quantizer.get("config") if isinstance(quantizer, Mapping) else None
    if not isinstance(own, Mapping) or quantizer.get("class_name") != "AbsMaxQuantizer":
        return False
    known = {"value_range": [-127, 127], "output_dtype": "int8", "epsilon": own.get("epsilon")}
    return isinstance(own.get("epsilon", 1e-7), float) and all(known.get(key) == value for key, value in own.items())


ConfigType = TypeVar("ConfigType", bound=Config)


def policy_name(dtype: str | Mapping[str, Any] | None) -> str | None:
    """The name of a dtype policy in any of its spellings.

    Raises:
        Unsupported: a policy that is not one dtype (maps, quantized ones).
    """
    if dtype is None or isinstance(dtype, str):
        return dtype and dtype.rpartition("_from_")[2]
    kind, config = dtype.get("class_name"), dtype.get("config")
    if kind in ("Policy", "PolicyV1", "DTypePolicy", "FloatDTypePolicy") and isinstance(config, Mapping):
        name = config.get("name")
        if isinstance(name, str):
            return name
    if kind == "QuantizedDTypePolicy" and isinstance(config, Mapping) and isinstance(config.get("source_name"), str):
        return str(config["source_name"])
    raise Unsupported(f"dtype policy {clean(kind)} is not supported", hint="save the model with a plain dtype policy")


def _quantized(dtype: Any) -> str:
    """The mode of a quantized dtype policy: int8, int4/128, float8, gptq/4/128, ...; "" for any other.

    Source: keras `src/dtype_policies/dtype_policy.py`.
    """
    if isinstance(dtype, str):
        mode, found, _ = dtype.partition("_from_")
        return clean(mode, 40) if found else ""
    config = dtype.get("config") if isinstance(dtype, Mapping) else None
    return clean(config.get("mode") or "", 40) if isinstance(config, Mapping) else ""


def validate(kind: type[ConfigType], raw: Mapping[str, Any]) -> ConfigType:
    """A layer's configuration as its struct.

    Raises:
        Unsupported: a field nobody knows; a quantized layer. InvalidModel: a field of the wrong type or range.
    """
    mode = _quantized(raw.get("dtype"))
    if mode and mode not in kind.modes:
        raise Unsupported(
            f"the layer is quantized to {mode}: Keras computes it in numbers that it rounds at every call",
            hint="convert the model as it was before quantize()",
        )
    kept = {k: v for k, v in raw.items() if k not in INERT and k not in kind.inert}
    unknown = sorted(set(kept) - (set(kind.__struct_fields__) - kind.absent))
    if unknown:
        fields = ", ".join(f"{name}={clean(kept[name], 40)}" for name in unknown[:3])
        raise Unsupported(f"unknown argument {fields}, which could change the result")
    try:
        return msgspec.convert(kept, kind)
    except msgspec.ValidationError as problem:
        text = str(problem).replace(" - at `$.", " for argument `")
        raise InvalidModel(f"bad configuration: {text}") from None


def each(value: Ints, rank: int, what: str) -> tuple[int, ...]:
    """One positive number per spatial axis, from a number or a list.

    Raises:
        InvalidModel: the wrong count, or a number below 1.
    """
    numbers = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(numbers) != rank or any(n < 1 for n in numbers):
        raise InvalidModel(f"{what} must be {rank} positive numbers, got {value}")
    return numbers
