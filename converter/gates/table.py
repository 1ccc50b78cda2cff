"""The table that `convert conventions` prints, derived from the very patterns that move the weights."""

from __future__ import annotations

from converter.gates.notation import Layout, parse
from converter.gates.row import Convention

COLUMNS = ("convention", "gates", "matrices", "biases", "run time", "peepholes", "projection", "proof", "source")


def _matrices(layouts: list[Layout]) -> str:
    """Joined or split, and which axis comes first."""
    with_kernel = [layout for layout in layouts if any(p.content == "W" for p in layout.pieces)]
    piece = with_kernel[0].pieces[0]
    if with_kernel[0].join == "~":
        how = "one flat buffer"
    elif with_kernel[0].join == "/":
        how = "input and recurrent stacked"
    elif piece.scrambled:
        how = "joined, each block transposed in place"
    else:
        how = "joined"
    if len(with_kernel) > 1:
        how = "one per gate" if len(piece.gates) == 1 else how + f", {len(with_kernel)} arrays"
    axes = [axis.replace("gates*u", "gates") for axis in piece.axes]
    return f"{how} [{', '.join(axes)}]"


def _biases(row: Convention, layouts: list[Layout]) -> str:
    counts = {c: "".join(p.gates for x in layouts for p in x.pieces if p.content == c) for c in ("b", "rb")}
    if not counts["rb"]:
        return "1"
    if len(counts["rb"]) < len(counts["b"]):
        return f"1, and a recurrent one of {counts['rb']}"
    return "2, h's is inside the reset" if row.cell == "GRU" and row.reset_after else "2, added"


def _runtime(row: Convention) -> str:
    if not row.forget_bias:
        return ""
    amount = f"f + {row.forget_bias:g}"
    return f"{amount} (setting)" if row.forget_bias_setting else amount


def table(rows: tuple[Convention, ...]) -> list[dict[str, str]]:
    """One dict per row, keys `COLUMNS`."""
    out = []
    for row in rows:
        layouts = [parse(pattern) for pattern in row.arrays.values()]
        contents = {piece.content for layout in layouts for piece in layout.pieces}
        runtime = [part for part in (_runtime(row), row.note) if part]
        if row.cell == "GRU":
            runtime.insert(0, f"reset {'after' if row.reset_after else 'before'} the product")
        cells = (
            row.name, row.letters, _matrices(layouts), _biases(row, layouts), "; ".join(runtime),
            "yes" if "P" in contents else "", "yes" if "H" in contents else "", row.proof, row.source,
        )  # fmt: skip
        out.append(dict(zip(COLUMNS, cells, strict=True)))
    return out
