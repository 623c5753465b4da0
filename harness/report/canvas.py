"""The sheet that every plot is drawn on: sizes, type, units on axes, and SVG and PNG bytes free of chance."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from harness.units import digits, time_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN = 9.0
"""Plots are embedded 900 pixels wide: one point of type is then 1.4 pixels."""
PNG_DPI = 150
# Longer titles would leave the sheet at full size.
_LONG_TITLE = 72
_LONG_SUBTITLE = 110
_STEPS = (
    (1, 3),
    (1, 2, 5),
    (1, 1.5, 2, 3, 4, 5, 7),
    (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2, 2.2, 2.5, 3, 3.5),
)
INK, SOFT_INK, GRID = "#1c1f24", "#5b6270", "#e3e6ea"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "axes.edgecolor": "#9aa1ac",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT_INK,
    "ytick.color": SOFT_INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
    # Ids in the file come from this instead of a random number, so that the same run gives the same bytes.
    "svg.hashsalt": "convbench",
    "svg.fonttype": "path",
    "path.simplify": True,
}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A finished plot as files, and what it says to those who cannot see it."""

    name: str
    """File name without ending."""
    title: str
    alt: str
    svg: str = field(repr=False)
    png: bytes = field(repr=False)


def draw(name: str, title: str, alt: str, paint: Callable[[], Figure]) -> Plot:
    """The plot that `paint` makes, under the house style, as SVG and PNG.

    Args:
        name: File name without ending.
        title: What it shows; also for a list of plots.
        alt: What a reader who cannot see it should know.
        paint: Makes the figure; called once.
    """
    with mpl.rc_context(_STYLE):
        figure = paint()
        # Titles are people's words; a font that lacks a letter shows a box, which is no reason to fail or to warn.
        FigureCanvasAgg(figure)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
        figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return Plot(name=name, title=title, alt=alt, svg=svg.getvalue(), png=png.getvalue())


def sheet(
    height_in: float, *, top_in: float = 0.85, bottom_in: float = 0.95, left_in: float = 0.95, right_in: float = 0.3
) -> tuple[Figure, Axes]:
    """A figure of the standard width with one pair of axes, margins in inches so that type never moves with height."""
    figure = Figure(figsize=(WIDTH_IN, height_in))
    axes = figure.add_axes(
        (
            left_in / WIDTH_IN,
            bottom_in / height_in,
            1 - (left_in + right_in) / WIDTH_IN,
            1 - (top_in + bottom_in) / height_in,
        )
    )
    return figure, axes


def head(figure: Figure, title: str, subtitle: str = "") -> None:
    """Title and subtitle at the top left; text is literal, a dollar sign starts no formula."""
    height = figure.get_figheight()
    size = 13 if len(title) <= _LONG_TITLE else 10.5
    figure.text(0.16 / WIDTH_IN, 1 - 0.14 / height, title, size=size, weight="bold", va="top", parse_math=False)
    if len(subtitle) > _LONG_SUBTITLE:
        subtitle = f"{subtitle[: _LONG_SUBTITLE - 1].rstrip(' ,')}…"
    if subtitle:
        figure.text(0.16 / WIDTH_IN, 1 - 0.43 / height, subtitle, size=10, color=SOFT_INK, va="top", parse_math=False)


def foot(figure: Figure, lines: Sequence[str]) -> None:
    """A caption of one or two lines at the bottom left."""
    figure.text(
        0.16 / WIDTH_IN,
        0.1 / figure.get_figheight(),
        "\n".join(line for line in lines if line),
        size=8,
        color=SOFT_INK,
        va="bottom",
        linespacing=1.4,
        parse_math=False,
    )


def time_ticks(axes: Axes, which: str = "y") -> None:
    """Ticks of a logarithmic time axis in ns as "10 µs", "1 ms"."""
    log_ticks(axes, which, time_text)


def log_ticks(axes: Axes, which: str, text: Callable[[float], str], most: int = 9) -> None:
    """Plain numbers on a logarithmic axis: decades, finer steps where those are few, at most `most` ticks."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    ticks = _log_tick_values(low, high, most)
    axis.set_major_locator(FixedLocator(ticks) if ticks else MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _log_tick_values(low: float, high: float, most: int) -> list[float]:
    """The finest of some customary steps that gives at most `most` ticks; nothing where it gives fewer than three."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [[10.0**n for n in decades if n % step == 0] for step in (4, 3, 2, 1)]
    within = [[m * 10.0**n for n in decades for m in steps] for steps in _STEPS]
    choices = [[tick for tick in ticks if low <= tick <= high] for ticks in every + within]
    fitting = [ticks for ticks in choices if 3 <= len(ticks) <= most]
    return fitting[-1] if fitting else []


def ratio_tick(value: float) -> str:
    """A tick of a ratio axis: "10×"."""
    return f"{digits(value)}×"


def plain_tick(value: float) -> str:
    """A tick of a plain number."""
    return digits(value)


def measured_ticks(axes: Axes, values: Sequence[float], *, least_gap: float = 0.035) -> None:
    """Ticks along x at the values measured, and labels wherever one fits beside the last."""
    axes.xaxis.set_major_locator(FixedLocator(list(values)))
    axes.xaxis.set_minor_locator(NullLocator())
    to_axes = axes.transData + axes.transAxes.inverted()
    labels, last = {}, float("-inf")
    for value in values:
        place = float(to_axes.transform((value, 1.0))[0])
        if place - last >= least_gap:
            labels[value], last = f"{value:g}", place
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.get(value, "")))


def spread_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, in the same order, at least `gap` apart and within [low, high] if they fit.

    Overlapping neighbours are merged into blocks that sit at the mean of what their members wanted
    (pool-adjacent-violators, the least-squares answer).
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    blocks: list[tuple[float, list[int]]] = []
    for index in order:
        blocks.append((wanted[index], [index]))
        while len(blocks) > 1:
            (below, lower), (above, upper) = blocks[-2:]
            if above - below >= gap * (len(lower) + len(upper)) / 2:
                break
            members = lower + upper
            centre = (below * len(lower) + above * len(upper)) / len(members)
            blocks[-2:] = [(centre, members)]
        centre, members = blocks[-1]
    placed = [0.0] * len(wanted)
    for centre, members in blocks:
        for rank, index in enumerate(members):
            placed[index] = centre + (rank - (len(members) - 1) / 2) * gap
    return _within(placed, order, gap, low, high)


def _within(placed: list[float], order: Sequence[int], gap: float, low: float, high: float) -> list[float]:
    floor = low
    for index in order:
        placed[index] = floor = max(placed[index], floor)
        floor += gap
    ceiling = high
    for index in reversed(order):
        placed[index] = ceiling = min(placed[index], ceiling)
        ceiling -= gap
    return placed
