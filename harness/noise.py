"""What a machine's noise did to a run: outlying samples, disturbed blocks, and the smallest difference it could show.

Nothing here drops a sample. Outliers and disturbed blocks are counted and named for a reader; the intervals of
`harness.stats` bear them.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness import stats
from harness.records import Cell

# Tukey (1977), "Exploratory Data Analysis", section 2D: inner and outer fences, in interquartile ranges.
_MILD_FENCE = 1.5
_SEVERE_FENCE = 3.0
# Quartiles of fewer samples are made of the very samples that they would judge.
LEAST_FOR_FENCES = 8
"""Samples that a cell must have for outliers to be told."""

# A block that had this share of the cores it usually has lost a sixth of its work: more than any tie could hide.
_CORES_SHARE = 0.85
# The kernel brings the CPU time of a running thread up to date at its ticks, of which there are 100 a second or more.
_TICK_S = 0.01
# A scheduler's slice is 3 to 10 ms: that many switches to another process per thread mean one that never rests.
_PREEMPTIONS_PER_S = 100.0
_LEAST_PREEMPTIONS = 4

_FLOOR_CONFIDENCE = 0.95
# A report makes dozens of comparisons, and one in twenty is too many false ones. Twenty-five pairs cannot show what one
# in a hundred exceeds, so the tail beyond 95 % is taken for that of Student's t with six degrees of freedom, heavier
# than a normal one. Measured beside a busy neighbour (`benchmarks.trust.false_alarms`, problems of 10 us): without it
# 5 of 200 comparisons of a backend with itself were called a difference, all of two processes 4 to 7 % apart.
_VERDICT_CONFIDENCE = 0.99
_TAIL_FREEDOM = 6
# Two processes of one program usually differ by 0.5 to 1 %, for where their memory and code happen to lie. Where pairs
# are few, that counts as much as three of them. Mytkowicz et al. (2009), "Producing wrong data without doing anything
# obviously wrong", ASPLOS; Kalibera & Jones (2013), "Rigorous benchmarking in reasonable time", ISMM.
_USUAL_DIFFERENCE = 0.007
_USUAL_WEIGHT = 3


class Outlier(enum.Enum):
    """How far a sample is outside the middle half of its cell's."""

    SEVERELY_LOW = "severely low"
    MILDLY_LOW = "mildly low"
    MILDLY_HIGH = "mildly high"
    SEVERELY_HIGH = "severely high"


class Disturbance(enum.Enum):
    """What kept a block from having the machine to itself; the value ends the sentence "3 of 40 blocks"."""

    STOLEN = "lost time to other guests of the host"
    CORES = "did not have their cores"
    PREEMPTED = "shared their cores with another process"


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """The smallest relative difference that a run can tell from none, by backends that were run against themselves."""

    relative: float
    """0.012 says that a backend may differ from itself by 1.2 % in this run."""
    pairs: int
    """Cells that were measured in two processes."""
    confidence: float
    """That a further pair of processes would stay under the floor, sampling apart."""
    is_ranked: bool
    """The floor is made from one of the differences seen; else pairs were too few for that."""
    false_alarms: int
    """Pairs whose ratio's interval excludes 1: what would have been called a difference without a floor."""

    @property
    def text(self) -> str:
        """As a sentence's part: "A/A pairs: 24; differences under 1.2 % cannot be seen in this run"."""
        few = "" if self.is_ranked else " (too few for more than an estimate)"
        return f"A/A pairs: {self.pairs}{few}; differences under {100 * self.relative:.2g} % cannot be seen in this run"


def outliers(samples: Sequence[float]) -> tuple[Outlier | None, ...]:
    """Each sample's class by Tukey's fences, 1.5 and 3 interquartile ranges outside the quartiles; None inside.

    Under eight samples have no quartiles worth the name, and no outliers.
    """
    if len(samples) < LEAST_FOR_FENCES:
        return (None,) * len(samples)
    low, high = _quantile(samples, 0.25), _quantile(samples, 0.75)
    return tuple(_outlier(sample, low, high) for sample in samples)


def outlier_counts(samples: Sequence[float]) -> dict[Outlier, int]:
    """How many samples are in each class, every class named."""
    found = Counter(outliers(samples))
    return {kind: found[kind] for kind in Outlier}


def disturbances(cell: Cell) -> tuple[Disturbance | None, ...]:
    """What disturbed each block of a cell, where its record says; None for nothing that was seen.

    A block did not have its cores where it used clearly fewer than the cell's blocks usually do (their upper quartile,
    so that up to three quarters of them may be disturbed) and fewer than it asked for.
    """
    usual_cores = _quantile(cell.cores, 0.75) if cell.cores else 0.0
    return tuple(_disturbance(cell, block, usual_cores) for block in range(len(cell.samples_ns)))


def disturbance_text(cell: Cell) -> str | None:
    """A sentence such as "5 of 40 blocks did not have their cores"; None for a cell that nothing disturbed."""
    found = Counter(kind for kind in disturbances(cell) if kind is not None)
    if not found:
        return None
    parts = [f"{found[kind]} {kind.value}" for kind in Disturbance if found[kind]]
    first, *others = parts
    number, _, words = first.partition(" ")
    return ", ".join([f"{number} of {len(cell.samples_ns)} blocks {words}", *others])


