"""The tables on what comes before steady speed: one-time costs, pay-off, and which backend is cheapest for N calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.lifecycle import CALL_COUNTS, Lifecycle, calls_to_pay_off, cheapest, lifecycle_of
from harness.report.verdict import CLEAR_OF_FEW
from harness.report.wording import leaders_text, padded_time
from harness.stats import median
from harness.units import MISSING, fixed

if TYPE_CHECKING:
    from harness.records import Cell
    from harness.report.findings import Findings, GroupFindings
    from harness.report.verdict import CaseVerdict

CALL_HEADINGS = tuple(f"{calls:,}" for calls in CALL_COUNTS)


@dataclass(frozen=True, kw_only=True)
class LifecycleRow:
    """What one backend costs before its steady speed."""

    backend: str
    importing: str
    prepare: str
    prepare_most: str
    first: str
    first_ratio: str


@dataclass(frozen=True, kw_only=True)
class PayOffRow:
    """After how many calls the fastest has cost less than each rival, prepare and first call included."""

    title: str
    winner: str
    calls: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CheapestRow:
    """Which backends are cheapest for each of `CALL_COUNTS`; several where their totals are too alike."""

    title: str
    leaders: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class CheapestCounts:
    """In how many cases a backend is cheapest, alone or not, for each of `CALL_COUNTS`."""

    backend: str
    cases: tuple[int, ...]


def lifecycle_rows(findings: Findings) -> tuple[LifecycleRow, ...]:
    """One-time costs by backend, over the cells where all were measured."""
    rows = []
    for backend in findings.backends:
        lives = [life for cell in findings.cells if cell.key.backend == backend and (life := lifecycle_of(cell))]
        if lives:
            rows.append(
                LifecycleRow(
                    backend=backend,
                    importing=padded_time(_import_ns(findings.cells, backend)),
                    prepare=padded_time(median([life.prepare_ns for life in lives])),
                    prepare_most=padded_time(max(life.prepare_ns for life in lives)),
                    first=padded_time(median([life.first_call_ns for life in lives])),
                    first_ratio=f"{fixed(median([life.first_call_ns / life.steady_ns for life in lives]))}×",
                )
            )
    return tuple(rows)


def pay_off_rows(found: GroupFindings) -> tuple[PayOffRow, ...]:
    """Break-even of each contested case's fastest backend against every other, where costs were measured."""
    contested = [verdict for verdict in found.verdict.verdicts if verdict.is_contested]
    rows = [
        PayOffRow(
            title=verdict.case.title,
            winner=leaders_text(verdict),
            calls=tuple(pay_off_text(verdict, backend) for backend in found.group.backends),
        )
        for verdict in contested
    ]
    return tuple(row for row in rows if any(calls != MISSING for calls in row.calls))


def pay_off_text(verdict: CaseVerdict, rival: str) -> str:
    """The number of calls from which the case's winner has paid off against a rival."""
    winner, other = verdict.winner, verdict.by_backend.get(rival)
    if winner is None or other is None or other.is_winner:
        return MISSING
    if other.is_tie:
        return "≈ tie"
    ours, theirs = lifecycle_of(winner.cell), lifecycle_of(other.cell)
    if ours is None or theirs is None:
        return MISSING
    return calls_text(calls_to_pay_off(ours, theirs))


def cheapest_rows(found: GroupFindings, noise_floor: float) -> tuple[CheapestRow, ...]:
    """The cheapest backends of each case for so many calls, where the costs of two at least are known."""
    rows = []
    for verdict in found.verdict.verdicts:
        lives = {item.backend: life for item in verdict.contenders if (life := lifecycle_of(item.cell))}
        if len(lives) > 1:
            rows.append(cheapest_row(verdict.case.title, lives, noise_floor))
    return tuple(rows)


def cheapest_row(title: str, lives: Mapping[str, Lifecycle], noise_floor: float) -> CheapestRow:
    """The cheapest backends for so many calls.

    Costs that are paid once are measured once, so totals are told apart by no less than a few samples are.
    """
    margin = max(noise_floor, CLEAR_OF_FEW - 1)
    return CheapestRow(title=title, leaders=tuple(cheapest(lives, calls, margin) for calls in CALL_COUNTS))


def cheapest_counts(rows: Iterable[CheapestRow], backends: Sequence[str]) -> tuple[CheapestCounts, ...]:
    """How often each backend is among the cheapest; only those that ever are."""
    rows = tuple(rows)
    places = range(len(CALL_COUNTS))
    counts = [
        CheapestCounts(backend=name, cases=tuple(sum(name in row.leaders[place] for row in rows) for place in places))
        for name in backends
    ]
    return tuple(item for item in counts if any(item.cases))


def calls_text(calls: int | None) -> str:
    """A break-even as people read it: "1,204", or "never"."""
    return "never" if calls is None else f"{calls:,}"


def _import_ns(cells: Iterable[Cell], backend: str) -> float | None:
    """How long loading took; a backend is loaded once a process, and each cell tells of its own."""
    known = [cell.import_ns for cell in cells if cell.key.backend == backend and cell.import_ns is not None]
    return median(known) if known else None
