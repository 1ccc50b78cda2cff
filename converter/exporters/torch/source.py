"""The text of a module: names that are safe to write, the layers it owns, the lines of `forward`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from functools import singledispatch

from converter.errors import Unsupported, clean
from converter.model import Model, Node, Value, Weight

# Attributes of nn.Module, and names that the text itself uses.
_RESERVED = frozenset({
    "self", "torch", "nn", "load", "model", "path", "masked", "f", "add_module", "apply", "bfloat16", "bool", "buffers",
    "call_super_init", "children", "compile", "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float",
    "forward", "get_buffer", "get_parameter", "get_submodule", "half", "int", "ipu", "load_state_dict", "modules",
    "mtia", "named_buffers", "named_children", "named_modules", "named_parameters", "parameters", "register_buffer",
    "register_forward_hook", "register_module", "register_parameter", "requires_grad", "share_memory", "state_dict",
    "to", "to_empty", "train", "training", "type", "xpu", "zero_grad",
})  # fmt: skip
HINT = "--to npz or --to safetensors writes the weights alone"


class Names:
    """Python identifiers for names of a file: nothing of the file but letters, digits and underscores gets through."""

    def __init__(self) -> None:
        self._taken = set(_RESERVED)
        self._given: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """The identifier of a name, the same for the same name."""
        if name not in self._given:
            stem = re.sub(r"[^A-Za-z0-9]+", "_", name)[:60].strip("_").lower() or "x"
            stem = f"x_{stem}" if stem[0].isdigit() or keyword.iskeyword(stem) else stem
            free, count = stem, 1
            while free in self._taken:
                count += 1
                free = f"{stem}_{count}"
            self._taken.add(free)
            self._given[name] = free
        return self._given[name]


class Writer:
    """Gathers a module while rules walk over the model.

    Attributes:
        modules: attribute -> the expression that makes it, for `__init__`.
        lines: of `forward`.
        state: the state_dict.
        helpers: names of the functions of helpers.py that are called.
        read: names of the values that something reads.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.modules: dict[str, str] = {}
        self.lines: list[str] = []
        self.state: dict[str, Weight] = {}
        self.helpers: set[str] = set()
        self.read = {value.name for value in model.outputs}
        self.read |= {value.name for node in model.nodes for value in node.inputs if value is not None}
        self._attributes, self._variables = Names(), Names()
        self._shared: dict[tuple[object, ...], str] = {}

    def value(self, value: Value | None) -> str:
        """The variable of a value; "None" for an absent one."""
        return "None" if value is None else self._variables(f"v {value.name}")

    def inputs(self, node: Node) -> list[str]:
        """The variables a node reads."""
        return [self.value(value) for value in node.inputs]

    def local(self, name: str) -> str:
        """A further variable of `forward`."""
        return self._variables(name)

    def assign(self, value: Value, expression: str) -> None:
        """A line of `forward`."""
        self.lines.append(f"{self.value(value)} = {expression}")

    def module(
        self, name: str, expression: str, state: Iterable[tuple[str, Weight]], weights: Iterable[Weight | None] = ()
    ) -> str:
        """A layer of the module's own; returns its attribute, that of an earlier one if it has the same `weights`."""
        key = (expression, *(id(weight) for weight in weights))
        if key in self._shared:
            return self._shared[key]
        attribute = self._attributes(name)
        if len(key) > 1:
            self._shared[key] = attribute
        self.modules[attribute] = expression
        self.state.update({f"{attribute}.{key}": weight for key, weight in state})
        return attribute

    def constant(self, name: str, weight: Weight) -> str:
        """An array of the module's own that is no parameter; returns how `forward` calls it."""
        attribute = self._attributes(name)
        dtype = f", dtype=torch.{weight.dtype}"
        self.modules[attribute] = f"buffer:torch.zeros({list(weight.shape)}{dtype})"
        self.state[attribute] = weight
        return f"self.{attribute}"


@singledispatch
def rule(layer: object, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """Writes a node (or a stack of recurrent ones) of this type of layer.

    Raises:
        Unsupported: PyTorch has no layer that computes exactly this.
    """
    raise Unsupported(f"{type(layer).__name__} has no counterpart in torch.nn here", where=nodes[0].name, hint=HINT)


def text(writer: Writer, only: str) -> str:
    """The module's source; `only` is the attribute that owns the whole state_dict, or ""."""
    model = writer.model
    if model.states:
        raise Unsupported("a stateful model has no counterpart in torch.nn", hint=HINT)
    for value in (v for node in model.nodes for v in (*node.inputs, *node.outputs) if v is not None):
        if value.dtype in ("float16", "bfloat16", "float64"):
            raise Unsupported(f"{value.name} is {value.dtype}; only float32 models are written", hint=HINT)
    arguments = [writer.value(value) for value in model.inputs]
    outputs = ", ".join(writer.value(value) for value in model.outputs)
    init = [_declaration(name, expression) for name, expression in writer.modules.items()]
    shapes = [f"{a}: {v.dtype} {_shape(v)}" for a, v in zip(arguments, model.inputs, strict=True)]
    target = f"model.{only}" if only else "model"
    title = clean(model.name, 60).replace('"', "'").replace("\\", "/")
    parts = [
        f'"""{title}, converted from Keras by keras-lstm-convert. Weights: the .safetensors file beside this one."""',
        "",
        *_imports(writer),
        "",
        *_helpers(writer),
        "",
        "class Model(nn.Module):",
        f'    """forward({", ".join(shapes)})."""',
        "",
        "    def __init__(self):",
        "        super().__init__()",
        *(f"        {line}" for line in init),
        "",
        f"    def forward(self, {', '.join(arguments)}):",
        *(f"        {line}" for line in writer.lines),
        f"        return {outputs}",
        "",
        "",
        'def load(path=Path(__file__).with_suffix(".safetensors")):',
        '    """The model with its weights, ready for inference."""',
        "    model = Model()",
        f"    {target}.load_state_dict(load_file(path), strict=True)",
        "    return model.eval()",
        "",
    ]
    return "\n".join(parts)


def _shape(value: Value) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in value.shape) + "]"


def _declaration(name: str, expression: str) -> str:
    if expression.startswith("buffer:"):
        return f'self.register_buffer("{name}", {expression.removeprefix("buffer:")})'
    return f"self.{name} = {expression}"


def _imports(writer: Writer) -> list[str]:
    lines = ["from pathlib import Path", "", "import torch"]
    lines += ["from safetensors.torch import load_file", "from torch import nn"]
    body = "\n".join(writer.lines)
    if "F." in body:
        lines.append("from torch.nn import functional as F")
    if "masked(" in body:
        lines.append("from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence")
    return lines


def _helpers(writer: Writer) -> list[str]:
    if not writer.helpers:
        return []
    from converter.exporters.torch.helpers import SOURCES

    return [line for name in sorted(writer.helpers) for line in ("", *SOURCES[name].strip().split("\n"), "")]
