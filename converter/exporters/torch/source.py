"""The text of a module: names that are safe to write, the layers it owns, the lines of `forward`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import singledispatch
from pathlib import Path

from converter.errors import Unsupported, clean
from converter.model import Model, Node, Value, Weight
from converter.model.naming import free_name

# Attributes of nn.Module, and names that the text itself uses.
_RESERVED = frozenset({
    "self", "torch", "nn", "load", "model", "path", "front", "spread", "kept", "same", "take", "f", "add_module",
    "apply", "bfloat16", "bool", "buffers",
    "call_super_init", "children", "compile", "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float",
    "forward", "get_buffer", "get_parameter", "get_submodule", "half", "int", "ipu", "load_state_dict", "modules",
    "mtia", "named_buffers", "named_children", "named_modules", "named_parameters", "parameters", "register_buffer",
    "register_forward_hook", "register_module", "register_parameter", "requires_grad", "share_memory", "state_dict",
    "to", "to_empty", "train", "training", "type", "xpu", "zero_grad",
})  # fmt: skip
HEADER = "converted from Keras by keras-lstm-convert."
MAX_HEADER = 1000  # characters in which it stands
HINT = "--to npz or --to safetensors writes the weights alone"


def keep_foreign(module: Path) -> None:
    """Refuses to write over a Python file of somebody else's.

    Raises:
        FileExistsError: it is there and does not begin as ours do.
    """
    if module.is_symlink() or module.exists():
        with suppress(OSError, UnicodeDecodeError):
            if module.is_file() and HEADER in module.read_text(encoding="utf-8")[:MAX_HEADER]:
                return
        raise FileExistsError(f"{module} was not written by this program, so it is never replaced: move it, or use -o")


class Names:
    """Python identifiers for names of a file: nothing of the file but letters, digits and underscores gets through."""

    def __init__(self) -> None:
        self._taken = set(_RESERVED)
        self._counts: dict[str, int] = {}
        self._given: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """The identifier of a name, the same for the same name."""
        if name not in self._given:
            stem = re.sub(r"[^A-Za-z0-9]+", "_", name)[:60].strip("_").lower() or "x"
            stem = f"x_{stem}" if stem[0].isdigit() or keyword.iskeyword(stem) else stem
            free = free_name(stem, self._taken, self._counts, first=2)
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
        classes: modules that the file carries along: lines below the class line -> name.
        conventions: attribute of a cell of the file's own -> how its gates lay before, which its arrays do not say.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.modules: dict[str, str] = {}
        self.lines: list[str] = []
        self.state: dict[str, Weight] = {}
        self.helpers: set[str] = set()
        self.read = {value.name for value in model.outputs}
        self.read |= {value.name for node in model.nodes for value in node.inputs if value is not None}
        self.read |= {state.output.name for state in model.states}
        self.classes: dict[tuple[str, ...], str] = {}
        self.conventions: dict[str, str] = {}
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

    def class_of(self, stem: str, lines: tuple[str, ...]) -> str:
        """The name of a module with this text, the same for the same text."""
        if lines not in self.classes:
            count = sum(name.rstrip("0123456789") == stem for name in self.classes.values())
            self.classes[lines] = f"{stem}{count + 1 if count else ''}"
        return self.classes[lines]

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


def text(writer: Writer, only: str, weights: str) -> str:
    """The module's source.

    Args:
        writer: what the rules have gathered.
        only: the attribute that owns the whole state_dict, whose keys begin without it; or "".
        weights: the name of the file that holds the state_dict.

    Raises:
        Unsupported: types that are not written.
    """
    model = writer.model
    double = _is_double(model)
    arguments = [writer.value(value) for value in (*model.inputs, *(state.input for state in model.states))]
    outputs = ", ".join(writer.value(value) for value in (*model.outputs, *(state.output for state in model.states)))
    given = arguments[: len(model.inputs)] + [
        f"{a}: Optional[torch.Tensor] = None" for a in arguments[len(model.inputs) :]
    ]
    shapes = [f"{a}: {v.dtype} {_shape(v)}" for a, v in zip(arguments, model.inputs, strict=False)]
    init = [_declaration(name, expression) for name, expression in writer.modules.items()]
    init += ["self.double()"] if double else []
    title = clean(model.name, 60).replace('"', "'").replace("\\", "/")
    return "\n".join([
        f'"""{title}, {HEADER}"""',
        "",
        *_imports(writer),
        "",
        *_helpers(writer),
        "",
        "class Model(nn.Module):",
        f'    """forward({", ".join(shapes)}).{" States go in and out, None is zeros." if model.states else ""}"""',
        "",
        "    def __init__(self):",
        "        super().__init__()",
        *(f"        {line}" for line in init),
        "",
        f"    def forward(self, {', '.join(given)}):",
        *(f"        {line}" for line in _zero_states(writer, arguments[0])),
        *(f"        {line}" for line in writer.lines),
        f"        return {outputs}",
        *_own_keys(only),
        "",
        "",
        f"def load(path=Path(__file__).with_name({weights!a})):",
        '    """The model with its weights, ready for inference."""',
        "    model = Model()",
        "    model.load_state_dict(load_file(path))",
        "    return model.eval()",
        "",
    ])  # fmt: skip


def _is_double(model: Model) -> bool:
    """Whether all that is computed is float64; inputs may be float32 that are cast.

    Raises:
        Unsupported: types that are not written, or two of them.
    """
    kinds = {value.dtype for node in model.nodes for value in node.outputs if "float" in value.dtype}
    if len(kinds) > 1 or not kinds <= {"float32", "float64"}:
        raise Unsupported(f"{' and '.join(sorted(kinds))}: models of float32 or of float64 are written", hint=HINT)
    return kinds == {"float64"}


def _zero_states(writer: Writer, x: str) -> list[str]:
    lines = []
    for state in writer.model.states:
        name, (batch, *rest) = writer.value(state.input), state.input.shape
        if None in rest:
            raise Unsupported("states of an unknown size", where=state.input.name, hint=HINT)
        sizes = ", ".join(str(size) for size in (batch or f"{x}.shape[0]", *rest))
        lines += [f"if {name} is None:", f"    {name} = torch.zeros({sizes}, dtype=torch.{state.input.dtype})"]
    return lines


def _own_keys(only: str) -> list[str]:
    """The keys of the file are those of the one layer, so that the layer alone can load it, too."""
    if not only:
        return []
    return [
        "",
        "    def load_state_dict(self, state_dict, strict=True, assign=False):",
        f'        """Takes the keys of `{only}` alone, as they are in the file, and those of this module."""',
        f'        keys = {{k.removeprefix("{only}."): v for k, v in state_dict.items()}}',
        f"        return self.{only}.load_state_dict(keys, strict, assign)",
    ]


def _shape(value: Value) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in value.shape) + "]"


def _declaration(name: str, expression: str) -> str:
    if expression.startswith("buffer:"):
        return f'self.register_buffer("{name}", {expression.removeprefix("buffer:")})'
    return f"self.{name} = {expression}"


def _imports(writer: Writer) -> list[str]:
    body = "\n".join([*writer.lines, *(line for lines in writer.classes for line in lines)])
    typed = {"List": "same" in writer.helpers, "Optional": writer.classes or writer.model.states,
             "Tuple": "spread" in writer.helpers}  # fmt: skip
    names = [name for name, used in typed.items() if used]
    lines = ["from pathlib import Path", *([f"from typing import {', '.join(names)}"] if names else [])]
    lines += ["", "import torch", "from safetensors.torch import load_file", "from torch import nn"]
    if "F." in body or "same" in writer.helpers:
        lines.append("from torch.nn import functional as F")
    if "front" in writer.helpers:
        lines.append("from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence")
    return lines


def _helpers(writer: Writer) -> list[str]:
    if not writer.helpers and not writer.classes:
        return []
    from converter.exporters.torch.helpers import SOURCES

    functions = [line for name in sorted(writer.helpers) for line in ("", *SOURCES[name].strip().split("\n"), "")]
    classes = [line for lines, name in writer.classes.items() for line in ("", f"class {name}(nn.Module):", *lines, "")]
    return [*functions, *classes]
