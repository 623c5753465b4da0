"""Who wins each case, by how much and how surely; and what that adds up to over a group.

A ratio is paired: samples of one interleaved round are divided, so drift of the machine cancels. Two backends tie when
the interval of their ratio reaches within the run's noise floor of 1: what a backend's second process differed from its
first (`harness.noise`), which no interval of one pair of processes knows of. Too few samples for an interval, or too
dependent ones, can still show a large difference: then every single ratio must be clear of 1, and a lone one must be at
least 2.

A report makes hundreds of comparisons, each with the luckiest of several. No further correction is made for that where
there is a floor: a false win must get past it by the interval's half width as well, which is far rarer than the 5 % of
either. Simulated with processes that differ by 0.5 to 0.75 % each (`python -m benchmarks.interval_coverage`), of 200
comparisons of equals 1 was called a win on average with 24 pairs of twins, 1 to 3 with four to twelve, and 50 to 75
without any: those are the processes' own differences, which an interval is right to exclude 1 for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.records import Cell, Status
from harness.report.cases import CHECKED_STATUSES, Case, CaseGroup, time_of
from harness.stats import Interval, geometric_mean, median, paired_ratio

# Two to five pairs all say the same by chance alone in 1 of 2 to 16 cases; asking for a margin as well keeps out the
# ordinary jitter of an untuned machine.
CLEAR_OF_FEW = 1.05
# A single sample may have met an interruption, and nothing beside it would tell.
CLEAR_OF_ONE = 2.0


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One right backend in one case."""

    backend: str
    cell: Cell
    time_ns: Interval
    ratio: Interval
    """Time over the winner's time; exactly 1 for the winner."""
    is_winner: bool
    is_tie: bool
    """Not the winner, and not told apart from it."""

    @property
    def leads(self) -> bool:
        """The winner, or tied with it."""
        return self.is_winner or self.is_tie


@dataclass(frozen=True, kw_only=True)
class CaseVerdict:
    """One case, decided."""

    case: Case
    contenders: tuple[Contender, ...]
    """Fastest first; empty where no backend was right and timed."""

    @property
    def winner(self) -> Contender | None:
        """The fastest right backend."""
        return self.contenders[0] if self.contenders else None

    @property
    def leaders(self) -> tuple[str, ...]:
        """The winner and every backend tied with it."""
        return tuple(contender.backend for contender in self.contenders if contender.leads)

    @property
    def is_contested(self) -> bool:
        """At least two backends could have won."""
        return len(self.contenders) > 1

    @property
    def outright(self) -> str | None:
        """The one backend that is faster than every other; None for a tie or without a contest."""
        return self.leaders[0] if self.is_contested and len(self.leaders) == 1 else None

    @cached_property
    def by_backend(self) -> Mapping[str, Contender]:
        """Contenders by backend."""
        return {contender.backend: contender for contender in self.contenders}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One backend over a set of cases."""

    backend: str
    outright: int
    tied: int
    timed: int
    ratio_to_best: float | None
    """Geometric mean over the common set; None for a backend that is not part of it."""


@dataclass(frozen=True, kw_only=True)
class GroupVerdict:
    """Who wins how many of some cases, and the mean distance from the best over the cases that can be compared."""

    verdicts: tuple[CaseVerdict, ...]
    standings: tuple[Standing, ...]
    """Best first."""
    common: int
    """Cases that every backend with a mean was timed on: the set of the means."""
    contested: int


@dataclass(frozen=True, kw_only=True)
class WrongBackend:
    """A backend that gave wrong results."""

    backend: str
    wrong: int
    checked: int
    first_case: str
    first_reason: str


def judge(case: Case, noise_floor: float = 0.0) -> CaseVerdict:
    """The verdict on one case.

    Args:
        case: Its cells; only those right and timed take part.
        noise_floor: The smallest relative difference this run can see; a smaller one is a tie.
    """
    times = {backend: time for backend, cell in case.timed.items() if (time := time_of(cell)) is not None}
    ranked = sorted(times, key=lambda backend: times[backend].estimate)
    contenders = []
    for backend in ranked:
        is_winner = backend == ranked[0]
        ratio = (
            Interval(estimate=1.0, low=None, high=None)
            if is_winner
            else ratio_between(case.timed[backend], case.timed[ranked[0]])
        )
        contenders.append(
            Contender(
                backend=backend,
                cell=case.timed[backend],
                time_ns=times[backend],
                ratio=ratio,
                is_winner=is_winner,
                is_tie=not is_winner and is_tie(case.timed[backend], case.timed[ranked[0]], noise_floor),
            )
        )
    return CaseVerdict(case=case, contenders=tuple(contenders))


def ratio_between(numerator: Cell, denominator: Cell) -> Interval:
    """Time of one cell over another's: paired where they share rounds, else of the medians and without an interval."""
    paired = paired_ratio(_by_round(numerator), _by_round(denominator))
    if paired is not None:
        return paired
    return Interval(estimate=median(numerator.samples_ns) / median(denominator.samples_ns), low=None, high=None)


