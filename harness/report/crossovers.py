"""Where the lead changes along a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.report.cases import Case, Sweep
from harness.report.verdict import CaseVerdict, has_intervals


@dataclass(frozen=True, kw_only=True)
class Crossover:
    """Where one backend takes over from another along a sweep."""

    before: str
    after: str
    last: float
    """The last value at which `before` was still leading, alone or in a tie."""
    first: float
    """The first value at which `after` leads and `before` does not."""
    tied_at: tuple[float, ...] = ()
    """Values up to `last` at which both led."""
    is_sure: bool
    """Both neighbours of the crossing have intervals."""


def crossovers(sweep: Sweep, verdicts: Mapping[Case, CaseVerdict]) -> tuple[Crossover, ...]:
    """Where the lead changes along a sweep; a tie does not change it."""
    found: list[Crossover] = []
    champion: str | None = None
    last = 0.0
    before: CaseVerdict | None = None
    tied_at: list[tuple[float, tuple[str, ...]]] = []
    for verdict in (verdicts[case] for case in sweep.cases):
        value, winner = verdict.case.axis_value, verdict.winner
        if not verdict.is_contested or value is None or winner is None:
            continue
        if champion is None:
            # A sweep that opens with a tie has no champion until somebody leads alone.
            champion = verdict.outright
        elif champion not in verdict.leaders:
            both = tuple(place for place, leaders in tied_at if winner.backend in leaders)
            is_sure = has_intervals(verdict) and before is not None and has_intervals(before)
            found.append(
                Crossover(before=champion, after=winner.backend, last=last, first=value, tied_at=both, is_sure=is_sure)
            )
            champion, tied_at = winner.backend, []
        if verdict.outright is not None:
            tied_at = []
        elif champion is not None:
            tied_at.append((value, verdict.leaders))
        last, before = value, verdict
    return tuple(found)
