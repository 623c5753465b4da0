"""The report's files: what goes where in a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report import ReportPaths
from harness.report.findings import find
from harness.report.html import html_report
from harness.report.markdown import markdown_report
from harness.report.pictures import Picture, edge_figure
from harness.report.plots import draw_plots
from harness.report.summary import summary_csv
from harness.store import write_atomically

if TYPE_CHECKING:
    from harness.records import Cell, RunHeader


def write_files(
    run_dir: Path, header: RunHeader, cells: Sequence[Cell], pictures: Sequence[Picture], *, noise_floor: float | None
) -> ReportPaths:
    """Write every file of a report; see `harness.report.write_report`."""
    findings = find(header, cells, noise_floor)
    plots = draw_plots(findings)
    edges = [edge_figure(item.name, item.image, item.vertical, item.horizontal) for item in pictures]
    plot_dir = run_dir / "plots"
    plot_dir.mkdir(exist_ok=True)
    written: list[Path] = []
    for plot in [*plots, *edges]:
        for path, content in ((plot_dir / f"{plot.name}.svg", plot.svg), (plot_dir / f"{plot.name}.png", plot.png)):
            write_atomically(path, content)
            written.append(path)
    paths = ReportPaths(
        summary=run_dir / "summary.csv",
        html=run_dir / "report.html",
        markdown=run_dir / "report.md",
        plots=tuple(written),
    )
    write_atomically(paths.summary, summary_csv(findings))
    write_atomically(paths.html, html_report(findings, plots, edges))
    write_atomically(paths.markdown, markdown_report(findings, plots, edges))
    return paths
