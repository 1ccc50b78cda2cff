"""Which major versions of Keras have a layer class, under any of its spellings: data for tables and messages."""

from __future__ import annotations

KERAS_1 = frozenset({
    "Activation", "ActivityRegularization", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
    "BatchNormalization", "Bidirectional", "Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D", "ConvLSTM2D",
    "Cropping1D", "Cropping2D", "Cropping3D", "Dense", "Dropout", "ELU", "Embedding", "Flatten", "GRU",
    "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "Highway",
    "InputLayer", "LSTM", "LeakyReLU", "LocallyConnected1D", "LocallyConnected2D", "Masking", "MaxPooling1D",
    "MaxPooling2D", "MaxPooling3D", "MaxoutDense", "Merge", "PReLU", "ParametricSoftplus", "Permute",
    "RepeatVector", "Reshape", "SReLU", "SeparableConv2D", "SimpleRNN", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "ThresholdedReLU", "TimeDistributed", "UpSampling1D", "UpSampling2D", "UpSampling3D",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
})  # fmt: skip
ONLY_KERAS_1 = frozenset({"Highway", "MaxoutDense", "Merge", "ParametricSoftplus", "SReLU"})
ONLY_KERAS_3 = frozenset({
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "AugMix", "AutoContrast", "CutMix", "Equalization",
    "GroupQueryAttention", "GroupedQueryAttention", "MaxNumBoundingBoxes", "MelSpectrogram", "MixUp", "Pipeline",
    "RMSNormalization", "RandAugment", "RandomColorDegeneration", "RandomColorJitter", "RandomElasticTransform",
    "RandomErasing", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective",
    "RandomPosterization", "RandomSaturation", "RandomSharpness", "RandomShear", "ReversibleEmbedding",
    "STFTSpectrogram", "Solarization",
})  # fmt: skip
# Dropped by Keras 3, or never in it.
NOT_KERAS_3 = frozenset({
    "CuDNNGRU", "CuDNNLSTM", "LocallyConnected1D", "LocallyConnected2D", "PeepholeLSTMCell", "RandomHeight",
    "RandomWidth", "SlicingOpLambda", "TFOpLambda", "TensorFlowOpLayer", "ThresholdedReLU",
})  # fmt: skip


def versions(name: str) -> tuple[int, ...]:
    """The major versions of Keras that have the class, (1, 2, 3) or fewer; "ops.X" are operations of Keras 3."""
    return tuple(
        major
        for major, has in (
            (1, name in KERAS_1),
            (2, name not in ONLY_KERAS_1 | ONLY_KERAS_3 and not name.startswith("ops.")),
            (3, name not in ONLY_KERAS_1 | NOT_KERAS_3),
        )
        if has
    )
