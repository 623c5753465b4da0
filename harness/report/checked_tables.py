"""The tables on correctness that HTML and Markdown share, as rows of finished text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import Status
from harness.report.cases import TIMED_STATUSES
from harness.report.checked_words import (
    EXCUSED,
    STATUS_WORDS,
    Mark,
    bits_text,
    closest_text,
    count_words,
    counts_of,
    likeness_text,
    mark_of,
    of_bits_text,
    said_of_text,
)
from harness.report.correctness import KEPT_PROBES, Correctness
from harness.report.coverage import Coverage, coverage_by_group, coverage_by_source, total_coverage
from harness.report.failures import promise_of
from harness.report.wording import count_text
from harness.units import duration_text

if TYPE_CHECKING:
    from harness.report.findings import Findings
    from harness.report.gist import Gist

# Sweeps over everything have a heading for each file of their source: nobody reads so many rows at once.
_MOST_GROUPS = 24
_MOST_ROWS = 300
_MOST_REASONS = 12


@dataclass(frozen=True, kw_only=True)
class CountRow:
    """Problems of each backend by what became of them."""

    words: str
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ProbeRow:
    """One probe, its promise, and how each backend fared."""

    name: str
    promise: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, kw_only=True)
class ArithmeticRow:
    """The precision of one backend on one dtype."""

    backend: str
    dtype: str
    problems: str
    effective: str
    operand: str
    likeness: str
    is_narrow: bool


@dataclass(frozen=True, kw_only=True)
class CoverageTable:
    """How many cells were decided, by group or by source."""

    summary: str
    """All in a sentence."""
    is_settled: bool
    """Everything was decided, so that the sentence says it all."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Title and columns; the last row is the sum where there are several."""


@dataclass(frozen=True, kw_only=True)
class ReasonRow:
    """Cells that are neither right nor wrong for one reason."""

    state: str
    words: str
    count: str
    reason: str
    said_of: str


@dataclass(frozen=True, kw_only=True)
class CorrectnessTables:
    """All that a page says of correctness."""

    counts: tuple[CountRow, ...]
    probes: tuple[ProbeRow, ...]
    has_excuses: bool
    """Some mark has the sign of an error that a note explains."""
    arithmetic: tuple[ArithmeticRow, ...]
    closest: tuple[tuple[str, str], ...]
    """Per backend, the problem that came closest to its bound."""
    notes: tuple[tuple[str, str], ...]
    """What passed and is worth knowing: whom or how many problems it is about, and what it is."""
    coverage: CoverageTable
    """By group; by suite and source where there are many groups."""
    groups: CoverageTable | None
    """Every group, where `coverage` sums them up."""


def correctness_tables(findings: Findings) -> CorrectnessTables | None:
    """Every table on correctness; None where nothing was checked."""
    found = findings.correctness
    if found.is_empty:
        return None
    probes = _probe_rows(found)
    groups = [item.group for item in findings.groups]
    total = total_coverage(groups)
    by_group = coverage_by_group(groups)
    is_long = len(groups) > _MOST_GROUPS
    covered = coverage_by_source(groups) if is_long else by_group
    return CorrectnessTables(
        counts=_count_rows(found),
        probes=probes,
        has_excuses=any(EXCUSED in mark.text for row in probes for mark in row.marks),
        arithmetic=_arithmetic_rows(found) if probes else (),
        closest=tuple((each.backend, closest_text(each.closest)) for each in found.backends if each.closest),
        notes=_notes(found),
        coverage=_coverage_table([*covered, total] if len(covered) > 1 else covered, total),
        groups=_coverage_table(by_group[:_MOST_ROWS], total) if is_long else None,
    )


