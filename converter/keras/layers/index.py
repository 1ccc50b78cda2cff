"""What has to be known of the layer classes before their module is imported, made from the rows in `TYPES`.

Not to be edited: `python tests/layer_index.py` renews it, and a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping

# Module -> the classes whose rows are in it.
MODULES: Mapping[str, str] = {
    "converter.keras.layers.activations": "Activation LeakyReLU ELU ThresholdedReLU ReLU Softmax PReLU",
    "converter.keras.layers.adaptive_pooling": (
        "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D "
        "AdaptiveMaxPooling2D AdaptiveMaxPooling3D"
    ),
    "converter.keras.layers.attention": "Attention AdditiveAttention",
    "converter.keras.layers.augmentation": (
        "AugMix CutMix MaxNumBoundingBoxes MixUp RandAugment RandomBrightness RandomColorDegeneration RandomContrast "
        "RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert "
        "RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear "
        "RandomTranslation RandomZoom Solarization Equalization RandomColorJitter RandomHeight RandomWidth RandomCrop"
    ),
    "converter.keras.layers.contrast": "AutoContrast",
    "converter.keras.layers.conv_lstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    "converter.keras.layers.convolution": (
        "Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D"
    ),
    "converter.keras.layers.core": (
        "InputLayer Dense Embedding Masking Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D GaussianNoise "
        "GaussianDropout AlphaDropout ActivityRegularization"
    ),
    "converter.keras.layers.dot": "Dot",
    "converter.keras.layers.einsum_dense": "EinsumDense",
    "converter.keras.layers.group_unit_normalization": (
        "GroupNormalization RMSNormalization UnitNormalization SpectralNormalization"
    ),
    "converter.keras.layers.legacy": "ParametricSoftplus SReLU Merge Highway MaxoutDense",
    "converter.keras.layers.locally_connected": "LocallyConnected1D LocallyConnected2D",
    "converter.keras.layers.lookup": "IntegerLookup StringLookup",
    "converter.keras.layers.merge": "Add Subtract Multiply Average Maximum Minimum Concatenate",
    "converter.keras.layers.multi_head": "MultiHeadAttention GroupQueryAttention GroupedQueryAttention",
    "converter.keras.layers.normalization": "BatchNormalization LayerNormalization",
    "converter.keras.layers.pooling": (
        "MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D GlobalMaxPooling1D "
        "GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D"
    ),
    "converter.keras.layers.preprocessing": "Rescaling Normalization Discretization CategoryEncoding Identity",
    "converter.keras.layers.recurrent": "LSTM GRU SimpleRNN CuDNNLSTM CuDNNGRU RNN",
    "converter.keras.layers.reshaping": (
        "Flatten Reshape Permute RepeatVector Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D "
        "ZeroPadding3D"
    ),
    "converter.keras.layers.resizing": "Resizing CenterCrop",
    "converter.keras.layers.reversible": "ReversibleEmbedding Pipeline",
    "converter.keras.layers.spectrograms": "STFTSpectrogram MelSpectrogram",
    "converter.keras.layers.stepping": "LSTMCell PeepholeLSTMCell GRUCell SimpleRNNCell StackedRNNCells",
    "converter.keras.layers.text": "TextVectorization",
    "converter.keras.layers.transposed": "Conv1DTranspose Conv2DTranspose Conv3DTranspose",
    "converter.keras.layers.up_sampling": "UpSampling1D UpSampling2D UpSampling3D",
    "converter.keras.layers.wrappers": "Bidirectional TimeDistributed",
    "converter.keras.operations.nodes": "TFOpLambda SlicingOpLambda TensorFlowOpLayer",
}
# Other names of classes, and the names of their rows.
ALIASES: Mapping[str, str] = {
    "Convolution1D": "Conv1D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConv1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "AtrousConvolution2D": "Conv2D",
    "AtrousConv2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "UnifiedLSTM": "LSTM",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "UnifiedGRU": "GRU",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconv2D": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "Deconv3D": "Conv3DTranspose",
}
