"""Results as tables: wide and plain for a file or a pipe, fitted and in colors on a terminal. Prints nothing.

A table is made once, as one of rich's; `plain` turns it into lines that keep every column, however wide.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from converter.errors import clean
from converter.lines import MAX_LINE, line, shape, size

if TYPE_CHECKING:
    from converter.inspection import Inspection, LayerReport, Port

MAX_CELL = 60
WIDE = 100_000  # columns where nothing has to fit
BECOMES = {"REFUSED": "red", "behind": "yellow", "native": "green", "Scan": "yellow"}  # by how it begins
VERDICTS = {"proved": "green", "converted": "yellow", "refused": "red", "not proved": "red"}
RIGHT = ("parameters", "trainable", "size", "error", "seconds")
FIRST = ("layer", "class", "output", "parameters", "becomes")  # columns that come together where not all fit


def plain(made: RenderableType) -> list[str]:
    """Lines without colors, as wide as they need be."""
    console = Console(file=io.StringIO(), width=WIDE, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(made)
    return [text.rstrip()[:MAX_LINE] for text in captured.get().rstrip("\n").split("\n")]


def of_rows(rows: Sequence[Mapping[str, str]], styles: Mapping[str, Mapping[str, str]] | None = None) -> Table:
    """A table; the keys of the first row are its head. `styles`: by column, how cells that begin so are shown."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", collapse_padding=True)
    for name in rows[0]:
        table.add_column(name, justify="right" if name in RIGHT else "left", overflow="fold", no_wrap=name in RIGHT)
    for row in rows:
        table.add_row(*(_cell(cell, (styles or {}).get(name, {})) for name, cell in row.items()))
    return table


@dataclass(frozen=True)
class Layers:
    """A table of layers; in two parts where the terminal is too narrow for all columns side by side."""

    rows: Sequence[Mapping[str, str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What rich asks of whatever it prints."""
        whole = of_rows(self.rows, {"becomes": BECOMES})
        if Measurement.get(console, options.update(width=WIDE), whole).maximum <= options.max_width:
            yield whole
            return
        second = ["layer", *(name for name in self.rows[0] if name not in FIRST)]
        yield of_rows([{name: row[name] for name in FIRST} for row in self.rows], {"becomes": BECOMES})
        yield Text("")
        yield of_rows([{name: row[name] for name in second} for row in self.rows])


def _cell(text: str, styles: Mapping[str, str]) -> Text:
    style = next((style for start, style in styles.items() if text.startswith(start)), "")
    return Text(clean(text, MAX_LINE), style=style)


def of_inspection(found: Inspection) -> Group:
    """A table of layers, one of how the recurrent ones are packed, then inputs, outputs, states and sizes."""
    source = ", ".join(part for part in (found.format, found.era) if part)
    parts: list[RenderableType] = [Text(line(f"{found.name or found.path}: {source}"), style="bold"), Text("")]
    parts += [Layers(_layers(found)), Text("")] if found.layers else []
    packed = [layer for layer in found.layers if layer.formula]
    if packed:
        parts += [of_rows([_packing(layer) for layer in packed]), Text("")]
    for title, ports in (("inputs", found.inputs), ("outputs", found.outputs), ("states", found.states)):
        parts += [_ports(title, ports)] if ports else []
    return Group(*parts, Text(f"parameters: {_sizes(found)}"))


def _sizes(found: Inspection) -> str:
    said = f"{found.parameters:,}"
    if found.trainable is not None:
        said += f" ({found.trainable:,} trainable, {found.parameters - found.trainable:,} not)"
    return f"{said}, {size(found.size)}"


def _ports(title: str, ports: Sequence[Port]) -> Text:
    listed = ", ".join(f"{port.name} {shape(port.shape)} {port.dtype}" for port in ports)
    return Text(line(f"{title}: {listed}"))


def _layers(found: Inspection) -> list[dict[str, str]]:
    """A row for each layer; columns in which all rows say what goes without saying are left out."""
    above = [_inputs(found)[:1], *((layer.path,) for layer in found.layers)]
    chain = len(found.inputs) < 2 and all(not now.reads or now.reads == before
                                          for before, now in zip(above, found.layers, strict=False))  # fmt: skip
    trained = all(layer.trainable in (None, layer.parameters) for layer in found.layers)
    left_out = {*(["reads"] if chain else []), *(["trainable"] if trained else [])}
    rows = [
        {
            "layer": clean(layer.path, MAX_CELL),
            "class": clean(layer.class_name, MAX_CELL),
            "reads": clean(", ".join(layer.reads), 2 * MAX_CELL),
            "output": " ".join(shape(one) for one in layer.output_shapes),
            "parameters": f"{layer.parameters:,}",
            "trainable": "" if layer.trainable is None else f"{layer.trainable:,}",
            "size": size(layer.size) if layer.size else "",
            "activation": clean(", ".join(layer.activations), MAX_CELL),
            "becomes": clean(layer.conversion),
        }
        for layer in found.layers
    ]
    return [{name: cell for name, cell in row.items() if name not in left_out} for row in rows]


def _inputs(found: Inspection) -> tuple[str, ...]:
    return tuple(port.name for port in found.inputs)


def _packing(layer: LayerReport) -> dict[str, str]:
    return {
        "layer": clean(layer.path, MAX_CELL),
        "parameters of its cells": clean(f"{layer.formula} = {layer.parameters:,}"),
        "gates and arrays in the file": clean(layer.gates),
    }


def mermaid(found: Inspection) -> list[str]:
    """The layers and what they read as a flowchart of Mermaid, https://mermaid.js.org/syntax/flowchart.html."""
    names = list(dict.fromkeys([*_inputs(found), *(layer.path for layer in found.layers)]))
    names += [name for layer in found.layers for name in layer.reads if name not in names]
    numbers = {name: f"n{k}" for k, name in enumerate(dict.fromkeys(names))}
    layers = {layer.path: layer for layer in found.layers}
    lines = ["flowchart TD"]
    for name, number in numbers.items():
        layer = layers.get(name)
        kind = "input" if layer is None else f"{layer.class_name} {' '.join(map(shape, layer.output_shapes))}"
        mark = ":::recurrent" if layer is not None and layer.gates else ""
        lines.append(f'  {number}["{_label(name)}<br/>{_label(kind)}"]{mark}')
    lines += [f"  {numbers[read]} --> {numbers[layer.path]}" for layer in found.layers for read in layer.reads]
    return [*lines, "  classDef recurrent fill:#cfe3f8,stroke:#1f6fb4,color:#000"]


def _label(text: str) -> str:
    """Text inside of quotes; every character that could mean something to Mermaid as an entity code."""
    shown = clean(text, MAX_CELL)
    return "".join(c if c.isalnum() or c in " _-/.,?[]" else f"#{ord(c)};" for c in shown)
