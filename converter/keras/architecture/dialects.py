"""Keras 1 and 2 spellings turned into Keras 3's, by the rows of the classes. Names change here, never a meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import fields

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.eras.switches import Era
from converter.keras.layer_type import Keras1, LayerType
from converter.keras.layers.index import ALIASES
from converter.keras.spec import PREFIX

Raw = Mapping[str, Any]

# Classes of models, and what Keras calls them today.
MODELS: Mapping[str, str] = {"Sequential": "Sequential", "Functional": "Functional", "Model": "Functional"}

_TRAINING = (
    "init", "inner_init", "forget_bias_init", "W_regularizer", "U_regularizer", "b_regularizer", "W_constraint",
    "U_constraint", "b_constraint", "gamma_init", "beta_init", "weights", "W_learning_rate_multiplier",
    "b_learning_rate_multiplier", "depthwise_init", "pointwise_init", "input_dtype",
)  # fmt: skip
_DATA_FORMATS = {"tf": "channels_last", "th": "channels_first"}
_WINDOWS = {"kernel_size": ("nb_row", "nb_col"), "kernel_size3": ("kernel_dim1", "kernel_dim2", "kernel_dim3")}


def class_name(raw: Raw, era: Era) -> str:
    """The class of a serialized layer in Keras 3's spelling.

    Raises:
        InvalidModel: there is none. Unsupported: the class is registered by somebody else than Keras.
    """
    name = raw.get("class_name")
    if not isinstance(name, str):
        raise InvalidModel("a layer without class_name")
    if is_foreign(raw):
        raise custom(raw)
    if era.switch("operations_are_layers") and is_operation(raw):
        return PREFIX + name
    return ALIASES.get(name, name)


def is_operation(raw: Raw) -> bool:
    """Whether Keras 3 means one of keras.ops, some of which are called like layers (Add, Concatenate, Softmax).

    Archives name the module; HDF5 files don't, but only layers have `trainable` in their configuration.
    """
    module, config = raw.get("module"), raw.get("config")
    if isinstance(module, str):
        return module.startswith(("keras.src.ops", "keras.ops"))
    if not isinstance(config, Mapping) or "trainable" in config:
        return False
    from converter.keras.operations.keras3 import KERAS3  # the operations and what they are made of take time to import

    return raw["class_name"] in KERAS3


def is_foreign(raw: Raw) -> bool:
    """Whether the file itself says that a class is not Keras' own."""
    module, registered = raw.get("module"), raw.get("registered_name")
    if "module" in raw and module is None and isinstance(registered, str):
        return True  # a class of the script that saved the model
    stranger = isinstance(module, str) and module.split(".")[0] not in {"keras", "tf_keras", "tensorflow", "builtins"}
    return stranger or any(isinstance(name, str) and ">" in name for name in (registered, raw.get("class_name")))


def custom(raw: Raw, reason: str = "") -> Unsupported:
    """The refusal of a class that is not Keras' own, or a Lambda; `reason`: how that shows where the name is Keras'."""
    name, origin = raw.get("class_name"), raw.get("registered_name") or raw.get("module")
    if name == "Lambda":
        own = raw["config"].get("name") if isinstance(raw.get("config"), Mapping) else None
        hint = f'{SUPPLY} that says "Lambda:{clean(own or raw.get("name"), 60)}"'
        return Unsupported("a Lambda holds Python code, which is never run", hint=hint)
    of = f" of {clean(origin)}" if is_foreign(raw) and origin and origin != name else ""
    why = f": {reason}" if reason else ", and its code is not in the file"
    return Unsupported(f"the class {clean(name)}{of} is not Keras' own{why}", hint=SUPPLY)


SUPPLY = "supply the layer with --plugin FILE"


def config(name: str, row: LayerType, raw: Raw, era: Era, ordering: str = "") -> dict[str, Any]:
    """The configuration of a layer of class `name` in Keras 3's spelling, shapes as `batch_input_shape`.

    `ordering` is the dim_ordering of the file's other layers, for those that Keras 1 writes without.

    Raises:
        Unsupported: what the version left out of the file is nowhere else in it.
    """
    kept = {k: plain(v) for k, v in raw.items()}
    if era.switch("keras1_spellings"):
        kept = _from_keras1(name, row.keras1, kept, ordering)
    if row.unwritten and (missing := [f.name for f in fields(row.config) if f.required and f.name not in kept]):
        raise Unsupported(
            f"{name} stands without its arguments, which {row.unwritten} do not write",
            hint=f'write "{missing[0]}" and all others that the code sets into its configuration and pass the JSON as'
            " --architecture",
        )
    return shaped(kept)


def ordering_of(structure: Any) -> str:
    """The one dim_ordering that the layers anywhere in a raw architecture state; "" if none does or they differ."""
    found, waiting = set(), [structure]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            found |= {item["dim_ordering"]} & {*_DATA_FORMATS} if isinstance(item.get("dim_ordering"), str) else set()
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return found.pop() if len(found) == 1 else ""


def shaped(raw: Raw) -> dict[str, Any]:
    """A configuration with every spelling of its input's shape as `batch_input_shape`."""
    kept = {k: plain(v) for k, v in raw.items()}
    shape = kept.pop("batch_shape", None) or kept.get("batch_input_shape")
    if shape is None and isinstance(kept.get("input_shape"), list):
        shape = [None, *kept["input_shape"]]
    kept.pop("input_shape", None)
    if shape is not None:
        kept["batch_input_shape"] = shape
    return kept


def plain(value: Any) -> Any:
    """Tuples and shapes that SavedModel metadata and YAML wrap, as plain lists."""
    if isinstance(value, Mapping) and value.get("class_name") in ("__tuple__", "TensorShape"):
        items = value.get("items", [])
        if not isinstance(items, list):
            raise InvalidModel(f"a tuple of {clean(items)}")
        return [plain(item) for item in items]
    if isinstance(value, tuple):
        return list(value)
    return value


def _from_keras1(name: str, keras1: Keras1, raw: dict[str, Any], ordering: str) -> dict[str, Any]:
    kept = {keras1.arguments.get(k, k): v for k, v in raw.items() if k not in _TRAINING}
    kept = {k: v for k, v in kept.items() if k not in keras1.inert}
    for parts in _WINDOWS.values():
        if parts[0] in kept:
            kept["kernel_size"] = [kept.pop(part) for part in parts]
    if not keras1.writes_ordering and "data_format" not in kept:
        if not ordering:
            raise Unsupported(
                f"Keras 1 does not write the dim_ordering of {name}, and the other layers do not show it",
                hint='write "dim_ordering": "tf" or "th" into its configuration and pass the JSON as --architecture',
            )
        kept["data_format"] = ordering
    if "data_format" in kept:
        kept["data_format"] = _DATA_FORMATS.get(kept["data_format"], kept["data_format"])
    if keras1.sides and "padding" in kept:
        kept["padding"] = _paired(kept["padding"], keras1.sides)
    return kept


def _paired(padding: Any, sides: tuple[str, ...]) -> Any:
    """Keras 1's amounts by side, by name or one after the other, as pairs; the other forms are Keras 2's too."""
    if isinstance(padding, Mapping) and set(padding) <= set(sides):
        padding = [padding.get(side, 0) for side in sides]
    if not isinstance(padding, list) or len(padding) != len(sides) or len(sides) == 2:
        return padding
    return [padding[:2], padding[2:]]
