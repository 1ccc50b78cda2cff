"""The module next to the variables: `<name>_flax.py`, a linen module whose keys are those of the file."""

from __future__ import annotations

from pathlib import Path

from converter.errors import Unsupported, clean
from converter.exporters.flax.rules import Writer, rule
from converter.exporters.torch.source import HEADER
from converter.model import Model


def module_of(path: Path) -> Path:
    """Where the module of variables goes."""
    return path.with_name(f"{path.stem}_flax.py")


def text(model: Model, weights: str) -> str:
    """The module's source.

    Args:
        model: what it computes.
        weights: the name of the file that holds the variables.

    Raises:
        Unsupported: a layer, masks or states that are not written for Flax.
    """
    if model.states:
        raise Unsupported("states carried from call to call are not written for Flax")
    kinds = {value.dtype for node in model.nodes for value in node.outputs if "float" in value.dtype}
    if not kinds <= {"float32"}:
        raise Unsupported(f"{' and '.join(sorted(kinds))}: modules of float32 are written")
    writer = Writer(model)
    inputs = [writer.value(value) for value in model.inputs]
    for node in model.nodes:
        rule(node.layer, writer, node)
    title = clean(model.name, 60).replace('"', "'").replace("\\", "/")
    lines = [
        f'"""{title}, {HEADER}"""', "", "from pathlib import Path", "", "import flax", "import flax.linen as nn",
        "import jax", "import jax.numpy as jnp", "from safetensors.numpy import load_file", "", "",
        "class Model(nn.Module):", f'    """Call it on {", ".join(str(list(v.shape)) for v in model.inputs)}."""', "",
        "    @nn.compact", f"    def __call__(self, {', '.join(inputs)}, train: bool = False):",
        *(f"        {line}" for line in writer.lines),
        f"        return {', '.join(writer.value(value) for value in model.outputs)}", "", "",
        f"def load(path=Path(__file__).with_name({weights!a})):",
        '    """The module and its variables: model, variables = load(); y = model.apply(variables, x)."""',
        '    return Model(), flax.traverse_util.unflatten_dict(load_file(path), sep="/")', "",
        "", "def load_nnx(*inputs, path=Path(__file__).with_name(" + f"{weights!a}" + ")):",
        '    """The same as an nnx module, called on inputs of these shapes."""', "    from flax import nnx", "",
        "    model, variables = load(path)",
        "    bridged = nnx.bridge.lazy_init(nnx.bridge.ToNNX(model, rngs=nnx.Rngs(0)), *inputs)",
        "    state = {}", "    for tree in variables.values():",
        "        state.update(flax.traverse_util.flatten_dict(tree))",
        "    state = jax.tree.map(jnp.asarray, flax.traverse_util.unflatten_dict(state))",
        "    nnx.update(bridged, state)", "    return bridged", "",
    ]  # fmt: skip
    return "\n".join(lines)
