"""docs/conventions.md and docs/conventions/, made from the rows. `python tests/conventions_page.py` renews them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import loading_pages  # noqa: E402

from converter.gates import CONVENTIONS, table  # noqa: E402

HEAD = """\
# Which order are the gates in?

How each framework packs the weights of one recurrent layer in one direction. `convert conventions` prints the same
table; `converter.gates.convert(arrays, "torch/LSTM", "onnx/LSTM")` goes from any row to any other of the same cell, bit
for bit.

Gates are named as each framework names them: the candidate of an LSTM is c, g, j or z, that of a GRU h, n, a, c or
o. In the layouts below they are i, f, c, o and z, r, h throughout. `W[in, ifco*u]` is the input matrix with the
gates side by side, `/` stacks along the first axis, `|` joins along the last, `~` lays flat, a minus is the
opposite sign, and `Wt` is a matrix whose blocks hold the bytes of their transposes. `h` is the size of the
recurrent input: the units, or less under a projection. "Run" means that the real framework computed what the row
says (`python -m benchmarks.prove_conventions`).

How to put the arrays there: {pages}.
"""


def head() -> str:
    """What comes above the tables."""
    links = [f"[{loading_pages.LOADING[name][0]}](conventions/{name}.md)" for name in loading_pages.frameworks()
             if name in loading_pages.LOADING]  # fmt: skip
    return HEAD.replace("{pages}", ", ".join(links))


def page() -> str:
    """The whole page."""
    lines = [head()]
    for cell in ("LSTM", "GRU", "RNN"):
        rows = tuple(row for row in CONVENTIONS.values() if row.cell == cell)
        lines += [f"## {cell}", ""]
        lines += ["| convention | gates | matrices | biases | at run time | peepholes, projection | proof |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for cells in table(rows):
            extra = ", ".join(name for name in ("peepholes", "projection") if cells[name])
            link = f"[{cells['convention']}]({cells['source']})"
            shown = (link, cells["gates"], cells["matrices"], cells["biases"], cells["run time"], extra, cells["proof"])
            lines.append("| " + " | ".join(shown) + " |")
        lines += ["", "| convention | arrays |", "|---|---|"]
        for row in rows:
            arrays = ", ".join(f"{name} `{layout}`".replace("|", "\\|") for name, layout in row.arrays.items())
            lines.append(f"| {row.name} | {arrays} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    (ROOT / "docs/conventions.md").write_text(page(), encoding="utf-8")
    (ROOT / "docs/conventions").mkdir(exist_ok=True)
    for framework in loading_pages.LOADING:
        (ROOT / f"docs/conventions/{framework}.md").write_text(loading_pages.page(framework), encoding="utf-8")
