"""The pictures of a report, by Matplotlib, as SVG that takes its text color from the page around it."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from converter.model import Array
from converter.report.gates import MEANINGS
from converter.report.traces import Output, Trace
from converter.report.weights import MATRICES, Grid, Square

TEXT = "#010203"  # stands for the color of the page's text
OURS, THEIRS, LIMIT, MASKED = "#3b82c4", "#e0812c", "#8a8f98", "#8a8f98"
VERDICT_COLORS = {"equal": "#2e9e5b", "rounding": "#d0a215", "": "#8a8f98"}
DIFFERENT = "#d64545"
MOST_UNITS, MOST_STEPS, MOST_LINES = 64, 200, 4
BINS = 16
WIDTH = 7.2  # inches
PLACES = re.compile(r"(\d\.\d)\d+")  # a tenth of a point is finer than any screen
STYLE: Any = {
    "text.color": TEXT, "axes.labelcolor": TEXT, "axes.edgecolor": TEXT, "xtick.color": TEXT, "ytick.color": TEXT,
    "axes.titlecolor": TEXT, "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
    "legend.facecolor": "none", "legend.frameon": False, "font.size": 9, "font.family": "sans-serif",
    "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none", "svg.hashsalt": "report",
    "axes.titlesize": 9, "axes.linewidth": 0.6,
}  # fmt: skip


def _figure(height: float, left: float, bottom: float, top: float) -> Any:
    """A figure of the page's width; margins in inches. Fixed, since to measure texts would take most of the time."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that it looks for fonts is nobody's concern here
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, height))
    figure.subplots_adjust(left / WIDTH, bottom / height, 1 - 0.05 / WIDTH, 1 - top / height, wspace=0.03, hspace=0.1)
    return figure


def _whole(axis: Any) -> None:
    """Steps and places have whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _svg(figure: Any) -> str:
    """The figure as an element of a page, with the page's text color and fonts."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].replace(TEXT, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;]*; | transform=\"rotate\(-0 [^\"]*\"", "", text)
    text = re.sub(r' d="[^"]*"', lambda path: PLACES.sub(r"\1", path[0].replace(" \n", "")), text)
    return re.sub(r"\n\s*", "\n", text)


def grid(shown: Grid) -> str:
    """Gate by matrix: histograms of both files' values on a ground that says whether they are equal."""
    import matplotlib as mpl

    gates = list(dict.fromkeys(square.gate for square in shown.squares))
    with mpl.rc_context(STYLE):
        figure = _figure(0.62 * len(gates) + 0.3, left=0.3, bottom=0.05, top=0.25)
        axes = figure.subplots(len(gates), len(MATRICES), squeeze=False)
        for square in shown.squares:
            row, column = gates.index(square.gate), MATRICES.index(square.matrix)
            _square(axes[row][column], square)
            if row == 0:
                axes[row][column].set_title(square.matrix.replace("_", " "))
            if column == 0:
                axes[row][column].set_ylabel(square.gate, rotation=0, labelpad=10, va="center")
        return _svg(figure)


def _square(axis: Any, square: Square) -> None:
    color = VERDICT_COLORS.get(square.verdict, DIFFERENT)
    axis.patch.set(facecolor=color, alpha=0.22)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    present = [values for values in (square.ours, square.theirs) if values is not None and values.size]
    if present:
        finite = np.concatenate(present)
        finite = finite[np.isfinite(finite)]
        ends = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        edges = np.linspace(ends[0], ends[1] if ends[1] > ends[0] else ends[0] + 1e-6, BINS + 1)
        if square.ours is not None:
            axis.stairs(np.histogram(square.ours, edges)[0], edges, fill=True, color=OURS, alpha=0.75)
        if square.theirs is not None:
            axis.stairs(np.histogram(square.theirs, edges)[0], edges, color=THEIRS, linewidth=1)
    axis.text(0.985, 0.9, square.verdict or "not compared", ha="right", va="top", transform=axis.transAxes, fontsize=7)


