"""The page's table of every cell, or of those that matter most where there are too many for a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import Cell, Status
from harness.report.accuracy import Accuracy, accuracy_of
from harness.report.checked_words import share_text
from harness.report.noise_words import disturbed_blocks, noise_note
from harness.report.wording import cell_words, padded_time, repeat_line, row_unit, status_words
from harness.thread_note import thread_note
from harness.units import MISSING, bytes_text, digits, gflop_per_s, percent_text

if TYPE_CHECKING:
    from harness.report.findings import Findings
    from harness.report.verdict import CaseVerdict

# A row takes half a kilobyte; browsers stay quick and the page small up to here.
MOST_ROWS = 2_000
_ROWS_OF_MANY = 200

Column = tuple[str, float | None]
"""A text, and the number to sort it by."""


@dataclass(frozen=True, kw_only=True)
class NumberRow:
    """One cell."""

    case: str
    backend: str
    state: str
    status: str
    reason: str
    columns: tuple[Column, ...]
    command: str


@dataclass(frozen=True, kw_only=True)
class NumberTable:
    """Cells with their numbers."""

    headings: tuple[str, ...]
    """Of the numeric columns."""
    rows: tuple[NumberRow, ...]
    left_out: int
    """Cells that have no row."""


_TIMED = ("median", "95 % interval", "samples", "to the best", "GFLOP/s")
_OF_PEAK = "of peak"
_PAID = ("prepare", "first call", "workspace", "threads", "noise")
_CHECKED = ("error ÷ bound", "bits")


def number_table(findings: Findings) -> NumberTable:
    """All cells as they come; of too many only the wrong ones and those that came closest to their bounds."""
    cells = [(verdict, cell) for verdict in findings.verdicts.values() for cell in verdict.case.cells.values()]
    total = len(cells)
    if total > MOST_ROWS:
        cells = sorted(cells, key=lambda item: _importance(item[1]), reverse=True)[:_ROWS_OF_MANY]
    is_timed = findings.header.is_timed
    of_peak = (_OF_PEAK,) if findings.rooflines else ()
    return NumberTable(
        headings=(*_TIMED, *of_peak, *_PAID, *_CHECKED) if is_timed else (*_CHECKED, "operand bits", "took"),
        rows=tuple(_row(findings, verdict, cell) for verdict, cell in cells),
        left_out=total - len(cells),
    )


def _importance(cell: Cell) -> tuple[bool, float]:
    return cell.status is Status.WRONG, accuracy_of(cell).error_over_bound or 0.0


def _row(findings: Findings, verdict: CaseVerdict, cell: Cell) -> NumberRow:
    accuracy = accuracy_of(cell)
    case = verdict.case
    return NumberRow(
        case=case.full_title,
        backend=cell.key.backend,
        state=cell.status.value,
        status=status_words(cell) if findings.header.is_timed or cell.reason else "right",
        reason=cell.reason or "",
        columns=(*_timed_columns(findings, verdict, cell), *_checked_columns(accuracy))
        if findings.header.is_timed
        else (*_checked_columns(accuracy), _bits(accuracy.operand_bits), (padded_time(cell.spent_ns), cell.spent_ns)),
        command=repeat_line(findings.header, cell),
    )


def _timed_columns(findings: Findings, verdict: CaseVerdict, cell: Cell) -> tuple[Column, ...]:
    contender = verdict.by_backend.get(cell.key.backend)
    words = cell_words(verdict, cell.key.backend)
    workspace = (bytes_text(cell.workspace_bytes), cell.workspace_bytes)
    has_peak = bool(findings.rooflines)
    if contender is None or words is None:
        return (*[(MISSING, None)] * (len(_TIMED) + has_peak + len(_PAID) - 3), workspace, *[(MISSING, None)] * 2)
    time = contender.time_ns
    rate = gflop_per_s(verdict.case.problem.flops, time.estimate)
    fraction = findings.peak_fraction(verdict.case, cell)
    return (
        (f"{words.time} {row_unit(verdict)[1]}", time.estimate),
        (words.interval or words.spread, None),
        (str(len(cell.samples_ns)), len(cell.samples_ns)),
        (words.ratio, contender.ratio.estimate),
        (digits(rate), rate),
        *([(percent_text(fraction), fraction)] if has_peak else []),
        (padded_time(cell.prepare_ns), cell.prepare_ns),
        (padded_time(cell.first_call_ns), cell.first_call_ns),
        workspace,
        (thread_note(cell) or _used(cell), cell.threads_seen),
        (noise_note(cell), disturbed_blocks(cell)),
    )


def _used(cell: Cell) -> str:
    return MISSING if cell.threads_seen is None else f"{cell.threads_seen:.1f}"


def _checked_columns(accuracy: Accuracy) -> tuple[Column, ...]:
    share = accuracy.error_over_bound
    return (MISSING, None) if share is None else (share_text(share), share), _bits(accuracy.effective_bits)


def _bits(bits: float | None) -> Column:
    return (MISSING, None) if bits is None else (f"{bits:.1f}", bits)
