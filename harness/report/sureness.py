"""The verdict's sentence on how sure it is: intervals, ties, the noise floor, disturbances, threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.records import Cell, Status
from harness.report.cases import is_timed, time_of
from harness.report.lines import Line, LineKind
from harness.report.trust import disturbed_text
from harness.report.wording import count_text, names_text
from harness.stats import median
from harness.thread_note import is_greedy, pool_notes
from harness.units import digits

if TYPE_CHECKING:
    from harness.report.findings import Findings

# A backend that typically keeps under this share of its threads busy computes with fewer than it was given.
_IDLE_SHARE = 0.6


def sureness_lines(findings: Findings) -> Iterator[Line]:
    """How narrow intervals are, what this run cannot see, what disturbed it, and who kept to the threads given."""
    timed = [cell for cell in findings.cells if is_timed(cell)]
    if not timed:
        return
    widths = [
        width
        for cell in timed
        if (time := time_of(cell)) is not None and (width := time.half_width_fraction) is not None
    ]
    parts = []
    if widths:
        parts.append(f"the typical 95 % interval of a median is ±{digits(100 * median(widths), 2)} %")
    bare = len(timed) - len(widths)
    if bare:
        parts.append(f"{bare} of {count_text(len(timed), 'time')} have too few independent samples for an interval")
    noisy = sum(cell.status is Status.NOISY for cell in timed)
    if noisy:
        parts.append(f"{count_text(noisy, 'cell')} {'is' if noisy == 1 else 'are'} noisy")
    ties = sum(v.is_contested and v.outright is None for v in findings.verdicts.values())
    if ties:
        parts.append(f"{count_text(ties, 'case')} {'is a tie' if ties == 1 else 'are ties'}")
    if findings.twins is not None and findings.noise_floor == findings.twins.relative:
        parts.append(findings.twins.text)
    elif findings.noise_floor:
        parts.append(f"differences under {digits(100 * findings.noise_floor, 2)} % cannot be seen in this run")
    if findings.header.warnings:
        parts.append(f"{count_text(len(findings.header.warnings), 'warning')} about this machine came before the run")
    disturbed = disturbed_text(timed)
    if disturbed is not None:
        parts.append(disturbed)
    parts += _thread_parts(timed)
    yield Line(kind=LineKind.SURE, text=_sentence("; ".join(parts)))


def _thread_parts(timed: Sequence[Cell]) -> Iterator[str]:
    """What kept to other than the threads asked for: cells that took more, and backends that mostly left some idle."""
    greedy = [cell for cell in timed if is_greedy(cell)]
    if greedy:
        names = sorted({cell.key.backend for cell in greedy})
        yield f"{count_text(len(greedy), 'cell')} used more threads than asked for ({names_text(names)})"
    misled = [note for cell in timed for note in pool_notes(cell)]
    if misled:
        notes = dict.fromkeys(misled)
        more = f" and {len(notes) - 1} more" if len(notes) > 1 else ""
        places = count_text(len(misled), "place")
        yield f"a library was set to other than was asked for in {places}: {next(iter(notes))}{more}"
    idle = []
    for backend in dict.fromkeys(cell.key.backend for cell in timed):
        shares = [
            cell.threads_seen / cell.threads_asked
            for cell in timed
            if cell.key.backend == backend and cell.threads_seen is not None
        ]
        if shares and median(shares) < _IDLE_SHARE:
            idle.append(f"{backend} {digits(median(shares) * timed[0].threads_asked, 2)}")
    if idle:
        yield f"of {count_text(timed[0].threads_asked, 'thread')}, these kept busy only: {', '.join(idle)}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
