"""converter/keras/layers/index.py, made from the rows themselves. `python tests/layer_index.py` renews it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from converter.keras.layer_type import LayerType  # noqa: E402
from converter.keras.spec import PREFIX  # noqa: E402

INDEX = ROOT / "converter/keras/layers/index.py"
FOLDERS = ("converter/keras/layers", "converter/keras/operations")
WIDTH = 120

HEAD = '''\
"""What has to be known of the layer classes before their module is imported, made from the rows in `TYPES`.

Not to be edited: `python tests/layer_index.py` renews it, and a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping

'''


def rows() -> dict[str, dict[str, LayerType]]:
    """The rows of every module that has some, by the module as imported."""
    sources = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("[!_]*.py"))]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources]
    found = {module: getattr(import_module(module), "TYPES", {}) for module in modules}
    return {
        module: {name: row for name, row in types.items() if not name.startswith(PREFIX)}
        for module, types in found.items()
        if types
    }


def entry(module: str, names: Iterable[str]) -> list[str]:
    """A module with its classes, in one line if they fit."""
    text = " ".join(names)
    if len(line := f'    "{module}": "{text}",') <= WIDTH:
        return [line]
    lines = textwrap.wrap(text, WIDTH - len('        " "'))
    return [f'    "{module}": (', *(f'        "{line} "' for line in lines[:-1]), f'        "{lines[-1]}"', "    ),"]


def page() -> str:
    """The whole module."""
    found = rows()
    names = [line for module, types in found.items() for line in entry(module, types)]
    aliases = [f'    "{a}": "{name}",' for types in found.values() for name, row in types.items() for a in row.aliases]
    parts = [
        "# Module -> the classes whose rows are in it.",
        *("MODULES: Mapping[str, str] = {", *names, "}"),
        "# Other names of classes, and the names of their rows.",
        *("ALIASES: Mapping[str, str] = {", *aliases, "}"),
    ]
    return HEAD + "\n".join(parts) + "\n"


if __name__ == "__main__":
    INDEX.write_text(page(), encoding="utf-8")
