"""Scaling curves: time of one call along a sweep, log-log, one line per backend with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.report.canvas import Plot, draw, foot, head, measured_ticks, sheet, spread_apart, time_ticks
from harness.report.cases import Case, Sweep, axis_value_text, geometry_text, slug, time_of
from harness.report.wording import status_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.report.palette import Look
    from harness.stats import Interval

_HEIGHT_IN = 5.2
_LABEL_IN = 0.2
"""Least distance between two labels at line ends: the height of their type."""


def sweep_plot(sweep: Sweep, looks: Mapping[str, Look], caption: str, sentence: str = "") -> Plot | None:
    """Time against the axis of a sweep; None where nothing was timed.

    Args:
        sweep: Cases ordered along the axis.
        looks: By backend.
        caption: Of samples and machine.
        sentence: What the sweep shows, for the alternative text.
    """
    lines = {backend: line for backend in looks if (line := _line(sweep.cases, backend))}
    if not lines:
        return None
    title = f"Time of one call: {sweep.title}"
    widest = max(len(backend) for backend in lines)
    # A label column as wide as its longest name at 9.5 points.
    label_in = min(2.6, 0.35 + 0.078 * widest)

    def paint() -> Figure:
        figure, axes = sheet(_HEIGHT_IN, right_in=label_in, bottom_in=1.15)
        values = sorted({value for line in lines.values() for value, _ in line})
        axes.set_yscale("log")
        if min(values) > 0:
            axes.set_xscale("log")
        for backend, line in lines.items():
            _draw_line(axes, line, looks[backend])
        axes.margins(x=0.04, y=0.07)
        axes.set_xlabel(sweep.axis_label + _axis_unit(sweep.axis))
        axes.set_ylabel("time of one call")
        time_ticks(axes)
        measured_ticks(axes, values)
        _label_ends(axes, lines, looks)
        head(figure, title, geometry_text([case.problem for case in sweep.cases]))
        foot(figure, [_holes_text(sweep.cases), caption])
        return figure

    names = ", ".join(lines)
    return draw(f"sweep-{slug(sweep.title)}", title, f"{title}, by {sweep.axis_label}, for {names}. {sentence}", paint)


def _line(cases: Sequence[Case], backend: str) -> list[tuple[float, Interval]]:
    points = []
    for case in cases:
        time = time_of(case.cells[backend]) if backend in case.cells else None
        if time is not None and case.axis_value is not None:
            points.append((case.axis_value, time))
    return points


def _draw_line(axes: Axes, line: Sequence[tuple[float, Interval]], look: Look) -> None:
    values = [value for value, _ in line]
    times = [time.estimate for _, time in line]
    below = [time.estimate - (time.low if time.low is not None else time.estimate) for _, time in line]
    above = [(time.high if time.high is not None else time.estimate) - time.estimate for _, time in line]
    axes.errorbar(
        values,
        times,
        yerr=(below, above),
        linestyle=look.line,
        linewidth=1.8,
        elinewidth=1.3,
        capsize=3,
        **look.marker_style(),
    )


def _label_ends(axes: Axes, lines: Mapping[str, Sequence[tuple[float, Interval]]], looks: Mapping[str, Look]) -> None:
    """The backend's name to the right of its line, pushed apart where lines end together."""
    height_in = axes.get_position().height * _HEIGHT_IN
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = {backend: to_axes.transform((line[-1][0], line[-1][1].estimate)) for backend, line in lines.items()}
    placed = spread_apart([float(end[1]) for end in ends.values()], _LABEL_IN / height_in, 0.0, 1.0)
    for (backend, end), place in zip(ends.items(), placed, strict=True):
        look = looks[backend]
        axes.plot(
            [float(end[0]), 1.015],
            [float(end[1]), place],
            transform=axes.transAxes,
            color=look.colour,
            linewidth=0.8,
            linestyle=(0, (1, 2)),
            clip_on=False,
        )
        axes.text(
            1.02,
            place,
            backend,
            transform=axes.transAxes,
            color=look.ink,
            size=9.5,
            va="center_baseline",
            parse_math=False,
        )


def _holes_text(cases: Sequence[Case]) -> str:
    """The points that are missing, so that a short line is not read as a fast one."""
    missing: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        for backend, cell in case.cells.items():
            if backend not in case.timed:
                missing.setdefault((backend, status_words(cell)), []).append(axis_value_text(case.axis_value))
    parts = [f"{backend} at {', '.join(values)} ({status})" for (backend, status), values in missing.items()]
    return f"Not timed: {'; '.join(parts)}" if parts else ""


def _axis_unit(axis: str) -> str:
    units = {
        "spatial": " (elements per axis)",
        "kernel": " (taps per axis)",
        "stride": " (elements)",
        "dilation": " (elements; 1 is dense)",
    }
    return units.get(axis, "")
