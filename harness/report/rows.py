"""Dot plots with a row a case: ratio to the best, speed-up over the plain loops, GFLOP/s."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.canvas import SOFT_INK, WIDTH_IN, Plot, draw, foot, head, log_ticks, plain_tick, ratio_tick, sheet
from harness.report.cases import CaseGroup, geometry_text, slug, time_of
from harness.report.legend import ROW_IN, draw_legend, legend_rows
from harness.report.summary import BASELINE, speedup_over
from harness.stats import Interval
from harness.units import gflop_per_s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.report.palette import Look
    from harness.report.verdict import CaseVerdict

_CASE_IN = 0.4
_DODGE, _DODGE_MOST = 0.3, 0.34
# Dots closer than this would hide each other.
_DOT_IN = 0.13
_MARGIN = 0.04
# A ratio of extremes above this needs a logarithmic axis to be read at both ends.
_LOG_ABOVE = 20


@dataclass(frozen=True, kw_only=True)
class Dots:
    """What a dot plot shows: row titles, and for each backend one value a row."""

    rows: tuple[str, ...]
    values: Mapping[str, Sequence[Interval | None]]

    @property
    def present(self) -> list[Interval]:
        """Every value there is."""
        return [value for column in self.values.values() for value in column if value is not None]


def ratio_plot(
    group: CaseGroup, verdicts: Sequence[CaseVerdict], looks: Mapping[str, Look], caption: str
) -> Plot | None:
    """Time over the fastest backend's time, case by case, with paired intervals; None without a contest."""
    contested = [verdict for verdict in verdicts if verdict.is_contested]
    dots = Dots(
        rows=tuple(verdict.case.title for verdict in contested),
        values=_columns(
            looks, [{name: item.ratio for name, item in verdict.by_backend.items()} for verdict in contested]
        ),
    )
    return _dot_plot(
        f"ratio-{slug(group.title)}",
        f"Ratio to the best: {group.title}",
        "Time over the fastest right backend's time, 95 % intervals of paired rounds; 1× is the best.",
        "time ÷ time of the fastest (1× is best)",
        dots,
        looks=looks,
        caption=caption,
        mark=1.0,
        tick=ratio_tick,
        is_log=True,
    )


def speedup_plot(
    group: CaseGroup, verdicts: Sequence[CaseVerdict], looks: Mapping[str, Look], caption: str
) -> Plot | None:
    """How many times faster than the plain loops, case by case; None where those were not timed."""
    cases = [verdict.case for verdict in verdicts if BASELINE in verdict.case.timed and verdict.is_contested]
    others = {backend: look for backend, look in looks.items() if backend != BASELINE}
    columns: list[dict[str, Interval]] = []
    for case in cases:
        found = {backend: speedup_over(case, backend) for backend in others}
        columns.append({backend: value for backend, value in found.items() if value is not None})
    dots = Dots(rows=tuple(case.title for case in cases), values=_columns(others, columns))
    untimed = len(verdicts) - len(cases)
    note = f"{untimed} of {len(verdicts)} cases are not shown: {BASELINE} was not timed there." if untimed else ""
    return _dot_plot(
        f"speedup-{slug(group.title)}",
        f"Speed-up over {BASELINE}: {group.title}",
        f"Time of {BASELINE} over each backend's time; further right is faster.",
        f"time of {BASELINE} ÷ time",
        dots,
        looks=others,
        caption=caption,
        mark=1.0,
        tick=ratio_tick,
        is_log=True,
        note=note,
    )


def rate_plot(
    group: CaseGroup, verdicts: Sequence[CaseVerdict], looks: Mapping[str, Look], caption: str
) -> Plot | None:
    """GFLOP/s by layer; None where nothing was timed."""
    timed = [verdict for verdict in verdicts if verdict.contenders]
    columns: list[dict[str, Interval]] = []
    for verdict in timed:
        flops = verdict.case.problem.flops
        column = {}
        for item in verdict.contenders:
            time = time_of(item.cell)
            if time is not None:
                column[item.backend] = _rate(flops, time)
        columns.append(column)
    dots = Dots(rows=tuple(verdict.case.title for verdict in timed), values=_columns(looks, columns))
    return _dot_plot(
        f"gflops-{slug(group.title)}",
        f"Arithmetic rate by layer: {group.title}",
        _joined(
            "2 × multiply-adds of the direct method ÷ time.",
            geometry_text([verdict.case.problem for verdict in timed]),
        ),
        "effective GFLOP/s",
        dots,
        looks=looks,
        caption=caption,
        tick=plain_tick,
    )


