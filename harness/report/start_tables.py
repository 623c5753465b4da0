"""What fresh processes pay before their steady speed, on the one case where that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import Cell, Start
from harness.report.cases import is_timed
from harness.report.lifecycle import Lifecycle, calls_to_pay_off, lifecycle_from
from harness.report.lifecycle_tables import CheapestRow, calls_text, cheapest_row
from harness.report.verdict import is_tie
from harness.report.wording import padded_time, status_words
from harness.units import MISSING

if TYPE_CHECKING:
    from harness.report.cases import Case
    from harness.report.findings import Findings

START_HEADINGS = ("cold start", "import", "prepare", "first call", "warm start", "import", "prepare", "first call")
_COLD, _WARM = "cold, nothing compiled yet", "warm, compiled code kept on disk"


@dataclass(frozen=True, kw_only=True)
class StartRow:
    """One backend's fresh processes, the values in the order of `START_HEADINGS`."""

    backend: str
    values: tuple[str, ...]
    note: str = ""
    """Why a value is missing."""


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """From which call on a backend has cost less than each rival, counted from the start of the process."""

    backend: str
    calls: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PayOffMatrix:
    """Every backend against every other."""

    title: str
    backends: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, kw_only=True)
class StartTables:
    """All that is said of fresh processes."""

    case: str
    rows: tuple[StartRow, ...]
    matrices: tuple[PayOffMatrix, ...]
    cheapest: tuple[CheapestRow, ...]


def start_tables(findings: Findings) -> StartTables | None:
    """The first case with a start; None where none was measured."""
    case = next((case for case in findings.verdicts if any(cell.cold_start for cell in case.cells.values())), None)
    if case is None:
        return None
    kinds = {
        _COLD: _lives(case, {name: cell.cold_start for name, cell in case.timed.items()}),
        _WARM: _lives(case, {name: cell.warm_start for name, cell in case.timed.items()}),
    }
    kinds = {title: lives for title, lives in kinds.items() if len(lives) > 1}
    return StartTables(
        case=case.full_title,
        rows=tuple(_row(backend, cell) for backend, cell in case.cells.items()),
        matrices=tuple(_matrix(title, case, lives, findings.noise_floor) for title, lives in kinds.items()),
        cheapest=tuple(cheapest_row(title, lives, findings.noise_floor) for title, lives in kinds.items()),
    )


def _lives(case: Case, starts: Mapping[str, Start | None]) -> dict[str, Lifecycle]:
    found = {backend: lifecycle_from(start, case.cells[backend]) for backend, start in starts.items()}
    return {backend: life for backend, life in found.items() if life is not None}


def _row(backend: str, cell: Cell) -> StartRow:
    values = (*_parts(cell.cold_start), *_parts(cell.warm_start))
    return StartRow(backend=backend, values=values, note=_note(cell))


def _parts(start: Start | None) -> tuple[str, ...]:
    if start is None:
        return (MISSING,) * 4
    parts = (start.import_ns, start.prepare_ns, start.first_call_ns)
    return tuple(padded_time(ns) for ns in (sum(parts), *parts))


def _note(cell: Cell) -> str:
    if cell.cold_start is None:
        if not is_timed(cell):
            return f"not timed on this case: {status_words(cell)}"
        return "the time for starts did not suffice, or the fresh process failed"
    return "the second fresh process failed" if cell.warm_start is None else ""


def _matrix(title: str, case: Case, lives: Mapping[str, Lifecycle], noise_floor: float) -> PayOffMatrix:
    return PayOffMatrix(
        title=title,
        backends=tuple(lives),
        rows=tuple(
            MatrixRow(
                backend=ours, calls=tuple(_pay_off_text(case, lives, ours, rival, noise_floor) for rival in lives)
            )
            for ours in lives
        ),
    )


def _pay_off_text(case: Case, lives: Mapping[str, Lifecycle], ours: str, rival: str, noise_floor: float) -> str:
    if ours == rival:
        return MISSING
    slower, faster = sorted((ours, rival), key=lambda backend: -lives[backend].steady_ns)
    # A gain that was not seen pays nothing off, however many calls are made.
    if is_tie(case.timed[slower], case.timed[faster], noise_floor):
        return "≈ tie"
    return calls_text(calls_to_pay_off(lives[ours], lives[rival]))
