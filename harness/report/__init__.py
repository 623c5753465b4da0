"""From a run's header and cells to its files and terminal tables. Measures nothing and prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report.wording import repeat_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.records import Cell, RunHeader
    from harness.report.pictures import Picture

__all__ = ["ReportPaths", "repeat_line", "terminal_tables", "write_report"]

DEFAULT_WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class ReportPaths:
    """Where the parts of a report are."""

    summary: Path
    html: Path
    markdown: Path
    plots: tuple[Path, ...]


def terminal_tables(
    header: RunHeader, cells: Sequence[Cell], *, width: int = DEFAULT_WIDTH, noise_floor: float | None = None
) -> RenderableType:
    """A table for each group and the verdict, for `rich.console.Console(width=width).print`."""
    # Tables need rich and the statistics, which `--help` and `list` should not wait for.
    from harness.report.findings import find
    from harness.report.terminal import run_tables

    return run_tables(find(header, cells, noise_floor), width)


def write_report(
    run_dir: Path,
    header: RunHeader,
    cells: Sequence[Cell],
    pictures: Sequence[Picture] = (),
    *,
    noise_floor: float | None = None,
) -> ReportPaths:
    """Write summary.csv, report.html, report.md and plots/* into a run's folder, replacing older ones.

    Args:
        run_dir: The run's folder; it exists.
        header: Of the run.
        cells: What the run has stored so far; any number, in any state.
        pictures: Real pictures with their edges, to be shown.
        noise_floor: The smallest relative difference this run can see; smaller ones are called ties. None for what
            the cells' twins give.
    """
    # matplotlib, pandas and jinja2 take most of a second to import, which other commands should not wait for.
    from harness.report.writing import write_files

    return write_files(run_dir, header, cells, pictures, noise_floor=noise_floor)
