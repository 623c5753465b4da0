"""The plot of A/A pairs: what backends differ from themselves by, which is what a run cannot tell from nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness import noise
from harness.report.canvas import SOFT_INK, Plot, draw, foot, head, sheet
from harness.report.cases import is_timed
from harness.report.legend import ROW_IN, draw_legend, legend_rows
from harness.report.wording import count_text
from harness.units import digits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.report.findings import Findings
    from harness.report.palette import Look
    from harness.stats import Interval

_PAIR_IN = 0.24
_LEFT_IN = 2.9
_FLOOR = "#e9edf3"
_LONGEST = 38

_Pair = tuple[str, str, "Interval"]
"""Title, backend, ratio."""


def twin_plot(findings: Findings, looks: Mapping[str, Look], caption: str) -> Plot | None:
    """Each pair's ratio with its interval, in order, and the floor around 1; None without pairs."""
    pairs = _pairs(findings)
    if not pairs or findings.twins is None:
        return None
    shown = [backend for backend in looks if backend in {name for _, name, _ in pairs}]
    legend = legend_rows(shown)
    top_in, bottom_in = 0.85 + ROW_IN * len(legend), 1.0
    height_in = top_in + bottom_in + _PAIR_IN * max(3, len(pairs))
    floor = findings.noise_floor
    title = "The same backend twice: what this run cannot tell from nothing"

    def paint() -> Figure:
        figure, axes = sheet(height_in, top_in=top_in, bottom_in=bottom_in, left_in=_LEFT_IN)
        axes.axvspan(1 / (1 + floor), 1 + floor, color=_FLOOR, zorder=0)
        axes.axvline(1.0, color=SOFT_INK, linewidth=1.2, zorder=1)
        for row, (_, backend, ratio) in enumerate(pairs):
            _draw_pair(axes, row, ratio, looks[backend])
        axes.set_yticks(range(len(pairs)), [_cut(name) for name, _, _ in pairs], parse_math=False, size=8.5)
        axes.set_ylim(len(pairs) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(7))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value)))
        axes.set_xlabel("time in one process over time in another")
        draw_legend(figure, legend, looks, top_in - 0.12)
        head(figure, title, "One dot per A/A pair, 95 % intervals of paired rounds; they should be 0 % apart.")
        foot(
            figure, [f"Shaded: the noise floor, ±{digits(100 * floor, 2)} %; differences within it are ties.", caption]
        )
        return figure

    alt = f"{title}. {count_text(len(pairs), 'pair')}; the floor is {digits(100 * floor, 2)} %."
    return draw("twins", title, alt, paint)


def _pairs(findings: Findings) -> list[_Pair]:
    """In order of their ratio, so that a lopsided or wide spread is seen at once."""
    found = [
        (case.full_title, backend, ratio)
        for case in findings.verdicts
        for backend, cell in case.cells.items()
        if is_timed(cell) and (ratio := noise.twin_ratio(cell)) is not None
    ]
    return sorted(found, key=lambda pair: pair[2].estimate)


def _draw_pair(axes: Axes, row: int, ratio: Interval, look: Look) -> None:
    low = ratio.estimate if ratio.low is None else ratio.low
    high = ratio.estimate if ratio.high is None else ratio.high
    axes.errorbar(
        [ratio.estimate],
        [row],
        xerr=([max(0.0, ratio.estimate - low)], [max(0.0, high - ratio.estimate)]),
        linestyle="none",
        elinewidth=1.3,
        capsize=2.5,
        **look.marker_style(6),
    )


def _percent(ratio: float) -> str:
    """A tick: "-1 %", "0 %", "+0.5 %"."""
    change = 100 * (ratio - 1)
    # A locator's steps are off by rounding, which would show as "+1e-14 %".
    return "0 %" if abs(change) < 1e-6 else f"{'+' if change > 0 else '-'}{digits(abs(change))} %"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
