"""The tables of README.md, made from the code. `python tests/readme_tables.py` writes them; a test compares them."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

from converter import exporters, readers
from converter.activations import BY_MAJOR, NAMES, native
from converter.keras import layers

README = Path(__file__).parents[1] / "README.md"


def table(*rows: tuple[str, ...]) -> str:
    """Rows as Markdown, the first one the head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def first_line(module: ModuleType) -> str:
    """What a module says of itself."""
    return (module.__doc__ or "").splitlines()[0].rstrip(".")


def formats() -> str:
    """What is read."""
    return table(("read by", "what"), *((f"`{name}`", first_line(readers.reader(name))) for name in readers.READERS))


def targets() -> str:
    """What is written."""
    return table(("`--to`", "what", "suffix"), *((f"`{k}`", e.title, e.suffix) for k, e in exporters.EXPORTERS.items()))


def layer_table() -> str:
    """Every layer class, by the module that understands it."""
    homes = {name: module for name, module in vars(layers).items() if isinstance(module, ModuleType)}
    known = {name: sorted(module.TYPES) for name, module in homes.items() if hasattr(module, "TYPES")}
    assert sorted(name for classes in known.values() for name in classes) == sorted(layers.LAYERS)
    rows = [(name.replace("_", " "), ", ".join(classes)) for name, classes in sorted(known.items())]
    return table(("kind", "layers"), *rows)


def activations() -> str:
    """Every activation name, by what it becomes inside a recurrent layer."""
    rows: dict[bool, list[str]] = {True: [], False: []}
    for name, activation in sorted({**BY_MAJOR[3], **NAMES}.items()):
        rows[native(activation) is not None].append(name)
    return table(
        ("in a recurrent layer", "activations"),
        ("attribute of the native operator", ", ".join(rows[True])),
        ("Scan", ", ".join(rows[False])),
    )


TABLES = {"formats": formats, "targets": targets, "layers": layer_table, "activations": activations}


def filled(text: str) -> str:
    """README's text with every table between its markers made anew."""
    for name, make in TABLES.items():
        pattern = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
        made = make().replace("\\", r"\\")
        text, count = re.subn(pattern, rf"\g<1>{made}\n\g<2>", text, flags=re.DOTALL)
        assert count == 1, f"README has no marker for {name}"
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
