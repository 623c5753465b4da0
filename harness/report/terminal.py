"""Rich tables: one a group, then the verdict. Words and signs carry the meaning, colour only repeats it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.report.checked import check_tables
from harness.report.lines import Line, LineKind
from harness.report.sentences import verdict_lines
from harness.report.wording import CellWords, cell_words, row_unit
from harness.units import MISSING

if TYPE_CHECKING:
    from harness.report.findings import Findings, GroupFindings

DEFAULT_WIDTH = 100

_STATE_STYLE = {"fastest": "bold green", "only": "green", "tie": "green", "slower": "", "wrong": "bold red"}
_LINE_STYLE = {
    LineKind.WRONG: "bold red",
    LineKind.RIGHT: "green",
    LineKind.FASTEST: "bold",
    LineKind.MISSING: "yellow",
}
_LINE_MARK = {
    LineKind.WRONG: "✗ ",
    LineKind.RIGHT: "✓ ",
    LineKind.FASTEST: "★ ",
    LineKind.WHEN: "· ",
    LineKind.BITS: "· ",
    LineKind.PEAK: "^ ",
    LineKind.MEMORY: "· ",
    LineKind.SURE: "± ",
    LineKind.MISSING: "? ",
}
# "1.23 ±0.8 %" and the two blanks between columns.
_COLUMN_WIDTH = 13
_CASE_WIDTH = 14


def run_tables(findings: Findings, width: int = DEFAULT_WIDTH) -> RenderableType:
    """The whole run for a terminal of this width: a table for each group, then the verdict."""
    if not findings.header.is_timed:
        return Group(check_tables(findings, width), verdict_text(verdict_lines(findings)))
    tables = [group_table(found, width) for found in findings.groups]
    return Group(*(part for table in tables for part in (table, Text())), verdict_text(verdict_lines(findings)))


def group_table(found: GroupFindings, width: int = DEFAULT_WIDTH) -> Table:
    """One group: cases by backends, or one row for each case and backend where the columns would not fit."""
    backends = found.group.backends
    if _CASE_WIDTH + _COLUMN_WIDTH * len(backends) <= width:
        return _wide_table(found, backends)
    return _long_table(found, backends)


def verdict_text(lines: Iterable[Line]) -> Text:
    """The verdict, one line a sentence, the wrong ones first and in red."""
    text = Text()
    for line in lines:
        about = f"{line.about}: " if line.about and line.kind is LineKind.WHEN else ""
        text.append(_LINE_MARK[line.kind] + about + line.text + "\n", style=_LINE_STYLE.get(line.kind, ""))
    text.rstrip()
    return text


def _wide_table(found: GroupFindings, backends: Sequence[str]) -> Table:
    table = _table(found.group.title)
    table.add_column("case", overflow="fold", min_width=8)
    table.add_column("unit")
    for backend in backends:
        table.add_column(_broken(backend), justify="right", overflow="fold")
    for verdict in found.verdict.verdicts:
        cells = (cell_words(verdict, backend) for backend in backends)
        table.add_row(Text(verdict.case.title), row_unit(verdict)[1], *map(_cell_text, cells))
    return table


def _long_table(found: GroupFindings, backends: Sequence[str]) -> Table:
    table = _table(found.group.title)
    table.add_column("case", overflow="fold", max_width=26)
    table.add_column("backend", overflow="fold", max_width=30)
    table.add_column("time", justify="right")
    table.add_column("unit")
    table.add_column("spread", justify="right")
    table.add_column("to the best", justify="right")
    for verdict in found.verdict.verdicts:
        unit = row_unit(verdict)[1]
        ranked = [item.backend for item in verdict.contenders]
        ranked += [backend for backend in backends if backend in verdict.case.cells and backend not in ranked]
        holes = {cell.status for cell in verdict.case.cells.values()}
        if not verdict.contenders and len(holes) == 1 and len(ranked) > 1:
            words = cell_words(verdict, ranked[0])
            table.add_row(Text(verdict.case.title), f"all {len(ranked)}", words.time if words else "", end_section=True)
            continue
        for place, backend in enumerate(ranked):
            words = cell_words(verdict, backend)
            if words is None:
                continue
            table.add_row(
                Text(verdict.case.title if place == 0 else ""),
                Text(backend),
                _styled(words.time, words),
                unit if words.ratio else "",
                words.spread + (" noisy" if words.is_noisy else ""),
                _styled(words.ratio, words),
                end_section=place == len(ranked) - 1,
            )
    return table


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
    )


def _cell_text(words: CellWords | None) -> Text:
    if words is None:
        return Text(MISSING, style="dim")
    first = _styled(words.time, words)
    if words.spread:
        first.append(f" {words.spread.replace(' %', '%')}", style="dim")
    if words.ratio:
        first.append(f"\n{words.ratio}", style=_STATE_STYLE.get(words.state, ""))
    if words.is_noisy:
        first.append(" noisy", style="yellow")
    return first


def _styled(text: str, words: CellWords) -> Text:
    return Text(text, style=_STATE_STYLE.get(words.state, "yellow"))


def _broken(backend: str) -> Text:
    """A spec as a column head, its options on lines of their own."""
    name, _, options = backend.partition("[")
    return Text("\n".join([name, *options.rstrip("]").replace("=", "=\n").split(",")]) if options else name)
