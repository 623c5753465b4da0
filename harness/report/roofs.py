"""The roofline plot: arithmetic rate against operations per byte, under what the machine could do at most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import Bandwidth, CacheState
from harness.report.canvas import INK, SOFT_INK, Plot, draw, foot, head, log_ticks, plain_tick, sheet, spread_apart
from harness.report.cases import slug, time_of
from harness.report.legend import ROW_IN, draw_legend, legend_rows
from harness.report.peak import kind_text
from harness.units import bytes_text, digits, gflop_per_s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.report.findings import Findings
    from harness.report.palette import Look
    from harness.roofline import Roofline

_HEIGHT_IN = 6.2
# For the names of the flat roofs, to the right of them, and the least distance between two.
_RIGHT_IN, _LABEL_IN = 1.75, 0.2
# Levels nearer to each other than this would have one line and two labels on top of each other.
_APART = 1.6
# Plain loops are some ten thousand times under the roof; below this their dots would press all others together.
_LOWEST = 1e-4
_LABEL_POINTS = 8.5


@dataclass(frozen=True, kw_only=True)
class _Roof:
    """The sloping part for one level of memory, or for several that are alike."""

    label: str
    gb_per_s: float


def roofline_plots(findings: Findings, looks: Mapping[str, Look], caption: str) -> tuple[Plot, ...]:
    """A plot for each dtype and number of threads whose ceilings were measured."""
    drawn = (_plot(findings, roofline, looks, caption) for roofline in findings.rooflines.values())
    return tuple(plot for plot in drawn if plot is not None)


def _plot(findings: Findings, roofline: Roofline, looks: Mapping[str, Look], caption: str) -> Plot | None:
    top = roofline.top_flop_per_s
    points = _points(findings, roofline)
    if top is None or not points:
        return None
    shown = [backend for backend in looks if backend in points]
    kind = kind_text(roofline.dtype, roofline.threads)
    title = f"Roofline: {kind}"
    legend = legend_rows(shown)
    top_in = 0.85 + ROW_IN * len(legend)
    leftmost = min(intensity for dots in points.values() for intensity, _ in dots)
    roofs = _roofs(roofline.bandwidths, findings.header.cache, top / 1e9 / leftmost)
    rates = [rate for dots in points.values() for _, rate in dots]
    lowest = max(min(rates) / 1.6, top / 1e9 * _LOWEST)
    below = sum(rate < lowest for rate in rates)

    def paint() -> Figure:
        figure, axes = sheet(_HEIGHT_IN, top_in=top_in, right_in=_RIGHT_IN)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(*_intensities(points, roofs, top / 1e9))
        axes.set_ylim(lowest, 1.8 * max(top / 1e9, *rates))
        for backend in shown:
            axes.plot(
                [intensity for intensity, _ in points[backend]],
                [rate for _, rate in points[backend]],
                linestyle="none",
                alpha=0.75,
                **looks[backend].marker_style(5),
            )
        _draw_tops(axes, roofline)
        for roof in roofs:
            _draw_roof(axes, roof, top / 1e9)
        axes.set_xlabel("operations per byte of operands (FLOP/byte)")
        axes.set_ylabel("effective GFLOP/s")
        log_ticks(axes, "x", plain_tick)
        log_ticks(axes, "y", plain_tick)
        draw_legend(figure, legend, looks, top_in - 0.12)
        head(
            figure,
            title,
            "One dot per case. A sloping roof holds for operands that its level holds, the flat one for all.",
        )
        unseen = f"{below} of {len(rates)} dots lie below the plot." if below else ""
        foot(figure, [unseen, caption])
        return figure

    slopes = ", ".join(f"{roof.label} {digits(roof.gb_per_s)} GB/s" for roof in roofs)
    alt = f"{title}. At most {digits(top / 1e9)} GFLOP/s; {slopes}. One dot per case and backend."
    return draw(f"roofline-{slug(kind)}", title, alt, paint)


def _points(findings: Findings, roofline: Roofline) -> dict[str, list[tuple[float, float]]]:
    """Operations per byte and GFLOP/s of every cell under these ceilings, by backend."""
    points: dict[str, list[tuple[float, float]]] = {}
    for case in findings.verdicts:
        for backend, cell in case.timed.items():
            time = time_of(cell)
            is_under = (cell.dtype, cell.threads_asked) == (roofline.dtype, roofline.threads)
            if is_under and time is not None and findings.peak_fraction(case, cell) is not None:
                rate = gflop_per_s(case.problem.flops, time.estimate)
                points.setdefault(backend, []).append((case.problem.arithmetic_intensity, rate))
    return points


def _roofs(levels: Sequence[Bandwidth], cache: CacheState, fastest: float) -> list[_Roof]:
    """The levels that differ visibly, each named by the largest working set it holds.

    Cold caches leave memory only. Nor is there a slope for levels faster than `fastest`, in GB/s, which hold no case
    down; they would all meet in a corner.
    """
    roofs: list[_Roof] = []
    largest = max((level.working_set_bytes for level in levels), default=0)
    for level in levels if cache is CacheState.HOT else levels[-1:]:
        gb_per_s = level.bytes_per_s / 1e9
        name = "memory" if level.working_set_bytes == largest else f"up to {bytes_text(level.working_set_bytes)}"
        if roofs and roofs[-1].gb_per_s < _APART * gb_per_s:
            roofs[-1] = _Roof(label=name, gb_per_s=roofs[-1].gb_per_s)
        else:
            roofs.append(_Roof(label=name, gb_per_s=gb_per_s))
    return [roof for roof in roofs if roof.gb_per_s <= fastest] or roofs[-1:]


def _intensities(
    points: Mapping[str, Sequence[tuple[float, float]]], roofs: Sequence[_Roof], top: float
) -> tuple[float, float]:
    """Limits that hold every dot, and enough of the slowest slope to see where it meets the top."""
    known = [intensity for dots in points.values() for intensity, _ in dots]
    ridges = [top / roof.gb_per_s for roof in roofs]
    return min([*known, *ridges]) / 8, 2 * max([*known, *ridges])


def _draw_tops(axes: Axes, roofline: Roofline) -> None:
    """The flat roofs across the plot, named at their right end."""
    named = (
        ("multiply-adds", roofline.fma_flop_per_s, "-"),
        ("matrix product", roofline.gemm_flop_per_s, (0, (5, 2))),
    )
    tops = [(name, rate / 1e9, line) for name, rate, line in named if rate is not None]
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [float(to_axes.transform((1.0, rate))[1]) for _, rate, _ in tops]
    placed = spread_apart(heights, _LABEL_IN / (axes.get_position().height * _HEIGHT_IN), 0.0, 1.0)
    for (name, rate, line), height, place in zip(tops, heights, placed, strict=True):
        axes.axhline(rate, color=INK, linewidth=1.2, linestyle=line, zorder=1)
        axes.plot(
            [1.0, 1.015],
            [height, place],
            transform=axes.transAxes,
            color=SOFT_INK,
            linewidth=0.8,
            linestyle=(0, (1, 2)),
            clip_on=False,
        )
        axes.text(1.02, place, f"{name} {digits(rate)}", transform=axes.transAxes, size=9.5, va="center_baseline")


def _draw_roof(axes: Axes, roof: _Roof, top: float) -> None:
    """The slope from the edge of the plot to the top, and its name along it."""
    (left, right), low = axes.get_xlim(), axes.get_ylim()[0]
    start, end = max(left, low / roof.gb_per_s), min(right, top / roof.gb_per_s)
    if start >= end:
        return
    axes.plot([start, end], [start * roof.gb_per_s, end * roof.gb_per_s], color=INK, linewidth=1.2, zorder=1)
    (x0, y0), (x1, y1) = axes.transData.transform([(1.0, 1.0), (10.0, 10.0)])
    axes.annotate(
        f"{roof.label} {digits(roof.gb_per_s)} GB/s",
        (start, start * roof.gb_per_s),
        xytext=(9, 1),
        textcoords="offset points",
        rotation=math.degrees(math.atan2(y1 - y0, x1 - x0)),
        rotation_mode="anchor",
        ha="left",
        va="top",
        size=_LABEL_POINTS,
        color=INK,
    )
