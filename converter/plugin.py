"""Everything for writing layers of your own: `convert model.h5 --plugin my_layers.py`, or `load(..., plugins=[...])`.

A file says that a layer is called "MyAttention" and which arrays it keeps, but what it computes is Python code that no
file holds, and that this program would not run. A plugin says it anew: a Python file that you write, and that runs
because you name it. It is one dict:

    LAYERS = {"MyAttention": LayerType(MyConfig, my_call, my_variables, masking="stop")}

Keys: the class as the file has it, "MyAttention", or as registered, "MyPackage>MyAttention"; for a Lambda, the name of
the layer: "Lambda:scale". Of classes that the file says to be Keras' own only those that are refused are looked up.

* `MyConfig(Config, frozen=True)`: what `get_config` writes, field by field, with types and defaults. A field that is
  not listed is refused, since it could change a number; what has no effect: `inert: ClassVar = frozenset({...})`.
* `my_variables(config, era)`: a tuple of `Variable(name)`, in the order of `add_weight` in `build`; the name is the
  attribute's (`self.W = self.add_weight(...)` is "W"), which is how checkpoints know it.
* `my_call(call)`: what `call` computes, as neutral operations; returns a tuple of `Tensor(value, mask)`.
  `call.x` is the tensor it is called on (`.shape`: [batch, time, features], None where a size is open), `call.tensors`
  all of them, `call.args` and `call.kwargs` the arguments as they were given,
  `call.config` a MyConfig, `call.need("W")` an array with its shape checked by `call.check(w, "W", features, 1)`
  (`call.weight("b")`: None where there is none). `call.ops` has the operations, see below; whatever else a node of the
  neutral model can compute is emitted with `call.emit(layers.Dense(kernel, bias), [x], shape)`.
* `children`: `(config, era) -> {"attribute": {"class_name": "Dense", "config": {...}}}` for layers that it makes itself
  (`self.attribute = Dense(...)`); `call.wrapped("attribute", tensor)` calls one.
* `masking`: what Keras does with the mask of the input: "stop" it (the default of a layer that does not say
  `supports_masking`; Keras then also ignores it), "pass" it on, or "own": the Tensors returned carry theirs.

* `keras_layer("LSTM")`: the LayerType of a class of Keras' own, for classes that extend it: used as it is, or with
  `dataclasses.replace(keras_layer("LSTM"), config=MyConfig, call=my_call)`, where `my_call` may call the original.

An activation function of your own, of which a file holds the name alone, is one of
`converter.model.activations.FUNCTIONS` with its parameters, wherever that name stands, in an LSTM, too:

    ACTIVATIONS = {"swish": Activation("swish", (1.5,)), "my_leaky": Activation("leaky_relu", (0.1,))}

`examples/plugin_attention.py` and `examples/plugin_extends_lstm.py` are complete ones. The proof after a conversion
compares the exported file with what the plugin says. Whether the plugin says what your layer computes only your Keras
knows: compare with its outputs once.

Operations of `call.ops`; x, a and b are values (`tensor.value`), axes count the batch and negative ones from the end:

    weight(w)                       an array as a value
    constant(0.5, "float32")        numbers as a value
    numbers(0, n)                   range(0, n) as a value
    elementwise("add", a, b)        add subtract multiply divide maximum minimum power mod floor_divide arctan2
                                    equal not_equal less less_equal greater greater_equal and or xor
    with_scalar("add", a, 0.5)      the same with a number
    against_single("less", a, 0.5)  a comparison with a number that is rounded to float32 first, as Keras does
    unary("exp", a)                 abs negative exp log sqrt rsqrt square sin cos tan sign floor ceil round reciprocal
                                    not erf isnan sinh cosh arcsin arccos arctan arcsinh arccosh arctanh expm1 log1p
    activate(a, Activation("softmax", (-1,)))    names and parameters: converter.model.activations.FUNCTIONS
    reduce("sum", a, [1])           sum mean max min prod any all argmax argmin logsumexp; keepdims=True
    matmul(a, b)                    over the last two axes; transpose_a, transpose_b
    where(condition, a, b)          cast(a, "float32")           one_hot(a, depth, "float32")
    expand_dims(a, axis)            squeeze(a, axis)             reshape(a, target, shape)
    transpose(a, axes)              concatenate([a, b], axis)    slice(a, axis, start, stop)      reverse(a, axis)
    one(layer, inputs, shape, dtype)    a node of `layers` with one output

Nodes of `layers`, each documented where it is defined (`python -m pydoc converter.model.layers.computing`, `.moving`,
`.weighted`, `.recurrent`, `.scanning`, `.text`):

    Activate ArgSort BatchNormalization Cast Concatenate Constant Conv ConvTranspose CumSum Dense Einsum Elementwise
    Embedding ExpandDims FoldTime Gather GatherND LayerNormalization Lookup LowerCase MatMul OneHot Pad Pool Range
    Recurrent Reduce RemoveCharacters Repeat Reshape Scan Size Slice SplitWords Squeeze TakeAlong Tile Transpose Unary
    UnfoldTime Where
"""

from __future__ import annotations

from converter.errors import InvalidModel, Unsupported
from converter.keras.activation_argument import activation_of
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import Ops
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.layers import LAYERS as _KERAS
from converter.keras.schema import ActivationField, Config, Count, Positive
from converter.keras.spec import Call
from converter.model import Shape, Value, Weight, layers
from converter.model.activations import Activation

__all__ = [
    "Activation",
    "ActivationField",
    "Call",
    "Config",
    "Count",
    "Era",
    "InvalidModel",
    "LayerType",
    "Ops",
    "Positive",
    "Shape",
    "Tensor",
    "Unsupported",
    "Value",
    "Variable",
    "Weight",
    "activation_of",
    "keras_layer",
    "layers",
]


def keras_layer(name: str) -> LayerType:
    """Everything that is known of a class of Keras' own, for a class that extends it.

    Raises:
        KeyError: Keras has no such class, or it is not converted.
    """
    if name not in _KERAS:
        raise KeyError(f"{name} is no class of Keras' own that is converted")
    return _KERAS[name]
