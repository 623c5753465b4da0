"""What was not measured of cells that have a time, and why: starts, memory, fractions of peak, twins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.protocol import HOST
from harness.records import Cell
from harness.report.cases import is_timed
from harness.report.wording import count_text, names_text

if TYPE_CHECKING:
    from harness.report.findings import Findings


@dataclass(frozen=True, kw_only=True)
class Gap:
    """One kind of value that some timed cells lack."""

    what: str
    where: str
    reason: str


def gaps(findings: Findings) -> tuple[Gap, ...]:
    """Every kind of value that is missing beside a time; nothing where nothing was timed."""
    timed = [cell for cell in findings.cells if is_timed(cell)]
    if not timed:
        return ()
    return (*_start_gaps(findings, timed), *_memory_gaps(timed), *_peak_gaps(findings, timed))


def _start_gaps(findings: Findings, timed: Sequence[Cell]) -> Iterator[Gap]:
    what = "cold and warm start"
    if not any(cell.cold_start for cell in timed):
        reason = "starts were not measured: the budget did not reach, or the program that measured was an older one"
        yield Gap(what=what, where="every backend", reason=reason)
        return
    started = {cell.key.backend for cell in timed if cell.cold_start}
    others = [backend for backend in findings.backends if backend not in started]
    if others:
        reason = "not timed on the case of the starts, or the time for starts did not suffice"
        yield Gap(what=what, where=names_text(others), reason=reason)


def _memory_gaps(timed: Sequence[Cell]) -> Iterator[Gap]:
    lacking = Counter(cell.key.backend for cell in timed if cell.workspace_bytes is None)
    if not lacking:
        return
    parts = [f"{backend} {number}" for backend, number in lacking.items()]
    everywhere = lacking.total() == len(timed)
    if everywhere:
        reason = "memory was not measured: this system does not show it, or the program that measured was an older one"
    else:
        reason = "one more call would have taken too much of its case's time, or the backend computes on a device"
    where = f"{lacking.total()} of {count_text(len(timed), 'timed cell')}"
    yield Gap(what="workspace", where=where if everywhere else f"{where} ({', '.join(parts)})", reason=reason)


def _peak_gaps(findings: Findings, timed: Sequence[Cell]) -> Iterator[Gap]:
    what = "fraction of peak"
    if not findings.header.ceilings:
        reason = "the machine's ceilings were not measured: the budget did not reach, or that failed"
        yield Gap(what=what, where="every cell", reason=reason)
        return
    elsewhere = sum(cell.device not in (None, HOST.name) for cell in timed)
    if elsewhere:
        yield Gap(
            what=what,
            where=count_text(elsewhere, "timed cell"),
            reason="computed on a device, and the ceilings are the host's",
        )
    kinds = Counter(
        (cell.dtype, cell.threads_asked) for cell in timed if (cell.dtype, cell.threads_asked) not in findings.rooflines
    )
    for (dtype, threads), number in kinds.items():
        reason = f"no ceilings were measured for {dtype} on {count_text(threads, 'thread')}"
        yield Gap(what=what, where=count_text(number, "timed cell"), reason=reason)
