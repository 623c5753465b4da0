"""Accuracy: how much of the allowed error each backend used, and effective bits against speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from harness.report.accuracy import SIGNIFICAND_BITS, accuracy_of
from harness.report.canvas import SOFT_INK, WIDTH_IN, Plot, draw, foot, head, log_ticks, plain_tick, ratio_tick, sheet
from harness.report.legend import ROW_IN, draw_legend, legend_rows
from harness.stats import geometric_mean, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.records import Cell
    from harness.report.findings import Findings
    from harness.report.palette import Look

_BACKEND_IN = 0.42
_FRONTIER_IN = 4.8
_WRONG = "#b3261e"


def accuracy_plot(findings: Findings, looks: Mapping[str, Look], caption: str) -> Plot | None:
    """Error over its bound and effective bits, one row a backend and one dot a checked cell; None without checks."""
    checked = [cell for cell in findings.cells if accuracy_of(cell).error_over_bound is not None]
    backends = [backend for backend in looks if any(cell.key.backend == backend for cell in checked)]
    if not backends:
        return None
    title = "Accuracy: error against its bound, and effective bits"
    left_in = min(3.0, max(1.0, 0.3 + 0.08 * max(map(len, backends))))
    top_in, bottom_in, gap_in = 0.85, 1.0, 0.45
    height_in = top_in + bottom_in + _BACKEND_IN * max(2, len(backends))
    panel_in = (WIDTH_IN - left_in - gap_in - 0.3) / 2

    def paint() -> Figure:
        figure = Figure(figsize=(WIDTH_IN, height_in))
        errors, bits = (
            figure.add_axes(
                (
                    (left_in + place * (panel_in + gap_in)) / WIDTH_IN,
                    bottom_in / height_in,
                    panel_in / WIDTH_IN,
                    1 - (top_in + bottom_in) / height_in,
                )
            )
            for place in (0, 1)
        )
        _draw_errors(errors, checked, backends, looks)
        _draw_bits(bits, checked, backends, looks)
        errors.set_yticks(range(len(backends)), backends, parse_math=False)
        bits.set_yticks(range(len(backends)), [""] * len(backends))
        head(figure, title, "Each dot is one problem, at its worst data set. Beyond the red line a result is wrong.")
        foot(figure, [caption])
        return figure

    worst = [f"{backend} {_worst_text(checked, backend)}" for backend in backends]
    return draw("accuracy", title, f"{title}. Largest error over its bound: {', '.join(worst)}.", paint)


def frontier_plot(findings: Findings, looks: Mapping[str, Look], caption: str) -> Plot | None:
    """Effective bits against ratio to the best: up and left is both exact and fast; None without both."""
    points: dict[str, list[tuple[float, float]]] = {}
    for verdict in findings.verdicts.values():
        for item in verdict.contenders:
            bits = accuracy_of(item.cell).effective_bits
            if bits is not None and verdict.is_contested:
                points.setdefault(item.backend, []).append((max(1.0, item.ratio.estimate), bits))
    shown = [backend for backend in looks if backend in points]
    if not shown:
        return None
    title = "Accuracy against speed"
    legend = legend_rows(shown)
    top_in = 0.85 + ROW_IN * len(legend)

    def paint() -> Figure:
        figure, axes = sheet(_FRONTIER_IN, top_in=top_in)
        axes.set_xscale("log")
        for backend in shown:
            _draw_cloud(axes, points[backend], looks[backend])
        axes.margins(0.05)
        log_ticks(axes, "x", ratio_tick)
        axes.set_xlabel("time ÷ time of the fastest (1× is best)")
        axes.set_ylabel("effective bits")
        draw_legend(figure, legend, looks, top_in - 0.12)
        head(
            figure,
            title,
            "Small: one problem. Large: median bits, geometric mean of ratios. Up and left is better.",
        )
        foot(figure, [caption])
        return figure

    return draw("accuracy-against-speed", title, f"{title}: effective bits and ratio to the best by backend.", paint)


def _draw_cloud(axes: Axes, points: Sequence[tuple[float, float]], look: Look) -> None:
    ratios, bits = [ratio for ratio, _ in points], [bits for _, bits in points]
    axes.plot(ratios, bits, linestyle="none", alpha=0.45, **look.marker_style(3.5))
    axes.plot([geometric_mean(ratios)], [median(bits)], linestyle="none", zorder=4, **look.marker_style(10))


def _draw_errors(axes: Axes, cells: Sequence[Cell], backends: Sequence[str], looks: Mapping[str, Look]) -> None:
    axes.set_xscale("log")
    axes.axvline(1.0, color=_WRONG, linewidth=1.6)
    for row, backend in enumerate(backends):
        shares = [accuracy_of(cell).error_over_bound for cell in cells if cell.key.backend == backend]
        _draw_row(axes, row, [share for share in shares if share], looks[backend])
    axes.margins(x=0.06)
    _finish_rows(axes, len(backends))
    axes.set_xlabel("error ÷ its bound (1 is the limit)")
    log_ticks(axes, "x", plain_tick, most=6)
    left, right = axes.get_xlim()
    axes.axvspan(1.0, max(1.0, right), color=_WRONG, alpha=0.06, linewidth=0)
    axes.set_xlim(left, right)


def _draw_bits(axes: Axes, cells: Sequence[Cell], backends: Sequence[str], looks: Mapping[str, Look]) -> None:
    for row, backend in enumerate(backends):
        bits = [accuracy_of(cell).effective_bits for cell in cells if cell.key.backend == backend]
        _draw_row(axes, row, [value for value in bits if value is not None], looks[backend])
    for bits_of_dtype in sorted({SIGNIFICAND_BITS[cell.dtype] for cell in cells if cell.dtype in SIGNIFICAND_BITS}):
        axes.axvline(bits_of_dtype, color=SOFT_INK, linewidth=1.2, linestyle=(0, (4, 2)))
    axes.margins(x=0.06)
    _finish_rows(axes, len(backends))
    axes.set_xlabel("effective bits (dashed: all the dtype has)")


def _draw_row(axes: Axes, row: int, values: Sequence[float], look: Look) -> None:
    # Spread over the row's height in a fixed pattern, so that dots of one value stay visible and files stay the same.
    heights = [row + 0.26 * ((place * 0.618) % 1 - 0.5) for place in range(len(values))]
    axes.plot(values, heights, linestyle="none", alpha=0.75, **look.marker_style(5))


def _finish_rows(axes: Axes, rows: int) -> None:
    axes.set_ylim(rows - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _worst_text(cells: Sequence[Cell], backend: str) -> str:
    shares = [accuracy_of(cell).error_over_bound or 0.0 for cell in cells if cell.key.backend == backend]
    return ratio_tick(max(shares))
