"""How much of a run was decided, and in what time: by group, by source, in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.records import Cell, Status
from harness.report.cases import CaseGroup


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much of some problems was decided; a cell is one backend on one problem."""

    title: str
    problems: int
    cells: int
    statuses: Mapping[Status, int]
    spent_ns: int


def coverage_by_group(groups: Iterable[CaseGroup]) -> tuple[Coverage, ...]:
    """How far each group got."""
    return tuple(_coverage(group.title, [list(case.cells.values()) for case in group.cases]) for group in groups)


def coverage_by_source(groups: Iterable[CaseGroup]) -> tuple[Coverage, ...]:
    """How far each suite got, and within it each source: what stands before the colon of a table's headings."""
    cases: dict[str, list[list[Cell]]] = {}
    for group in groups:
        title = ": ".join(part for part in (group.suite, group.name.partition(":")[0]) if part)
        cases.setdefault(title or group.title, []).extend(list(case.cells.values()) for case in group.cases)
    return tuple(_coverage(title, members) for title, members in cases.items())


def total_coverage(groups: Iterable[CaseGroup]) -> Coverage:
    """How far the whole run got."""
    return _coverage("all", [list(case.cells.values()) for group in groups for case in group.cases])


def _coverage(title: str, cases: Sequence[Sequence[Cell]]) -> Coverage:
    cells = [cell for case in cases for cell in case]
    return Coverage(
        title=title,
        problems=len(cases),
        cells=len(cells),
        statuses=Counter(cell.status for cell in cells),
        spent_ns=sum(cell.spent_ns or 0 for cell in cells),
    )
