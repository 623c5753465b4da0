"""Every plot of a report, in the order a reader meets them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.report.cases import is_timed
from harness.report.curves import sweep_plot
from harness.report.palette import Look, looks
from harness.report.roofs import roofline_plots
from harness.report.rows import rate_plot, ratio_plot, speedup_plot
from harness.report.scatter import accuracy_plot, frontier_plot
from harness.report.sentences import crossover_text
from harness.report.twin_dots import twin_plot
from harness.report.wording import machine_text
from harness.stats import order_statistic_rank

if TYPE_CHECKING:
    from harness.records import Cell
    from harness.report.canvas import Plot
    from harness.report.findings import Findings


@dataclass(frozen=True, kw_only=True)
class PlotSet:
    """The plots of a report by what they are about."""

    sweeps: dict[str, tuple[Plot, ...]]
    """By group title."""
    rates: dict[str, Plot]
    ratios: dict[str, Plot]
    speedups: dict[str, Plot]
    accuracy: tuple[Plot, ...]
    roofs: tuple[Plot, ...] = ()
    twins: tuple[Plot, ...] = ()

    def of_group(self, title: str) -> tuple[Plot, ...]:
        """Every plot about one group."""
        by_group = (self.rates, self.ratios, self.speedups)
        return (*self.sweeps.get(title, ()), *(plots[title] for plots in by_group if title in plots))

    def __iter__(self) -> Iterator[Plot]:
        """Every plot."""
        for plots in self.sweeps.values():
            yield from plots
        for by_group in (self.rates, self.ratios, self.speedups):
            yield from by_group.values()
        yield from self.accuracy
        yield from self.roofs
        yield from self.twins


def draw_plots(findings: Findings) -> PlotSet:
    """Every plot that the findings have data for; none where nothing was timed."""
    if not any(is_timed(cell) for cell in findings.cells):
        # What was only checked fits in tables, and may be tens of thousands of problems.
        return PlotSet(sweeps={}, rates={}, ratios={}, speedups={}, accuracy=())
    look_of = looks(findings.backends)
    taken: set[str] = set()
    sweeps: dict[str, tuple[Plot, ...]] = {}
    by_group: tuple[dict[str, Plot], dict[str, Plot], dict[str, Plot]] = ({}, {}, {})
    for found in findings.groups:
        group = found.group
        caption = caption_text(findings, [cell for case in group.cases for cell in case.cells.values()])
        drawn = []
        for item in found.sweeps:
            changes = " ".join(crossover_text(crossover, item.sweep) + "." for crossover in item.crossovers)
            drawn.append(sweep_plot(item.sweep, look_of, caption, changes))
        sweeps[group.title] = tuple(_named_apart(plot, taken) for plot in drawn if plot is not None)
        kinds = (None if group.is_swept else rate_plot, ratio_plot, speedup_plot)
        for kind, plots in zip(kinds, by_group, strict=True):
            plot = None if kind is None else kind(group, found.verdict.verdicts, look_of, caption)
            if plot is not None:
                plots[group.title] = _named_apart(plot, taken)
    rates, ratios, speedups = by_group
    twins = twin_plot(findings, look_of, caption_text(findings, []))
    return PlotSet(
        sweeps={title: plots for title, plots in sweeps.items() if plots},
        rates=rates,
        ratios=ratios,
        speedups=speedups,
        accuracy=_accuracy_plots(findings, look_of),
        roofs=roofline_plots(findings, look_of, caption_text(findings, list(findings.cells))),
        twins=() if twins is None else (twins,),
    )


def caption_text(findings: Findings, cells: list[Cell]) -> str:
    """What every plot says in small type: samples, intervals, machine and date."""
    counts = sorted({len(cell.samples_ns) for cell in cells if is_timed(cell)})
    header = findings.header
    parts = [machine_text(header), header.started_utc[:10], f"commit {header.commit}" if header.commit else ""]
    if counts:
        samples = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        noun = "sample" if counts == [1] else "samples"
        has_interval = order_statistic_rank(counts[-1]) is not None
        sureness = "with 95 % intervals where those are enough" if has_interval else "too few for intervals"
        parts.insert(0, f"Medians of {samples} {noun}, {sureness}")
    return " · ".join(part for part in parts if part)


def _named_apart(plot: Plot, taken: set[str]) -> Plot:
    """The plot under a file name of its own: titles that differ in signs only give the same name at first."""
    name, number = plot.name, 2
    while name in taken:
        name, number = f"{plot.name}-{number}", number + 1
    taken.add(name)
    return replace(plot, name=name)


def _accuracy_plots(findings: Findings, look_of: dict[str, Look]) -> tuple[Plot, ...]:
    caption = caption_text(findings, [])
    drawn = (accuracy_plot(findings, look_of, caption), frontier_plot(findings, look_of, caption))
    return tuple(plot for plot in drawn if plot is not None)
