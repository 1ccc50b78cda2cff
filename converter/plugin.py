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
  `call.config` a MyConfig, `call.need("W")` an array with its shape checked by `call.check(w, "W", features, 1)`.
  `call.ops` has the operations: `elementwise("add", a, b)`, `unary("exp", a)`, `matmul(a, b)` over the last two axes,
  `reduce("sum", a, [1])`, `activate(a, Activation("softmax", (-1,)))`, `expand_dims`, `squeeze`, `concatenate`,
  `slice`, `transpose`, `reshape`, `where`, `cast`, `weight(w)` (an array as a value),
  `constant(0.5, "float32")`. Others are emitted with
  `call.emit(layers.Dense(kernel, bias), [x], shape)`; `layers` is the whole vocabulary.
* `children`: `(config, era) -> {"attribute": {"class_name": "Dense", "config": {...}}}` for layers that it makes itself
  (`self.attribute = Dense(...)`); `call.wrapped("attribute", tensor)` calls one.
* `masking`: what Keras does with the mask of the input: "stop" it (the default of a layer that does not say
  `supports_masking`; Keras then also ignores it), "pass" it on, or "own": the Tensors returned carry theirs.

`examples/plugin_attention.py` is a complete one. The proof after a conversion compares the exported file with what the
plugin says. Whether the plugin says what your layer computes only your Keras knows: compare with its outputs once.
"""

from __future__ import annotations

from converter.errors import InvalidModel, Unsupported
from converter.keras.activation_argument import activation_of
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import Ops
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
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
    "layers",
]
