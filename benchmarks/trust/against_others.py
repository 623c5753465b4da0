"""Claim: in the same time, this harness's interval for a ratio is right, and no other tool's is right and as narrow.

Method: im2col and torch on one 3x3 layer, one thread. Each tool first shows how long it takes at two sizes, then gets
the size that fills the same wall time, start and report included, corrected after each turn; all else is its default.
The tools take turns in rotating order, several times over. This harness's interval is the one in its report. The others
give none for a ratio: theirs is the narrower of two that their samples allow, the order-statistic intervals of both
medians combined as independent errors, and a bootstrap of the ratio of medians. An interval is right where it covers
the long run's ratio as often as it says; that ratio is the geometric mean of what each tool gives when all its samples
of all turns are pooled. Without and with busy neighbours; about an hour and a half.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from benchmarks.trust import script
from benchmarks.trust.neighbour import Manner, neighbours
from benchmarks.trust.outcome import Outcome, Row
from benchmarks.trust.rival_tools import TOOLS, Measured, Pair, Tool, size_for
from harness.stats import CONFIDENCE, Interval, geometric_mean, median, order_statistic_rank

_RESAMPLES = 4000
# A 95 % interval may miss now and then; more misses than chance brings in one of a hundred series are a fault.
_CHANCE = 0.99


@dataclass(frozen=True, kw_only=True)
class Series:
    """All turns of one tool in one surrounding."""

    tool: str
    turns: tuple[Measured, ...]

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """The ratio's interval in each turn."""
        return tuple(turn.ratio or kindest_interval(*turn.samples_ns) for turn in self.turns)

    @property
    def long_run(self) -> float:
        """The ratio when all samples are pooled."""
        first, second = ([ns for turn in self.turns for ns in turn.samples_ns[place]] for place in (0, 1))
        return median(first) / median(second)

    @property
    def half_width(self) -> float:
        """The median turn's half-width, relative; infinite where most turns have no interval."""
        widths = [interval.half_width_fraction for interval in self.intervals]
        return median(math.inf if width is None else width for width in widths)

    def covered(self, ratio: float) -> int:
        """In how many turns the interval covers a ratio."""
        return sum(
            interval.low is not None and interval.high is not None and interval.low <= ratio <= interval.high
            for interval in self.intervals
        )


def kindest_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """The narrower of two 95 % intervals for the ratio of medians of independent samples."""
    candidates = (combined_interval(first, second), bootstrap_interval(first, second))
    return min(candidates, key=lambda interval: interval.half_width_fraction or math.inf)


def combined_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """From the order-statistic intervals of both medians: their errors add as squares, on a logarithmic scale."""
    ours, theirs = _independent_interval(first), _independent_interval(second)
    ratio = ours.estimate / theirs.estimate
    if ours.low is None or ours.high is None or theirs.low is None or theirs.high is None:
        return Interval(estimate=ratio, low=None, high=None)
    below = math.hypot(math.log(ours.estimate / ours.low), math.log(theirs.high / theirs.estimate))
    above = math.hypot(math.log(ours.high / ours.estimate), math.log(theirs.estimate / theirs.low))
    return Interval(estimate=ratio, low=ratio * math.exp(-below), high=ratio * math.exp(above))


def _independent_interval(samples: Sequence[float]) -> Interval:
    """As if samples did not depend on each other, which is the narrower and what these tools take for granted."""
    rank, ordered = order_statistic_rank(len(samples)), sorted(samples)
    if rank is None:
        return Interval(estimate=median(samples), low=None, high=None)
    return Interval(estimate=median(samples), low=ordered[rank - 1], high=ordered[-rank])