def noise_floor(cells: Iterable[Cell]) -> NoiseFloor | None:
    """The smallest difference that these cells can show, from those measured in two processes; None without any.

    Both processes run the same backend in the same rounds, so the ratio of their times is truly 1 and whatever it
    deviates is noise: of the sampling, and of one process against another, which no number of samples averages out and
    no interval of one pair of processes knows of. The floor is for the latter, as verdicts add it to the interval: what
    sampling explains of a deviation, the standard error that its interval stands for, is taken off in squares.

    Of m such deviations and that of a further pair, each is equally likely to be the largest, so the further one
    exceeds the k-th smallest with probability at most 1 - k / (m + 1): no distribution is assumed, only that pairs are
    exchangeable (conformal prediction: Vovk, Gammerman & Shafer (2005), "Algorithmic Learning in a Random World"). The
    floor is the k-th smallest for 95 %, which takes 19 pairs, stretched to what 99 % exceed.

    Of fewer, even the largest is exceeded too often (by the next one in half of all runs, where there is one). Then the
    deviations are taken as normal about 0, and the floor is the prediction limit t(m) * rms; with the usual difference
    of two processes counted as three more pairs, since one pair may agree by luck. Nothing is taken off for sampling,
    which so few pairs cannot be told apart from; and the floor is never under the largest deviation seen.

    The floor is added to intervals, so pairs that have none say nothing of it: a lone block met by a burst is twice as
    slow. They count only where no pair has an interval.
    """
    ratios = [ratio for cell in cells if (ratio := twin_ratio(cell)) is not None]
    found = [ratio for ratio in ratios if ratio.low is not None] or ratios
    if not found:
        return None
    m = len(found)
    # Rounded first, as 0.95 * 20 may come out just above 19.
    rank = math.ceil(round(_FLOOR_CONFIDENCE * (m + 1), 9))
    if rank <= m:
        deviation = sorted(_unexplained(ratio) for ratio in found)[rank - 1] * _tail()
    else:
        deviations = [abs(math.log(ratio.estimate)) for ratio in found]
        deviation = max(*deviations, _predicted(deviations))
    return NoiseFloor(
        relative=math.expm1(deviation),
        pairs=m,
        confidence=_VERDICT_CONFIDENCE,
        is_ranked=rank <= m,
        false_alarms=sum(not _covers_one(ratio) for ratio in found),
    )


def twin_ratio(cell: Cell) -> stats.Interval | None:
    """A cell's time over its twin's; None where they share no round."""
    if len(cell.rounds) != len(cell.samples_ns) or len(cell.twin_rounds) != len(cell.twin_ns):
        return None
    ours: Mapping[int, float] = dict(zip(cell.rounds, cell.samples_ns, strict=True))
    return stats.paired_ratio(ours, dict(zip(cell.twin_rounds, cell.twin_ns, strict=True)))


def _unexplained(ratio: stats.Interval) -> float:
    """How far a ratio's logarithm is from 0, less its standard error in squares; all of it without an interval."""
    deviation = abs(math.log(ratio.estimate))
    if ratio.low is None or ratio.high is None:
        return deviation
    error = math.log(ratio.high / ratio.low) / (2 * stats.normal_quantile(stats.CONFIDENCE))
    return math.sqrt(max(0.0, deviation**2 - error**2))


def _covers_one(ratio: stats.Interval) -> bool:
    return ratio.low is None or ratio.high is None or ratio.low <= 1 <= ratio.high


def _predicted(deviations: Sequence[float]) -> float:
    """What a further normal deviation exceeds in 1 % of all tries, by the prior and these."""
    freedom = _USUAL_WEIGHT + len(deviations)
    square = _USUAL_WEIGHT * _USUAL_DIFFERENCE**2 + sum(deviation**2 for deviation in deviations)
    return _student_quantile(_VERDICT_CONFIDENCE, freedom) * math.sqrt(square / freedom)


def _tail() -> float:
    """How many times as far as 95 % of deviations 99 % of them reach."""
    far, near = (
        _student_quantile(confidence, _TAIL_FREEDOM) for confidence in (_VERDICT_CONFIDENCE, _FLOOR_CONFIDENCE)
    )
    return far / near


def _student_quantile(confidence: float, freedom: int) -> float:
    """The two-sided quantile of Student's t for at least four degrees of freedom, to 0.5 %.

    Source: Abramowitz & Stegun (1964), 26.7.5: an expansion in 1 / freedom.
    """
    z = stats.normal_quantile(confidence)
    terms: tuple[float, ...] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))


def _outlier(sample: float, low: float, high: float) -> Outlier | None:
    reach = high - low
    if sample < low - _SEVERE_FENCE * reach:
        return Outlier.SEVERELY_LOW
    if sample < low - _MILD_FENCE * reach:
        return Outlier.MILDLY_LOW
    if sample > high + _SEVERE_FENCE * reach:
        return Outlier.SEVERELY_HIGH
    return Outlier.MILDLY_HIGH if sample > high + _MILD_FENCE * reach else None


def _disturbance(cell: Cell, block: int, usual_cores: float) -> Disturbance | None:
    """What the record of a block says; a record may be shorter than the samples, as old ones are."""
    if block < len(cell.stolen) and cell.stolen[block] > 0:
        return Disturbance.STOLEN
    seconds = cell.samples_ns[block] * (cell.calls_per_block or 1) / 1e9
    if block < len(cell.cores):
        due = min(usual_cores, cell.threads_asked)
        # What other threads have used is known to their last tick only.
        unsure_s = _TICK_S * max(0, cell.threads_asked - 1)
        if cell.cores[block] < _CORES_SHARE * due and (due - cell.cores[block]) * seconds > unsure_s:
            return Disturbance.CORES
    if block < len(cell.preemptions):
        many = max(_LEAST_PREEMPTIONS, _PREEMPTIONS_PER_S * seconds * cell.threads_asked)
        if cell.preemptions[block] >= many:
            return Disturbance.PREEMPTED
    return None


def _quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values is under, between two of them by proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