def is_tie(slower: Cell, fastest: Cell, noise_floor: float = 0.0) -> bool:
    """Whether the samples of two cells are too alike, or too few, to name the slower of the two."""
    ratio = ratio_between(slower, fastest)
    if ratio.low is not None:
        return ratio.low <= 1 + noise_floor
    least, number = _least_ratio(slower, fastest)
    return least < max(1 + noise_floor, CLEAR_OF_ONE if number == 1 else CLEAR_OF_FEW)


def _least_ratio(slower: Cell, fastest: Cell) -> tuple[float, int]:
    """The most favourable ratio for the slower cell, and the number of samples behind it."""
    ours, theirs = _by_round(slower), _by_round(fastest)
    ratios = [ns / theirs[number] for number, ns in ours.items() if number in theirs]
    if ratios:
        return min(ratios), len(ratios)
    number = min(len(slower.samples_ns), len(fastest.samples_ns))
    return min(slower.samples_ns) / max(fastest.samples_ns), number


def judge_group(cases: Iterable[Case], noise_floor: float = 0.0) -> GroupVerdict:
    """Standings over some cases; means only over a common set of cases, so that holes flatter nobody."""
    verdicts = tuple(judge(case, noise_floor) for case in cases)
    contested = [verdict for verdict in verdicts if verdict.is_contested]
    backends = tuple(dict.fromkeys(name for verdict in verdicts for name in verdict.case.cells))
    compared, common = _common_set(contested, backends)
    standings = [_standing(backend, contested, common if backend in compared else []) for backend in backends]
    return GroupVerdict(
        verdicts=verdicts,
        standings=tuple(sorted(standings, key=_rank)),
        common=len(common),
        contested=len(contested),
    )


def wrong_backends(groups: Iterable[CaseGroup]) -> tuple[WrongBackend, ...]:
    """Every backend with a wrong result, worst first."""
    found: dict[str, list[tuple[Case, Cell]]] = {}
    checked: dict[str, int] = {}
    for case in (case for group in groups for case in group.cases):
        for backend, cell in case.cells.items():
            checked[backend] = checked.get(backend, 0) + (cell.status in CHECKED_STATUSES)
            if cell.status is Status.WRONG:
                found.setdefault(backend, []).append((case, cell))
    wrong = [
        WrongBackend(
            backend=backend,
            wrong=len(hits),
            checked=checked[backend],
            first_case=hits[0][0].title,
            first_reason=hits[0][1].reason or "no reason was recorded",
        )
        for backend, hits in found.items()
    ]
    return tuple(sorted(wrong, key=lambda item: -item.wrong))


def has_intervals(verdict: CaseVerdict) -> bool:
    """Whether the winner's lead over the next rests on enough samples for an interval."""
    return verdict.is_contested and verdict.contenders[1].ratio.low is not None


def _by_round(cell: Cell) -> dict[int, float]:
    if len(cell.rounds) != len(cell.samples_ns):
        return {}
    return dict(zip(cell.rounds, cell.samples_ns, strict=True))


def _common_set(contested: Sequence[CaseVerdict], backends: Sequence[str]) -> tuple[tuple[str, ...], list[CaseVerdict]]:
    """The backends to compare and the cases all of them were timed on.

    A backend that was timed rarely (loops skipped on large layers) would shrink the set for all, so the least timed is
    left out until at least half of the contested cases remain.
    """
    timed = {backend: sum(backend in verdict.by_backend for verdict in contested) for backend in backends}
    compared = [backend for backend in backends if timed[backend]]
    while compared:
        common = [verdict for verdict in contested if all(name in verdict.by_backend for name in compared)]
        if 2 * len(common) >= len(contested):
            return tuple(compared), common
        compared.remove(min(compared, key=lambda name: timed[name]))
    return (), []


def _standing(backend: str, contested: Sequence[CaseVerdict], common: Sequence[CaseVerdict]) -> Standing:
    ratios = [max(1.0, verdict.by_backend[backend].ratio.estimate) for verdict in common]
    return Standing(
        backend=backend,
        outright=sum(verdict.outright == backend for verdict in contested),
        tied=sum(backend in verdict.leaders and verdict.outright is None for verdict in contested),
        timed=sum(backend in verdict.by_backend for verdict in contested),
        ratio_to_best=geometric_mean(ratios) if ratios else None,
    )


def _rank(standing: Standing) -> tuple[bool, float, int]:
    mean = standing.ratio_to_best
    return (mean is None, mean or 0.0, -standing.outright - standing.tied)
