"""LAYERS: every Keras layer class that can be converted, by its Keras 3 name; each module is imported when needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from converter.keras.spec import PREFIX, LayerType

# Module -> the classes that its TYPES explain. Keras 3's operations, "ops.X", stand in `_OPERATIONS`.
MODULES: Mapping[str, str] = {
    "core": (
        "InputLayer Dense Embedding Masking Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D "
        "GaussianNoise GaussianDropout AlphaDropout ActivityRegularization"
    ),
    "activations": "Activation LeakyReLU ELU ThresholdedReLU ReLU Softmax PReLU",
    "normalization": "BatchNormalization LayerNormalization",
    "group_unit_normalization": "GroupNormalization RMSNormalization UnitNormalization SpectralNormalization",
    "multi_head": "MultiHeadAttention GroupQueryAttention GroupedQueryAttention",
    "einsum_dense": "EinsumDense",
    "attention": "Attention AdditiveAttention",
    "convolution": "Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D",
    "transposed": "Conv1DTranspose Conv2DTranspose Conv3DTranspose",
    "spectrograms": "STFTSpectrogram MelSpectrogram",
    "reversible": "ReversibleEmbedding Pipeline",
    "pooling": (
        "MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D "
        "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D "
        "GlobalAveragePooling2D GlobalAveragePooling3D"
    ),
    "adaptive_pooling": (
        "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D "
        "AdaptiveMaxPooling2D AdaptiveMaxPooling3D"
    ),
    "locally_connected": "LocallyConnected1D LocallyConnected2D",
    "preprocessing": "Rescaling Normalization Discretization CategoryEncoding Identity",
    "lookup": "IntegerLookup StringLookup",
    "text": "TextVectorization",
    "reshaping": (
        "Flatten Reshape Permute RepeatVector Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D "
        "ZeroPadding3D"
    ),
    "up_sampling": "UpSampling1D UpSampling3D UpSampling2D",
    "resizing": "Resizing CenterCrop",
    "augmentation": (
        "AugMix CutMix MaxNumBoundingBoxes MixUp RandAugment RandomBrightness RandomColorDegeneration "
        "RandomColorJitter RandomContrast RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur "
        "RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective RandomPosterization "
        "RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom "
        "Solarization RandomCrop"
    ),
    "merge": "Add Subtract Multiply Average Maximum Minimum Concatenate",
    "dot": "Dot",
    "legacy": "ParametricSoftplus SReLU Merge Highway MaxoutDense",
    "cells": "LSTMCell PeepholeLSTMCell GRUCell SimpleRNNCell StackedRNNCells",
    "recurrent": "LSTM GRU SimpleRNN CuDNNLSTM CuDNNGRU RNN",
    "conv_lstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    "wrappers": "Bidirectional TimeDistributed",
    "converter.keras.operations.nodes": "TFOpLambda SlicingOpLambda TensorFlowOpLayer",
}


_OPERATIONS = "converter.keras.operations.nodes"
_MODULE_OF = {
    name: module if "." in module else f"{__name__}.{module}"
    for module, names in MODULES.items()
    for name in names.split()
}


class _Layers(Mapping[str, LayerType]):
    """The rows of all modules, looked up where they stand."""

    def __getitem__(self, name: str) -> LayerType:
        module = _OPERATIONS if name.startswith(PREFIX) else _MODULE_OF[name]
        row: LayerType = import_module(module).TYPES[name]
        return row

    def __iter__(self) -> Iterator[str]:
        operations = import_module(_OPERATIONS).TYPES
        return iter([*_MODULE_OF, *(name for name in operations if name.startswith(PREFIX))])

    def __len__(self) -> int:
        return len(list(iter(self)))


LAYERS: Mapping[str, LayerType] = _Layers()
