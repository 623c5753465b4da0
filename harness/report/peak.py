"""What the machine could do at most, in tables and sentences: its ceilings, their drift, and who comes near them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import Ceilings
from harness.report.lines import Line, LineKind
from harness.report.wording import count_text, names_text
from harness.roofline import Drift, arithmetic_drift, memory_drift
from harness.stats import median
from harness.units import MISSING, bytes_text, digits, percent_text

if TYPE_CHECKING:
    from harness.report.findings import Findings

# Repeated 26 times on two cores that other programs wanted too, the peak stayed within 2 %, most bandwidths of memory
# within 30 %, since every program shares that one.
_DRIFT, _MEMORY_DRIFT = 0.05, 0.3
# Direct methods do every operation: this far above the roofline it is the roofline that is wrong.
_TOO_HIGH = 1.05
_DIRECT = ("direct", "gemm")


@dataclass(frozen=True, kw_only=True)
class CeilingRow:
    """One ceiling, whenever it was measured."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CeilingTable:
    """The ceilings for one dtype and number of threads."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[CeilingRow, ...]


def ceiling_tables(ceilings: Sequence[Ceilings]) -> tuple[CeilingTable, ...]:
    """A table for each dtype and number of threads, a column for each time they were measured."""
    of_kind: dict[tuple[str, int], list[Ceilings]] = {}
    for item in ceilings:
        of_kind.setdefault((item.dtype, item.threads), []).append(item)
    return tuple(_table(items) for items in of_kind.values())


def peak_lines(findings: Findings) -> Iterator[Line]:
    """How near the fastest come to the roofline, and whether the machine itself changed."""
    texts = [*_reached_texts(findings), *_exceeded_texts(findings)]
    for kind in findings.rooflines:
        texts += _drift_texts(findings.header.ceilings, kind)
    for text in texts:
        yield Line(kind=LineKind.PEAK, text=text)


def _table(items: Sequence[Ceilings]) -> CeilingTable:
    sizes = sorted({level.working_set_bytes for item in items for level in item.bandwidths})
    speeds = [{level.working_set_bytes: level.bytes_per_s for level in item.bandwidths} for item in items]
    measured: list[tuple[str, list[float | None], str]] = [
        ("multiply-adds in registers", [item.fma_flop_per_s for item in items], "GFLOP/s"),
        ("best matrix product (NumPy)", [item.gemm_flop_per_s for item in items], "GFLOP/s"),
        *((f"streaming {bytes_text(size)}", [speed.get(size) for speed in speeds], "GB/s") for size in sizes),
    ]
    drifts = len(items) > 1
    return CeilingTable(
        title=kind_text(items[0].dtype, items[0].threads),
        headings=(*_times_measured(items), *(["change"] if drifts else [])),
        rows=tuple(
            CeilingRow(
                name=name,
                values=(
                    *(MISSING if value is None else f"{digits(value / 1e9)} {unit}" for value in values),
                    *([_change_text(values)] if drifts else []),
                ),
            )
            for name, values, unit in measured
            if any(value is not None for value in values)
        ),
    )


def kind_text(dtype: str, threads: int) -> str:
    """What ceilings hold for: "float32, 2 threads"."""
    return f"{dtype}, {count_text(threads, 'thread')}"


def _times_measured(items: Sequence[Ceilings]) -> list[str]:
    """Start and end; of a run that was resumed with the number of the session."""
    sessions, names = 0, []
    for place, item in enumerate(items):
        # A session that was cut short has no end.
        if place == 0 or item.when == "start" or items[place - 1].when == item.when:
            sessions += 1
        names.append((item.when, sessions))
    return [when if sessions == 1 else f"{when} of session {number}" for when, number in names]


def _change_text(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{100 * (known[-1] / known[0] - 1):+.1f} %" if len(known) > 1 else MISSING


def _reached_texts(findings: Findings) -> Iterator[str]:
    reached = []
    for verdict in findings.verdicts.values():
        winner = verdict.winner
        fraction = None if winner is None else findings.peak_fraction(verdict.case, winner.cell)
        if winner is not None and fraction is not None:
            reached.append((fraction, winner.backend, verdict.case.title))
    if not reached:
        return
    middle = percent_text(median(fraction for fraction, _, _ in reached))
    text = f"The fastest backend reaches {middle} of this machine's roofline in the median case"
    above = [name for fraction, name, _ in reached if fraction > 1]
    if above:
        names = names_text(sorted(set(above)))
        text += f" and exceeds it in {len(above)} of {len(reached)}, as only methods that save operations can ({names})"
    elif len(reached) > 1:
        share, backend, title = max(reached)
        text += f", and {percent_text(share)} in the best ({backend} on {title})"
    yield f"{text}."


def _exceeded_texts(findings: Findings) -> Iterator[str]:
    """Rates that no direct method can have, which make the ceilings doubtful."""
    cells = [(case, cell) for case in findings.verdicts for cell in case.timed.values() if cell.algorithm in _DIRECT]
    found = [cell for case, cell in cells if (findings.peak_fraction(case, cell) or 0.0) > _TOO_HIGH]
    if found:
        names = names_text(sorted({cell.key.backend for cell in found}))
        yield (
            f"{count_text(len(found), 'time')} of direct methods ({names}) lie above the roofline, which cannot be:"
            " the ceilings were disturbed when they were measured, so take fractions of peak as too high."
        )


def _drift_texts(ceilings: Sequence[Ceilings], kind: tuple[str, int]) -> Iterator[str]:
    arithmetic, memory = arithmetic_drift(ceilings, *kind), memory_drift(ceilings, *kind)
    if arithmetic is not None and abs(arithmetic.change) >= _DRIFT:
        yield f"The machine's peak {_moved_text(arithmetic, 'GFLOP/s')}; ratios do."
    elif arithmetic is not None:
        held = max(0.1, 100 * abs(arithmetic.change))
        yield f"The machine's peak was the same at every time within {digits(held, 2)} % ({kind_text(*kind)})."
    if memory is not None and abs(memory.change) >= _MEMORY_DRIFT:
        yield f"The bandwidth of memory {_moved_text(memory, 'GB/s')} where operands come from memory; ratios do."


def _moved_text(drift: Drift, unit: str) -> str:
    verb = "fell" if drift.change < 0 else "rose"
    ends = f"{digits(drift.earlier / 1e9)} to {digits(drift.later / 1e9)} {unit}"
    return (
        f"{verb} by {digits(100 * abs(drift.change), 2)} % during the run"
        f" ({kind_text(drift.dtype, drift.threads)}: {ends}): absolute figures do not compare across the run"
    )