def bootstrap_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Percentiles of the ratio of medians of resampled samples."""
    draw = np.random.default_rng(0)
    medians = [
        np.median(draw.choice(np.asarray(samples), (_RESAMPLES, len(samples))), axis=1) for samples in (first, second)
    ]
    low, high = np.quantile(medians[0] / medians[1], ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Interval(estimate=median(first) / median(second), low=float(low), high=float(high))


def measure(options: argparse.Namespace) -> Outcome:
    """Let the tools take turns in each surrounding."""
    pair = Pair(problem=options.problem, first=options.backends[0], second=options.backends[1])
    turns, wall_s = (2, 12.0) if options.quick else (options.turns, options.wall)
    manners = (Manner.NONE,) if options.quick else tuple(map(Manner, options.neighbours))
    sizes = {tool.name: _size_of(tool, pair, wall_s) for tool in TOOLS}
    found: dict[Manner, list[Series]] = {}
    for manner in manners:
        with neighbours(manner, limit_s=300 + 4 * turns * len(TOOLS) * wall_s):
            found[manner] = _series(pair, sizes, turns, wall_s, manner)
    truths = {manner: geometric_mean([one.long_run for one in series]) for manner, series in found.items()}
    return Outcome(
        name="against_others",
        claim=f"In the same {wall_s:g} s, this harness's 95 % interval for a ratio is right, and none from what pyperf "
        "and asv save is right and as narrow.",
        holds=all(holds(series, truths[manner]) for manner, series in found.items()),
        columns=(
            "surroundings",
            "tool",
            "wall",
            "samples",
            "its long run",
            "half-width",
            "covers its long run",
            "covers all tools'",
        ),
        rows=tuple(_row(manner, one, truths[manner]) for manner, series in found.items() for one in series),
        notes=(
            f"ratio of {pair.first} to {pair.second} on {pair.problem}, one thread, {turns} turns each",
            "sizes at last: " + ", ".join(f"{tool.name} {sizes[tool.name]} {tool.unit}" for tool in TOOLS),
            "long run of all tools: " + ", ".join(f"{truth:.4f} with {m.words}" for m, truth in truths.items()),
        ),
        numbers={
            "sizes": sizes,
            "truths": {manner.value: truth for manner, truth in truths.items()},
            "series": [
                {
                    "manner": manner.value,
                    "tool": one.tool,
                    "long_run": one.long_run,
                    "walls_s": [turn.wall_s for turn in one.turns],
                    "intervals": [(each.low, each.estimate, each.high) for each in one.intervals],
                    "samples": [list(map(len, turn.samples_ns)) for turn in one.turns],
                }
                for manner, series in found.items()
                for one in series
            ],
        },
    )


def _size_of(tool: Tool, pair: Pair, wall_s: float) -> int:
    tool.measure(pair, tool.sizes[0])  # fills the disk cache, compiles
    return size_for({size: tool.measure(pair, size).wall_s for size in tool.sizes}, wall_s)


def _series(pair: Pair, sizes: dict[str, int], turns: int, wall_s: float, manner: Manner) -> list[Series]:
    measured: dict[str, list[Measured]] = {tool.name: [] for tool in TOOLS}
    for turn in range(turns):
        first = turn % len(TOOLS)
        for tool in (*TOOLS[first:], *TOOLS[:first]):
            measured[tool.name].append(tool.measure(pair, sizes[tool.name]))
            latest = measured[tool.name][-1]
            script.progress(f"{manner.words}, turn {turn + 1} of {turns}: {tool.name} took {latest.wall_s:.1f} s")
            sizes[tool.name] = tool.adjusted(sizes[tool.name], latest.wall_s, wall_s)
    return [Series(tool=name, turns=tuple(each)) for name, each in measured.items()]


def holds(series: Sequence[Series], truth: float) -> bool:
    """Whether the first of these tools is right, and no other both right and as narrow."""
    ours, *others = series
    return is_right(ours, truth) and not any(
        is_right(other, truth) and other.half_width <= ours.half_width for other in others
    )


def is_right(series: Series, truth: float) -> bool:
    """Whether the intervals miss the truth no more often than a 95 % interval may."""
    turns = len(series.turns)
    most_missed = int(scipy_stats.binom.ppf(_CHANCE, turns, 1 - CONFIDENCE))
    return math.isfinite(series.half_width) and turns - series.covered(truth) <= most_missed


def _row(manner: Manner, series: Series, truth: float) -> Row:
    turns = len(series.turns)
    return (
        manner.words,
        series.tool,
        f"{median(turn.wall_s for turn in series.turns):.1f} s",
        f"{median(min(map(len, turn.samples_ns)) for turn in series.turns):g}",
        f"{series.long_run:.4f}",
        f"±{series.half_width:.2%}",
        f"{series.covered(series.long_run)} of {turns}",
        f"{series.covered(truth)} of {turns}",
    )


def options(parser: argparse.ArgumentParser) -> None:
    """What is measured, how long and where."""
    parser.add_argument("--problem", default="ic64ih28oc64kh3ph1", metavar="DESCRIPTOR", help="[ic64ih28oc64kh3ph1]")
    parser.add_argument("--backends", nargs=2, default=["im2col", "torch"], metavar="SPEC", help="[im2col torch]")
    parser.add_argument("--wall", type=float, default=40.0, metavar="S", help="of each tool in each turn, seconds [40]")
    parser.add_argument("--turns", type=int, default=8, metavar="N", help="of each tool in each surrounding [8]")
    script.add_neighbours_option(parser)


if __name__ == "__main__":
    sys.exit(script.main("against_others", __doc__, measure, options))
