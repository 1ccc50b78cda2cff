"""Classes of Keras' own that this program does not convert, each with the reason. Only a plugin can supply them."""

from __future__ import annotations

from collections.abc import Mapping

_BASE = "it is a base class: what a class of yours made of it computes is in no file"
_CODE = "it calls Python code, which is never run"
_HASH = "no operator of ONNX computes its hashes"
_CONV_CELL = "a cell of a ConvLSTM by itself is in no model that Keras can load"
_STEP_WRAPPER = "it wraps one step of an RNN layer, where only cells are converted"
_TRAINED = "it tells a loss or a metric of training, and an output hangs on it"
_PREMADE = "it is a model of feature columns, which parse their input in Python code"

# Keras 3.15, tf_keras 2.21, TensorFlow 1.13 to 2.15, Keras 1.0 to 2.3: public layers, and classes that files name.
REFUSED: Mapping[str, str] = {
    "ContrastLimitedAdaptiveHistogramEqualization": "it equalizes the histograms of parts of each image",
    "Hashing": _HASH,
    "HashedCrossing": _HASH,
    "CategoryCrossing": "no operator of ONNX joins its words to new ones",
    "DenseFeatures": _PREMADE,
    "SequenceFeatures": _PREMADE,
    "LinearModel": _PREMADE,
    "WideDeepModel": _PREMADE,
    "RandomFourierFeatures": "its random kernel is not read",
    "DynamicEmbedding": "its vocabulary changes while it runs",
    "DynamicLookup": "its vocabulary changes while it runs",
    "TFSMLayer": "it runs a SavedModel, which is not in the file; convert that by itself",
    "TorchModuleWrapper": "it holds a pickled PyTorch module, which is code and never run",
    "JaxLayer": _CODE,
    "FlaxLayer": _CODE,
    "ClassMethod": "it calls a method of a ragged or sparse tensor",
    "InstanceMethod": "it calls a method of a ragged or sparse tensor",
    "InstanceProperty": "it reads a property of a ragged or sparse tensor",
    "ConvLSTMCell": _CONV_CELL,
    "ConvLSTM2DCell": _CONV_CELL,
    "ConvRNN2D": _CONV_CELL,
    "DropoutWrapper": _STEP_WRAPPER,
    "ResidualWrapper": _STEP_WRAPPER,
    "DeviceWrapper": _STEP_WRAPPER,
    "AddLoss": _TRAINED,
    "AddMetric": _TRAINED,
    "AbstractRNNCell": _BASE,
    "BaseRandomLayer": _BASE,
    "ConvRecurrent2D": _BASE,
    "Layer": _BASE,
    "PreprocessingLayer": _BASE,
    "Recurrent": _BASE,
    "Wrapper": _BASE,
}
