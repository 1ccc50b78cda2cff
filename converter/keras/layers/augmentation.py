"""Layers that change images in training only. At inference `training=False` leaves the images as they are.

Sources: `transform_images` and `call` of each class in keras/src/layers/preprocessing/image_preprocessing (3.15.1), and
in tf_keras/src/layers/preprocessing/image_preprocessing.py (2.21.0). AutoContrast and CLAHE are not here: they always
act.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from converter.errors import Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import FLOATS
from converter.keras.layer_type import NO_EFFECT, LayerType
from converter.keras.layers.core import identity
from converter.keras.layers.resizing import crop_to, known_sizes, resize
from converter.keras.schema import Config, DataFormat, Positive
from converter.keras.shared.windows import spatial_axes
from converter.keras.spec import Call


class AugmentationConfig(Config, frozen=True):
    """Any augmentation layer: its arguments have no effect at inference."""

    inert: ClassVar[frozenset[str]] = frozenset({
        "addition_factor", "all_ops", "alpha", "bins", "bounding_box_format", "brightness_factor", "chain_depth",
        "contrast_factor", "data_format", "factor", "fill_mode", "fill_value", "height_factor", "hue_factor",
        "interpolation", "kernel_size", "max_number", "mode", "num_chains", "num_ops", "rate", "rng_type",
        "saturation_factor", "scale", "sigma", "threshold_factor", "value_range", "width_factor", "x_factor",
        "y_factor",
    })  # fmt: skip


class RandomCropConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_crop/"""

    inert: ClassVar[frozenset[str]] = frozenset({"rng_type", "bounding_box_format"})

    height: Positive
    width: Positive
    data_format: DataFormat | None = None


def _unchanged(call: Call) -> tuple[Tensor, ...]:
    x = call.x.value
    if x.dtype in FLOATS:
        return (Tensor(x),)
    if not call.era.switch("augmentation_casts_integers"):
        raise Unsupported(f"{call.spec.class_name} of images of {x.dtype}, which only some versions of Keras cast")
    return (Tensor(call.ops.cast(x, call.dtype)),)


def _random_crop(call: Call) -> tuple[Tensor, ...]:
    """At inference the largest part of these proportions, resized (tf.keras 2.9 to 2.21).

    Raises:
        Unsupported: of other versions, where that would change the size.
    """
    config: RandomCropConfig = call.config
    ops, out = call.ops, (config.height, config.width)
    x = ops.cast(call.x.value, call.dtype)
    axes = spatial_axes(x.shape, 2, config.data_format)
    if not call.era.switch("random_crop_resizes") and known_sizes(x, axes) != out:
        raise Unsupported(f"RandomCrop of {call.era} to another size, which versions do in different ways at inference")
    y = resize(ops, crop_to(ops, x, axes, out), axes, out, "bilinear")
    return (Tensor(ops.cast(y, call.dtype)),)


_CAST = (
    "AugMix", "CutMix", "MaxNumBoundingBoxes", "MixUp", "RandAugment", "RandomBrightness",
    "RandomColorDegeneration", "RandomContrast", "RandomElasticTransform", "RandomErasing",
    "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective",
    "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear",
    "RandomTranslation", "RandomZoom", "Solarization",
)  # fmt: skip


def _augmentation(config: type[Config], call: Callable[[Call], tuple[Tensor, ...]], note: str = NO_EFFECT) -> LayerType:
    return LayerType(config, call, trains_by_default=True, note=note)


TYPES: dict[str, LayerType] = {
    **{name: _augmentation(AugmentationConfig, _unchanged) for name in _CAST},
    # Keras 3 returns the very tensor, and with it its mask.
    **{
        name: LayerType(AugmentationConfig, _unchanged, masking="pass", trains_by_default=True, note=NO_EFFECT)
        for name in ("Equalization", "RandomColorJitter")
    },
    # tf_keras leaves whole numbers alone here, and casts elsewhere
    **{name: _augmentation(AugmentationConfig, identity) for name in ("RandomHeight", "RandomWidth")},
    "RandomCrop": _augmentation(
        RandomCropConfig, _random_crop, "of known sizes; before 2.9 and in Keras 3 to the same size"
    ),
}
