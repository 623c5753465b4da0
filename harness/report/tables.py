"""The tables that HTML and Markdown share, as rows of finished text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import Cell
from harness.report.cases import CHECKED_STATUSES
from harness.report.networks import is_network, network_totals
from harness.report.wording import CellWords, cell_words, padded_time, row_unit, status_words
from harness.units import MISSING, fixed

if TYPE_CHECKING:
    from harness.report.findings import Findings, GroupFindings
    from harness.report.verdict import GroupVerdict

# Beyond this many a reader wants to know the reasons, not the places.
_MOST_HOLES = 400


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """One case: its words by backend."""

    title: str
    descriptor: str
    unit: str
    cells: tuple[CellWords | None, ...]


@dataclass(frozen=True, kw_only=True)
class WinsCell:
    """One backend's standing in a group."""

    wins: str
    """"3" won outright, "3 + 2" with cases tied for the lead."""
    mean: str
    best: bool


@dataclass(frozen=True, kw_only=True)
class WinsRow:
    """Standings in one group, by backend; None for a backend without a contested time there."""

    title: str
    contested: int
    cells: tuple[WinsCell | None, ...]


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """One backend's total over a network."""

    backend: str
    time: str
    interval: str
    layers: str
    is_complete: bool


@dataclass(frozen=True, kw_only=True)
class NetworkTable:
    """The totals of one network."""

    title: str
    rows: tuple[NetworkRow, ...]


@dataclass(frozen=True, kw_only=True)
class HoleRow:
    """One cell without a time."""

    group: str
    case: str
    backend: str
    state: str
    status: str
    reason: str


def case_rows(found: GroupFindings) -> tuple[CaseRow, ...]:
    """Every case of a group."""
    return tuple(
        CaseRow(
            title=verdict.case.title,
            descriptor=verdict.case.descriptor,
            unit=row_unit(verdict)[1],
            cells=tuple(cell_words(verdict, backend) for backend in found.group.backends),
        )
        for verdict in found.verdict.verdicts
    )


def wins_rows(findings: Findings) -> tuple[WinsRow, ...]:
    """Standings by group, and over all groups where there are several; nothing without a contest."""
    rows = [
        _wins_row(found.group.title, found.verdict, findings.backends)
        for found in findings.groups
        if found.verdict.contested
    ]
    if len(rows) > 1:
        rows.append(_wins_row("all", findings.overall, findings.backends))
    return tuple(rows)


def network_tables(findings: Findings) -> tuple[NetworkTable, ...]:
    """Totals of every group whose layers have counts."""
    return tuple(
        NetworkTable(
            title=found.group.title,
            rows=tuple(
                NetworkRow(
                    backend=total.backend,
                    time=("" if total.is_complete else "≥ ") + padded_time(total.time_ns.estimate),
                    interval=MISSING
                    if total.time_ns.low is None or total.time_ns.high is None
                    else f"{padded_time(total.time_ns.low)} to {padded_time(total.time_ns.high)}",
                    layers=f"{total.layers} of {total.layers_total}",
                    is_complete=total.is_complete,
                )
                for total in network_totals(found.verdict.verdicts, found.group.backends)
            ),
        )
        for found in findings.groups
        if findings.header.is_timed and is_network(found.group)
    )


def hole_rows(findings: Findings) -> tuple[HoleRow, ...]:
    """Every cell without a time, with its reason; none where no cell was to have one, or where they are very many."""
    if not findings.header.is_timed or len(findings.holes) > _MOST_HOLES:
        return ()
    return tuple(
        HoleRow(
            group=hole.group.title,
            case=hole.case.title,
            backend=hole.cell.key.backend,
            state=hole.cell.status.value,
            status=status_words(hole.cell),
            reason=hole.reason,
        )
        for hole in findings.holes
    )


def was_checked(cells: Sequence[Cell]) -> bool:
    """Whether any result was checked at all."""
    return any(cell.status in CHECKED_STATUSES for cell in cells)


def _wins_row(title: str, verdict: GroupVerdict, backends: Sequence[str]) -> WinsRow:
    standings = {item.backend: item for item in verdict.standings}
    most = max((item.outright, item.tied) for item in verdict.standings)
    cells: list[WinsCell | None] = []
    for backend in backends:
        item = standings.get(backend)
        if item is None or not item.timed:
            cells.append(None)
            continue
        cells.append(
            WinsCell(
                wins=f"{item.outright} + {item.tied}" if item.tied else str(item.outright),
                mean=MISSING if item.ratio_to_best is None else f"{fixed(item.ratio_to_best)}×",
                best=(item.outright, item.tied) == most,
            )
        )
    return WinsRow(title=title, contested=verdict.contested, cells=tuple(cells))