def reason_rows(findings: Findings) -> tuple[ReasonRow, ...]:
    """Why cells are neither right nor wrong, each reason once."""
    rows: list[ReasonRow] = []
    for status, found in findings.correctness.open_cells.items():
        rows += [_reason_row(status, gist) for gist in found[:_MOST_REASONS]]
        rest = found[_MOST_REASONS:]
        if rest:
            rows.append(
                ReasonRow(
                    state=status.value,
                    words=STATUS_WORDS[status],
                    count=f"{sum(gist.count for gist in rest):,}",
                    reason=f"for {len(rest):,} other reasons; summary.csv has them",
                    said_of="",
                )
            )
    return tuple(rows)


def _count_rows(found: Correctness) -> tuple[CountRow, ...]:
    counts = [counts_of(tally) for tally in found.backends]
    return tuple(
        CountRow(words=words, counts=tuple(column.get(words, 0) for column in counts))
        for words in count_words(found.backends)
    )


def _probe_rows(found: Correctness) -> tuple[ProbeRow, ...]:
    """Those that measure errors first."""
    return tuple(
        ProbeRow(
            name=name,
            promise=promise_of(name),
            marks=tuple(mark_of(name, tally.probes.get(name)) for tally in found.backends),
        )
        for name in sorted(found.probes, key=lambda name: name in KEPT_PROBES)
    )


def _arithmetic_rows(found: Correctness) -> tuple[ArithmeticRow, ...]:
    return tuple(
        ArithmeticRow(
            backend=tally.backend,
            dtype=each.dtype,
            problems=f"{each.problems:,}",
            effective=of_bits_text(each),
            operand=bits_text(each.operand_bits, each),
            likeness=likeness_text(each),
            is_narrow=each.likeness is not None,
        )
        for tally in found.backends
        for each in tally.arithmetic
        if each.problems
    )


def _notes(found: Correctness) -> tuple[tuple[str, str], ...]:
    rows = [(said_of_text(gist), gist.text) for gist in found.notes[:_MOST_REASONS]]
    if len(found.notes) > _MOST_REASONS:
        rows.append((count_text(len(found.notes) - _MOST_REASONS, "other note"), "in the cells of this run"))
    return (*rows, *((count_text(gist.count, "problem"), gist.text) for gist in found.left_out))


def _reason_row(status: Status, gist: Gist) -> ReasonRow:
    backends = [f"{backend} {count:,}" for backend, count in gist.said_of.items()]
    return ReasonRow(
        state=status.value,
        words=STATUS_WORDS[status],
        count=f"{gist.count:,}",
        reason=gist.text,
        said_of=", ".join(backends),
    )


def _coverage_table(covered: Sequence[Coverage], total: Coverage) -> CoverageTable:
    kinds = {"right": TIMED_STATUSES, "wrong": (Status.WRONG,)}
    kinds |= {words: (status,) for status, words in STATUS_WORDS.items()}
    kinds = {words: statuses for words, statuses in kinds.items() if words == "right" or _any(covered, statuses)}
    decided = (*TIMED_STATUSES, Status.WRONG, Status.UNSUPPORTED)
    is_clocked = total.spent_ns > 0
    took = f", in {duration_text(total.spent_ns * 1e-9)}" if is_clocked else ""
    return CoverageTable(
        summary=f"{_count(total, decided):,} of {count_text(total.cells, 'cell')} decided{took}.",
        is_settled=_count(total, decided) == total.cells,
        columns=("problems", "decided", *kinds, *(["time"] if is_clocked else [])),
        rows=tuple(
            (
                item.title,
                (
                    f"{item.problems:,}",
                    f"{_count(item, decided):,} of {item.cells:,}",
                    *(f"{_count(item, statuses):,}" for statuses in kinds.values()),
                    *([duration_text(item.spent_ns * 1e-9)] if is_clocked else []),
                ),
            )
            for item in covered
        ),
    )


def _any(covered: Iterable[Coverage], statuses: Sequence[Status]) -> bool:
    return any(_count(item, statuses) for item in covered)


def _count(item: Coverage, statuses: Sequence[Status]) -> int:
    return sum(item.statuses.get(status, 0) for status in statuses)
