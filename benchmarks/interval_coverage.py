"""How often the harness's intervals, stops and verdicts are right on noise whose truth is known.

Run as `python -m benchmarks.interval_coverage`. Every table is seeded. It takes minutes; with `--quick` a
tenth of that.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist

from backends.problem import ConvProblem
from harness import noise, sampling, stats
from harness.records import CaseKey, Cell, Status, StopReason
from harness.report.verdict import is_tie

Series = Callable[[random.Random, int], list[float]]
"""Logarithms of relative times in units of the quiet noise, in the order measured."""

QUIET_NOISE = 0.01
SIZES = (6, 8, 10, 12, 16, 24, 40, 80, 120)


def autoregression(phi: float) -> Series:
    """Gaussian, of first order. An interval of ranks covers any increasing transform (lognormal, exponential) alike."""

    def draw(rng: random.Random, n: int) -> list[float]:
        values = [rng.gauss(0, 1)]
        while len(values) < n:
            values.append(phi * values[-1] + math.sqrt(1 - phi * phi) * rng.gauss(0, 1))
        return values

    return draw


def bursts(share: float, length: float, height: float = 20.0) -> Series:
    """Quiet samples, and disturbed ones: this share of all, so many in a row, slower by 1/4 to 2 times the height."""

    def draw(rng: random.Random, n: int) -> list[float]:
        enter = share / (1 - share) / length
        is_disturbed = rng.random() < share
        values = []
        for _ in range(n):
            values.append(rng.gauss(0, 1) + (rng.uniform(0.25, 2) * height if is_disturbed else 0.0))
            is_disturbed = rng.random() < (1 - 1 / length if is_disturbed else enter)
        return values

    return draw


def burst_median(share: float) -> float:
    """The median of `bursts`, whose disturbed samples are all above it."""
    return NormalDist().inv_cdf(0.5 / (1 - share))


NOISES: dict[str, tuple[Series, float]] = {
    "independent": (autoregression(0.0), 0.0),
    "correlated 0.3": (autoregression(0.3), 0.0),
    "correlated 0.6": (autoregression(0.6), 0.0),
    "correlated 0.8": (autoregression(0.8), 0.0),
    "bimodal, 1 in 5": (bursts(0.2, 1.25), burst_median(0.2)),
    "bursts of 3, 1 in 4": (bursts(0.25, 3), burst_median(0.25)),
    "bursts of 5, 1 in 5": (bursts(0.2, 5), burst_median(0.2)),
    "bursts of 10, 1 in 6": (bursts(1 / 6, 10), burst_median(1 / 6)),
}


def median_coverage(series: Series, true: float, n: int, tries: int, seed: int) -> tuple[float, float, float]:
    """Of samples of n: the share with an interval, the share of those that cover, and that of intervals that miss."""
    rng = random.Random(f"{seed} {n}")
    found = [stats.median_interval([math.exp(QUIET_NOISE * z) for z in series(rng, n)]) for _ in range(tries)]
    given = [interval for interval in found if interval.low is not None and interval.high is not None]
    hits = sum(interval.low <= math.exp(QUIET_NOISE * true) <= interval.high for interval in given)  # type: ignore[operator]
    return len(given) / tries, hits / len(given) if given else math.nan, (len(given) - hits) / tries


def stopped(series: Series, true: float, spread: float, tries: int, seed: int) -> tuple[float, float]:
    """Sampled until the stopping rule ends it: the share of intervals that miss, and the median number of samples."""
    rng, rule = random.Random(f"{seed} {spread}"), sampling.StopRule()
    missed, counts = 0, []
    for _ in range(tries):
        values = [1e6 * math.exp(spread * z) for z in series(rng, 200)]
        n = next(n for n in itertools.count(1) if n >= 12 and rule.reason_to_stop(values[:n], 0.0) is not None)
        interval = stats.median_interval(values[:n])
        missed += not _covers(interval, 1e6 * math.exp(spread * true))
        counts.append(n)
    return missed / tries, stats.median(counts)


def signed_rank_interval(ratios: Sequence[float]) -> stats.Interval:
    """Hodges-Lehmann on log ratios, with the same allowance for dependence: the rival that was not taken."""
    logs = [math.log(ratio) for ratio in ratios]
    n = len(logs)
    walsh = sorted((one + other) / 2 for one, other in itertools.combinations_with_replacement(logs, 2))
    spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24 * stats.variance_inflation(ratios))
    rank = math.floor(n * (n + 1) / 4 + 0.5 - stats.normal_quantile(stats.CONFIDENCE) * spread)
    estimate = math.exp(stats.median(walsh))
    if rank < 1:
        return stats.Interval(estimate=estimate, low=None, high=None)
    return stats.Interval(estimate=estimate, low=math.exp(walsh[rank - 1]), high=math.exp(walsh[-rank]))


def ratio_coverage(n: int, tries: int) -> tuple[float, float]:
    """Of ratios of a backend disturbed often to one disturbed seldom: covered by the harness, and by signed ranks."""
    often, seldom = bursts(0.4, 3), bursts(0.03, 3)
    rng = random.Random(n)

    def ratios(count: int) -> list[float]:
        pairs = zip(often(rng, count), seldom(rng, count), strict=True)
        return [math.exp(QUIET_NOISE * (one - other)) for one, other in pairs]

    true = stats.median(ratios(100_000))
    ours = rival = 0
    for _ in range(tries):
        found = ratios(n)
        interval = stats.paired_ratio(dict(enumerate(found)), dict.fromkeys(range(n), 1.0))
        ours += interval is not None and _covers(interval, true)
        rival += _covers(signed_rank_interval(found), true)
    return ours / tries, rival / tries


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine to draw cells from: a drift that all share, and for each process an offset and bursts of its own.

    Attributes:
        offset: Standard deviation of a process's lasting difference.
        burst_share: Of the time.
        drift: Of the machine, over all rounds, relative.
    """

    offset: float = 0.0075
    burst_share: float = 0.2
    drift: float = 0.05
    spread: float = 0.008

    def processes(self, rng: random.Random, slowness: Sequence[float]) -> list[dict[int, float]]:
        """Sampled in rounds by the harness's own rule until all are done: time by round of each process."""
        rule, limit = sampling.StopRule(), 120
        tracks = []
        for factor in slowness:
            level = math.log(1e6 * factor) + rng.gauss(0, self.offset)
            own = bursts(self.burst_share, 3.0)(rng, limit)
            tracks.append([level + self.spread * z for z in own])
        shared = [self.drift * number / limit + 0.01 * z for number, z in enumerate(autoregression(0.8)(rng, limit))]
        found: list[dict[int, float]] = [{} for _ in slowness]
        active, gone = set(range(len(slowness))), set[int]()
        for number in range(limit):
            for place in active:
                found[place][number] = math.exp(tracks[place][number] + shared[number])
            samples = {str(place): by_round for place, by_round in enumerate(found)}
            gone |= {int(name) for name in sampling.eliminated(samples)}
            contenders = {name: by_round for name, by_round in samples.items() if int(name) not in gone}
            reasons = {place: rule.reason_to_stop(list(found[place].values()), 0.0) for place in active}
            active -= gone | {
                place
                for place, reason in reasons.items()
                if reason is not None
                and (reason is not StopReason.PRECISE or sampling.pairs_suffice(str(place), contenders))
            }
            if not active:
                break
        return found


