"""How far to trust a run: what its noise was, what it did about it, and where its time went, as rows of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import noise
from harness.ledger import MEASURING, own_cost
from harness.noise import Disturbance, Outlier
from harness.records import CacheState, Cell, StopReason
from harness.report.cases import is_timed
from harness.report.noise_words import outlier_number, recorded_blocks
from harness.report.wording import count_text, names_text
from harness.units import digits, percent_text

if TYPE_CHECKING:
    from harness.records import RunHeader
    from harness.report.findings import Findings

_NOT_RECORDED = "not recorded"
_STOPS = {
    StopReason.PRECISE: "precise enough",
    StopReason.DECIDED: "clearly slower than the leader",
    StopReason.STABLE_NOISE: "more samples no longer helped",
    StopReason.BUDGET: "time was up",
    StopReason.MAX_SAMPLES: "most samples taken",
}
_CACHES = {
    CacheState.HOT: "the operands are in the processor's caches as far as they fit, as in a loop over the same call",
    CacheState.COLD: "every cache is emptied before each call, so operands come from memory",
}
_ACCOUNTS = {
    "reference": "computing references",
    "prepare": "preparing, first calls",
    "check": "checking results",
    "memory": "measuring memory",
    "start": "starting fresh processes",
    "time": "timing",
    "explain": "explaining failures",
    "open": "loading backends",
    "warm": "warming up",
    "ceilings": "measuring ceilings",
    "release": "releasing memory",
}


@dataclass(frozen=True, kw_only=True)
class TrustRow:
    """One fact about the run as a measurement."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class SpentRow:
    """What some of the run's time went to."""

    name: str
    seconds: str
    share: str


def trust_rows(findings: Findings) -> tuple[TrustRow, ...]:
    """Every fact that the run recorded of its own noise; nothing where nothing was timed."""
    timed = [cell for cell in findings.cells if is_timed(cell)]
    if not timed:
        return ()
    return (
        *_twin_rows(findings),
        TrustRow(
            name="disturbed blocks",
            value=disturbed_text(timed) or _NOT_RECORDED,
            meaning="timed blocks during which something else had a core; kept, and borne by the intervals",
        ),
        TrustRow(
            name="outliers",
            value=_outlier_text(timed),
            meaning="samples 1.5 (mild) or 3 (severe) interquartile ranges outside the quartiles; none is dropped",
        ),
        TrustRow(
            name="visits",
            value=_visit_text(findings),
            meaning="a case that is open or little known is prepared anew and timed again where the budget allows",
        ),
        TrustRow(name="sampling ended as", value=_stop_text(timed), meaning="cells, by the reason why it ended"),
        TrustRow(
            name="cores",
            value=_cores_text(findings.header),
            meaning="which cores the processes that are timed may run on",
        ),
        TrustRow(name="caches", value=findings.header.cache.value, meaning=_CACHES[findings.header.cache]),
        *_own_rows(findings.header),
    )


def spent_rows(header: RunHeader) -> tuple[SpentRow, ...]:
    """Where the run's time went, most first, and what is left of the whole; nothing where it was not written."""
    total = header.spent_s.get("total")
    if not total:
        return ()
    parts = {name: seconds for name, seconds in header.spent_s.items() if name != "total"}
    ordered = sorted(parts.items(), key=lambda item: -item[1])
    # Jobs side by side can spend more than the clock shows; then nothing is left over.
    rest = total - sum(parts.values())
    rows = [(_ACCOUNTS.get(name, name), seconds) for name, seconds in ordered]
    if rest > 0:
        rows.append(("everything else", rest))
    rows.append(("in all", total))
    return tuple(
        SpentRow(name=name, seconds=f"{digits(seconds)} s", share=percent_text(seconds / total))
        for name, seconds in rows
    )