def _dot_plot(
    name: str,
    title: str,
    subtitle: str,
    axis_label: str,
    dots: Dots,
    *,
    looks: Mapping[str, Look],
    caption: str,
    tick: Callable[[float], str],
    mark: float | None = None,
    is_log: bool = False,
    note: str = "",
) -> Plot | None:
    if not dots.present:
        return None
    shown = [backend for backend, column in dots.values.items() if any(value is not None for value in column)]
    left_in = min(3.2, max(1.0, 0.3 + 0.082 * max(map(len, dots.rows))))
    legend = legend_rows(shown)
    top_in, bottom_in = 0.85 + ROW_IN * len(legend), 1.0
    height_in = top_in + bottom_in + _CASE_IN * max(2, len(dots.rows))

    def paint() -> Figure:
        figure, axes = sheet(height_in, top_in=top_in, bottom_in=bottom_in, left_in=left_in)
        _set_scale(axes, dots.present, mark, is_log=is_log)
        if mark is not None:
            axes.axvline(mark, color=SOFT_INK, linewidth=1.2, zorder=1)
        heights = _heights(axes, dots)
        for backend in shown:
            _draw_dots(axes, dots.values[backend], looks[backend], heights[backend])
        _set_rows(axes, dots.rows)
        axes.set_xlabel(axis_label)
        if axes.get_xscale() == "log":
            log_ticks(axes, "x", tick)
        draw_legend(figure, legend, looks, top_in - 0.12)
        head(figure, title, subtitle)
        foot(figure, [note, caption])
        return figure

    return draw(name, title, f"{title}. One row for each of {len(dots.rows)} cases, one dot per backend.", paint)


def _set_rows(axes: Axes, rows: Sequence[str]) -> None:
    axes.set_yticks(range(len(rows)), [_cut(row) for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _set_scale(axes: Axes, values: Sequence[Interval], mark: float | None, *, is_log: bool) -> None:
    """Limits that hold every interval and the mark; logarithmic where asked or where the values span decades."""
    ends = [end for value in values for end in (value.estimate, value.low, value.high, mark) if end is not None]
    low, high = min(ends), max(ends)
    if is_log or high > _LOG_ABOVE * low:
        axes.set_xscale("log")
        margin = max(1.03, (high / low) ** _MARGIN)
        axes.set_xlim(low / margin, high * margin)
    else:
        axes.set_xlim(0, high * (1 + _MARGIN))


def _heights(axes: Axes, dots: Dots) -> dict[str, list[float]]:
    """The height of every dot: its row, or beside it where dots of one row would hide each other."""
    heights = {backend: [float(row) for row in range(len(dots.rows))] for backend in dots.values}
    width_in = axes.get_position().width * WIDTH_IN
    to_axes = axes.transData + axes.transAxes.inverted()
    for row in range(len(dots.rows)):
        places = sorted(
            (width_in * float(to_axes.transform((value.estimate, row))[0]), backend)
            for backend, column in dots.values.items()
            if (value := column[row]) is not None
        )
        clusters: list[list[tuple[float, str]]] = []
        for place in places:
            if clusters and place[0] - clusters[-1][-1][0] < _DOT_IN:
                clusters[-1].append(place)
            else:
                clusters.append([place])
        for cluster in clusters:
            step = min(_DODGE, 2 * _DODGE_MOST / max(1, len(cluster) - 1))
            # In the run's order and not by value, so that two tied rows look alike.
            order = [backend for backend in dots.values if backend in {name for _, name in cluster}]
            for rank, backend in enumerate(order):
                heights[backend][row] += step * (rank - (len(order) - 1) / 2)
    return heights


def _draw_dots(axes: Axes, column: Sequence[Interval | None], look: Look, heights: Sequence[float]) -> None:
    points = [(height, value) for height, value in zip(heights, column, strict=True) if value is not None]
    below = [value.estimate - (value.low if value.low is not None else value.estimate) for _, value in points]
    above = [(value.high if value.high is not None else value.estimate) - value.estimate for _, value in points]
    axes.errorbar(
        [value.estimate for _, value in points],
        [height for height, _ in points],
        xerr=([max(0.0, width) for width in below], [max(0.0, width) for width in above]),
        linestyle="none",
        elinewidth=1.3,
        capsize=2.5,
        **look.marker_style(7),
    )


def _columns(backends: Mapping[str, Look], rows: Sequence[Mapping[str, Interval]]) -> dict[str, list[Interval | None]]:
    return {backend: [row.get(backend) for row in rows] for backend in backends}


def _rate(flops: int, time: Interval) -> Interval:
    """The interval of a time as one of a rate: the slow end is the low rate."""
    return Interval(
        estimate=gflop_per_s(flops, time.estimate),
        low=None if time.high is None else gflop_per_s(flops, time.high),
        high=None if time.low is None else gflop_per_s(flops, time.low),
    )


def _cut(text: str, most: int = 38) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