def cell_of(by_round: dict[int, float], twin: dict[int, float] | None = None) -> Cell:
    """A cell with these samples."""
    problem = ConvProblem(C_in=8, C_out=8, spatial=(16, 16), kernel=3)
    twin = twin or {}
    return Cell(
        key=CaseKey(problem=str(problem), backend="simulated"),
        status=Status.OK,
        reason=None,
        label="",
        count=1,
        suite="",
        group="",
        axis=None,
        axis_value=None,
        dtype="float32",
        threads_asked=1,
        samples_ns=tuple(by_round.values()),
        rounds=tuple(by_round),
        twin_ns=tuple(twin.values()),
        twin_rounds=tuple(twin),
    )


def floor_of(machine: Machine, pairs: int, rng: random.Random) -> float:
    """The noise floor of a run with so many pairs of a backend with itself; 0 without any."""
    cells = [cell_of(*machine.processes(rng, (1.0, 1.0))) for _ in range(pairs)]
    floor = noise.noise_floor(cells)
    return 0.0 if floor is None else floor.relative


def differences_called(
    machine: Machine, slowness: Sequence[float], floor: float, tries: int, rng: random.Random
) -> int:
    """Of cases with these backends: in how many the winner is told apart from any other."""
    called = 0
    for _ in range(tries):
        cells = [cell_of(by_round) for by_round in machine.processes(rng, slowness)]
        best = min(cells, key=lambda one: stats.median(one.samples_ns))
        called += any(not is_tie(one, best, floor) for one in cells if one is not best)
    return called