def disturbed_text(cells: Sequence[Cell]) -> str | None:
    """All blocks together: "312 of 4,410 blocks were disturbed: 280 shared ..."; None where it was not recorded."""
    blocks = sum(recorded_blocks(cell) for cell in cells)
    if not blocks:
        return None
    found = Counter(kind for cell in cells for kind in noise.disturbances(cell) if kind is not None)
    if not found:
        return f"none of {count_text(blocks, 'block')} was disturbed"
    kinds = ", ".join(f"{found[kind]:,} {kind.value}" for kind in Disturbance if found[kind])
    verb = "was" if found.total() == 1 else "were"
    return f"{found.total():,} of {count_text(blocks, 'block')} {verb} disturbed: {kinds}"


def _twin_rows(findings: Findings) -> Iterator[TrustRow]:
    meaning = "the same backend timed in two processes, round by round: what they differ by is noise"
    twins = findings.twins
    if twins is None:
        yield TrustRow(
            name="A/A pairs",
            value="none: no backend was timed in two processes, so small differences are unproven",
            meaning=meaning,
        )
        return
    few = "" if twins.is_ranked else "; too few for more than an estimate of the floor"
    yield TrustRow(name="A/A pairs", value=f"{twins.pairs}{few}", meaning=meaning)
    yield TrustRow(
        name="noise floor",
        value=f"{digits(100 * findings.noise_floor, 2)} %",
        meaning="smaller differences are called ties",
    )
    yield TrustRow(
        name="false alarms",
        value=f"{twins.false_alarms} of {count_text(twins.pairs, 'A/A pair')}",
        meaning="pairs whose 95 % interval excludes 1: without the floor they would pass for differences",
    )


def _outlier_text(timed: Sequence[Cell]) -> str:
    judged = [cell for cell in timed if outlier_number(cell) is not None]
    if not judged:
        return "not told: every cell has too few samples"
    total: Counter[Outlier] = Counter()
    for cell in judged:
        total.update(noise.outlier_counts(cell.samples_ns))
    samples = sum(len(cell.samples_ns) for cell in judged)
    mild = f"{total[Outlier.MILDLY_LOW]:,} low and {total[Outlier.MILDLY_HIGH]:,} high"
    severe = f"{total[Outlier.SEVERELY_LOW]:,} low and {total[Outlier.SEVERELY_HIGH]:,} high"
    return f"of {count_text(samples, 'sample')}, mild: {mild}; severe: {severe}"


def _visit_text(findings: Findings) -> str:
    visits = [max(len(cell.visits) for cell in case.timed.values()) for case in findings.verdicts if case.timed]
    if not any(visits):
        return _NOT_RECORDED
    again = [number for number in visits if number > 1]
    if not again:
        return f"none of {count_text(len(visits), 'case')} was visited again"
    verb = "was" if len(again) == 1 else "were"
    return f"{len(again):,} of {count_text(len(visits), 'case')} {verb} visited again, up to {max(again)} times in all"


def _stop_text(timed: Sequence[Cell]) -> str:
    found = Counter(cell.stop for cell in timed)
    parts = [f"{words} {found[stop]:,}" for stop, words in _STOPS.items() if found[stop]]
    if found[None]:
        parts.append(f"{_NOT_RECORDED} {found[None]:,}")
    return ", ".join(parts)


def _cores_text(header: RunHeader) -> str:
    if not header.cores:
        return "left to the system"
    noun = "core" if len(header.cores) == 1 else "cores"
    return f"bound to {noun} {names_text([str(core) for core in header.cores])}"


def _own_rows(header: RunHeader) -> Iterator[TrustRow]:
    share = own_cost(header.spent_s)
    if share is not None:
        # Side by side, jobs can measure for longer than the clock shows.
        share = max(0.0, share)
        yield TrustRow(
            name="own cost",
            value=f"{percent_text(share)} of {digits(header.spent_s['total'])} s",
            meaning=f"time that went to anything but what a run is for ({names_text(MEASURING)})",
        )