def errors(trace: Trace) -> str:
    """The error of the exported file at each step, between the float32 reference's and the bound."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = _figure(2.2, left=0.8, bottom=0.45, top=0.1)
        axis = figure.subplots()
        _gray(axis, trace.used)
        axis.set_yscale("log")
        curves = (
            ("bound: what rounding explains", trace.bound, LIMIT, "--"),
            ("float32 reference", trace.single, OURS, "-"),
            ("exported file", trace.exported, THEIRS, "-"),
        )
        for label, values, color, dashes in curves:
            if values is not None:
                _curve(axis, values, label=label, color=color, linestyle=dashes)
        axis.set(xlabel="step", ylabel="largest error against float64")
        _whole(axis)
        axis.legend(loc="best", fontsize=7)
        return _svg(figure)


def _curve(axis: Any, values: Array, **how: Any) -> None:
    """A line with points; exact steps, which have no place on a log axis, at the foot."""
    shown = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    floor = np.nanmin(shown) if np.isfinite(shown).any() else 1e-18
    shown = np.where(values == 0, floor, shown)[:MOST_STEPS]
    axis.plot(np.arange(len(shown)), shown, linewidth=1.3, marker=".", markersize=3, **how)


def _gray(axis: Any, used: Array | None) -> None:
    """Masked steps as gray bands."""
    for first, last in _runs(used):
        axis.axvspan(first - 0.5, last + 0.5, color=MASKED, alpha=0.25, linewidth=0)


def _runs(used: Array | None) -> list[tuple[int, int]]:
    """The first and the last of adjacent masked steps."""
    if used is None:
        return []
    masked = np.flatnonzero(~used)
    ends = np.flatnonzero(np.diff(masked) > 1)
    return [(int(run[0]), int(run[-1])) for run in np.split(masked, ends + 1) if run.size]


def output(shown: Output) -> str:
    """An output by both, one over the other: over time where it is a sequence, else by place."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = _figure(2.2, left=0.8, bottom=0.45, top=0.1)
        axis = figure.subplots()
        flat = shown.exact.ndim == 1
        exact = (shown.exact[:, None] if flat else shown.exact.reshape(len(shown.exact), -1))[:MOST_STEPS]
        have = None if shown.exported is None else shown.exported.reshape(len(shown.exact), -1)[:MOST_STEPS]
        if not flat and shown.used is not None and len(shown.used) == len(shown.exact):
            _gray(axis, shown.used)
        style = {"marker": "o", "linestyle": "none"} if flat else {"linewidth": 3.5, "alpha": 0.5}
        thin = {"marker": "x", "linestyle": "none"} if flat else {"linewidth": 1, "linestyle": "-"}
        for k in range(min(exact.shape[1], MOST_LINES)):
            axis.plot(exact[:, k], color=OURS, label="float64 reference" if k == 0 else None, **style)
            if have is not None:
                axis.plot(have[:, k], color=THEIRS, label="exported file" if k == 0 else None, **thin)
        axis.set(xlabel="place" if flat else "step", ylabel="value")
        _whole(axis)
        axis.legend(loc="best", fontsize=7)
        return _svg(figure)


def heat(panels: Mapping[str, Array], used: Array | None) -> str:
    """Gates and states as pictures of units by steps; masked steps, in which nothing happens, dimmed."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        names = list(panels)
        rows = -(-len(names) // 2)
        figure = _figure(1.1 * rows + 0.25, left=0.05, bottom=0.25, top=0.2)
        figure.subplots_adjust(hspace=0.35, wspace=0.06)
        axes = figure.subplots(rows, min(2, len(names)), squeeze=False).flat
        for k, (name, axis) in enumerate(zip(names, axes, strict=False)):
            _panel(axis, name, panels[name][:MOST_UNITS, :MOST_STEPS], used, last=k >= len(names) - 2)
        for axis in list(axes)[len(names) :]:
            axis.set_axis_off()
        return _svg(figure)


def _panel(axis: Any, name: str, values: Array, used: Array | None, last: bool) -> None:
    gate = name in ("i", "f", "o", "z", "r")
    reach = float(np.nanmax(np.abs(values), initial=1e-12))
    low, high, colors = (0.0, 1.0, "viridis") if gate else (-reach, reach, "RdBu_r")
    axis.imshow(values, aspect="auto", interpolation="none", vmin=low, vmax=high, cmap=colors)
    axis.set_title(f"{MEANINGS[name]} ({low:.2g} to {high:.2g})", loc="left", fontsize=8)
    axis.set_yticks([])
    if last:
        _whole(axis)
    else:
        axis.set_xticks([])
    for first, end in _runs(used if used is None else used[: values.shape[1]]):
        axis.axvspan(first - 0.5, end + 0.5, color=MASKED, alpha=0.75, linewidth=0)


def legends() -> Sequence[tuple[str, str]]:
    """Colors of the grid and what they say."""
    return [(VERDICT_COLORS["equal"], "equal, bit for bit"), (VERDICT_COLORS["rounding"], "equal up to rounding"),
            (DIFFERENT, "different"), (VERDICT_COLORS[""], "not compared")]  # fmt: skip
