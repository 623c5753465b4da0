"""The legend of a plot with many points per backend: rows of marker and name above the axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from harness.report.canvas import INK, WIDTH_IN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.report.palette import Look

ROW_IN = 0.24
_LETTER_IN, _MARKER_IN = 0.082, 0.42
_LEFT_IN = 0.26


def legend_rows(backends: Sequence[str]) -> list[list[str]]:
    """Names broken into rows that fit the sheet's width."""
    rows: list[list[str]] = [[]]
    used = 0.0
    for backend in backends:
        width = _MARKER_IN + _LETTER_IN * len(backend)
        if rows[-1] and used + width > WIDTH_IN - 2 * _LEFT_IN:
            rows.append([])
            used = 0.0
        rows[-1].append(backend)
        used += width
    return rows


def draw_legend(figure: Figure, rows: Sequence[Sequence[str]], looks: Mapping[str, Look], bottom_in: float) -> None:
    """Draw the rows so that the last ends `bottom_in` inches below the figure's top."""
    height_in = figure.get_figheight()
    for place, row in enumerate(rows):
        left = _LEFT_IN
        y = 1 - (bottom_in - ROW_IN * (len(rows) - place - 0.5)) / height_in
        for backend in row:
            figure.add_artist(_key(looks[backend], left / WIDTH_IN, y))
            x = (left + 0.13) / WIDTH_IN
            figure.text(x, y, backend, size=9.5, va="center_baseline", color=INK, parse_math=False)
            left += _MARKER_IN + _LETTER_IN * len(backend)


def _key(look: Look, x: float, y: float) -> Line2D:
    return Line2D([x], [y], linestyle="none", **look.marker_style(7))