def false_eliminations(series: Series, backends: int, tries: int, seed: int) -> int:
    """Of cases of equal backends: in how many any is eliminated."""
    rng = random.Random(f"{seed} {backends}")
    count = 0
    for _ in range(tries):
        tracks = [[math.exp(QUIET_NOISE * z) for z in series(rng, 90)] for _ in range(backends)]
        looks = (
            {str(b): dict(enumerate(track[:n])) for b, track in enumerate(tracks)} for n in (12, 18, 27, 40, 60, 90)
        )
        count += any(sampling.eliminated(samples) for samples in looks)
    return count


def _covers(interval: stats.Interval, true: float) -> bool:
    return interval.low is None or interval.high is None or interval.low <= true <= interval.high


def _tables(scale: int) -> Iterator[str]:
    for table in (_median_table, _stop_table, _ratio_table, _elimination_table, _verdict_table):
        yield from table(scale)
        yield ""


def _median_table(scale: int) -> Iterator[str]:
    tries = 200 * scale
    yield f"95 % interval of a median: share of {tries} tries with one / of those covering / of all tries missing"
    yield f"{'':22}" + "".join(f"{f'n={n}':>17}" for n in SIZES)
    for name, (series, true) in NOISES.items():
        row = (median_coverage(series, true, n, tries, seed=1) for n in SIZES)
        yield f"{name:22}" + "".join(f"  {given:.2f}/{hit:.2f}/{miss:.3f}" for given, hit, miss in row)


def _stop_table(scale: int) -> Iterator[str]:
    tries = 40 * scale
    yield f"after the stopping rule (±1 %), noise of 0.8 % and 1.5 %: share of {tries} tries that miss, samples"
    for name, (series, true) in NOISES.items():
        row = [stopped(series, true, spread, tries, seed=2) for spread in (0.008, 0.015)]
        yield f"{name:22}" + "".join(f"  {missed:.3f} n={count:3.0f}" for missed, count in row)


def _ratio_table(scale: int) -> Iterator[str]:
    tries = 40 * scale
    yield f"ratio of a backend disturbed often to one disturbed seldom, {tries} tries: median covers / signed ranks do"
    for n in (12, 20, 40, 80):
        yield "n={:3}                   {:.3f} / {:.3f}".format(n, *ratio_coverage(n, tries))


def _elimination_table(scale: int) -> Iterator[str]:
    pairs, sixes = 80 * scale, 20 * scale
    yield f"equal backends of which any was eliminated: of {pairs} cases with two, of {sixes} with six"
    for name, (series, _) in NOISES.items():
        found = false_eliminations(series, 2, pairs, seed=3), false_eliminations(series, 6, sixes, seed=3)
        yield "{:22}  {:3} {:3}".format(name, *found)


def _verdict_table(scale: int) -> Iterator[str]:
    cases, sixes, slow = 40 * scale, 10 * scale, 20 * scale
    yield f"verdicts: false wins of {cases} cases of two equals, of {sixes} of six; 5 % slowdowns found of {slow}"
    machines = {
        "quiet, offsets 0.5 %": Machine(burst_share=0.05, offset=0.005),
        "quiet, offsets 0.75 %": Machine(burst_share=0.05),
        "busy, offsets 0.75 %": Machine(),
    }
    for (name, machine), pairs in itertools.product(machines.items(), (0, 1, 4, 12, 24, 50)):
        rng = random.Random(f"{name} {pairs}")
        floor = floor_of(machine, pairs, rng)
        found = (
            differences_called(machine, slowness, floor, tries, rng)
            for slowness, tries in (((1.0, 1.0), cases), ((1.0,) * 6, sixes), ((1.0, 1.05), slow))
        )
        yield f"{name:22} {pairs:2} A/A pairs: floor {100 * floor:4.1f} %" + "".join(f"{count:6}" for count in found)


if __name__ == "__main__":
    for line in _tables(1 if "--quick" in sys.argv else 10):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
