"""How long a timed block is, and when a cell has samples enough. Plain functions of numbers; the clock is elsewhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness import stats
from harness.records import StopReason

# Reading the clock may cost this fraction of a block.
_TIMER_SHARE = 1e-4
# What a block costs besides its timed calls may be this fraction of it: handing the machine over, and priming.
_OVERHEAD_SHARE = 0.1
# Long enough that an interrupt of tens of microseconds is one outlier, short enough for many interleaved rounds.
_LEAST_BLOCK_NS = 4_000_000
# What costs more than this besides is a disturbance, which longer blocks would not mend.
_MOST_OVERHEAD_NS = 2_000_000
# Longer calls refill the caches themselves, and an untimed one would cost more than it mends.
_LONGEST_PRIMED_NS = 2_000_000
MOST_SAMPLES = 120
"""Of one visit: beyond these an interval narrows too slowly, with the root of their number, to be worth the time."""
# Doubling the samples of independent noise narrows the interval to 0.71 of its width on average; where it has not
# narrowed at all, drift or bursts rule, and more of them will not help.
_NARROWING = 1.0
# A stop is drawn to the moments at which samples happen to agree. Simulated (`benchmarks.interval_coverage`) with noise
# of 0.8 and 1.5 %, intervals stopped at +-1 % missed the median in 1 to 2 % of tries for independent samples, 2 to 4 %
# at an autocorrelation of 0.3, 5 to 8 % at 0.6 and 3 to 6 % in bursts of five. Stops that ask for more were tried: 99 %
# in place of 95 %, two standard errors of the dependence in place of one, looks at every fifth more samples only. None
# changed that by more than 2 %, at 1.2 to 1.7 times the samples: what goes wrong is a dependence that looks weaker than
# it is, over all of the few samples. At least twelve in place of seven did help: at 0.8 it was 15 % and is 8 to 13.
_LEAST_SAMPLES = 12

# An elimination ends the sampling of a backend, so it must hardly ever hit the fastest by chance: the probability of
# that per case, over all looks and rivals.
_FALSE_ELIMINATION = 0.002
# A rival is looked at when its pairs with the leader reach these numbers: growing by half each, so that looks are few.
_LOOKS = (_LEAST_SAMPLES, 18, 27, 40, 60, 90)
# How much slower a backend must surely be: what is closer is worth sampling, and may be two processes' difference.
_CLEARLY_SLOWER = 1.05
# Twelve pairs are too few for a confidence that high; this many times slower in every one of them is no chance either.
_PLAINLY_SLOWER = 1.5
# A ratio is between two medians, each known to half of this or so.
_RATIO_HALF_WIDTH = 0.015
# A loser's time is shown with two or three digits.
_TABLE_HALF_WIDTH = 0.03


@dataclass(frozen=True, kw_only=True)
class StopRule:
    """When to stop sampling a cell.

    Attributes:
        half_width: Relative half-width of the median's interval that is narrow enough.
        least_samples: Fewest samples before precision may stop a cell: under twelve, dependent ones look independent.
        share_ns: Time that the cell's blocks may take in all.
        most_samples: `MOST_SAMPLES`, and those of earlier visits.
    """

    half_width: float = 0.01
    least_samples: int = _LEAST_SAMPLES
    share_ns: float = math.inf
    most_samples: int = MOST_SAMPLES

    def reason_to_stop(
        self, samples_ns: Sequence[float], spent_ns: float, pairs_suffice: Callable[[], bool] = lambda: True
    ) -> StopReason | None:
        """Why to stop after these samples, or None to go on.

        Args:
            samples_ns: Per call, in the order measured.
            spent_ns: Wall time of the blocks so far.
            pairs_suffice: Whether comparisons need no more of them; asked once the median is precise.
        """
        n = len(samples_ns)
        if n == 0:
            return None
        width = stats.median_interval(samples_ns).half_width_fraction
        if n >= self.least_samples and width is not None and width <= self.half_width and pairs_suffice():
            return StopReason.PRECISE
        if n >= self.most_samples:
            return StopReason.MAX_SAMPLES
        if spent_ns + spent_ns / n > self.share_ns:
            return StopReason.BUDGET
        if n >= 3 * self.least_samples and n % self.least_samples == 0 and self._is_noise_stable(samples_ns, width):
            return StopReason.STABLE_NOISE
        return None

    def _is_noise_stable(self, samples_ns: Sequence[float], width: float | None) -> bool:
        if width is None:
            # Samples so dependent that half of the most there may be give no interval are a drift.
            return len(samples_ns) >= MOST_SAMPLES // 2
        half = samples_ns[: len(samples_ns) // 2]
        earlier = stats.median_interval(half).half_width_fraction
        return earlier is not None and width > _NARROWING * earlier


def eliminated(samples: Mapping[str, Mapping[int, float]]) -> set[str]:
    """The backends of one case that are clearly slower than the leader and known as well as a table shows them.

    Successive elimination (Even-Dar, Mannor & Mansour (2006), "Action elimination and stopping conditions", JMLR 7) on
    paired ratios. A backend goes when the interval of its ratio to the leader is wholly above 1.05. The interval's
    confidence is shared out (Bonferroni) over rivals and looks, so that the chance of ever dropping the fastest is at
    most 1 in 500 a case where the samples are as `harness.stats` takes them; the margin makes it less.

    Meant to be called after every round: rivals are only looked at when their pairs reach certain numbers.

    Args:
        samples: Time per call by round, by backend: of all that are right, whether done or not.

    Returns:
        Names that need no more samples. The leader, the least median, is never one.
    """
    timed = {name: by_round for name, by_round in samples.items() if by_round}
    # Most rounds are no look: they cost no median.
    due = [name for name, by_round in timed.items() if len(by_round) in _LOOKS]
    if len(timed) < 2 or not due:
        return set()
    leader = min(timed, key=lambda name: stats.median(timed[name].values()))
    confidence = 1 - _FALSE_ELIMINATION / (len(_LOOKS) * (len(timed) - 1))
    return {
        name
        for name in due
        if name != leader
        and _is_clearly_slower(timed[name], timed[leader], confidence)
        and _is_known_for_a_table(timed[name])
    }


def pairs_suffice(backend: str, samples: Mapping[str, Mapping[int, float]]) -> bool:
    """Whether a backend that is known precisely may stop for the sake of its comparisons, too.

    Only rounds that two backends share make a ratio. One that stops early makes its rival's further samples worthless:
    simulated, every tenth slowdown of 5 % was missed for the few rounds in common. So the leader goes on until each
    rival's ratio to it is narrow, or clear of a tie; and any other until its own is.

    Args:
        backend: Which.
        samples: Time per call by round, by backend: of all that are right and not eliminated.
    """
    timed = {name: by_round for name, by_round in samples.items() if by_round}
    if backend not in timed or len(timed) < 2:
        return True
    leader = min(timed, key=lambda name: stats.median(timed[name].values()))
    rivals = [name for name in timed if name != leader] if backend == leader else [backend]
    return all(_is_ratio_known(timed[name], timed[leader]) for name in rivals)


def _is_ratio_known(rival: Mapping[int, float], leader: Mapping[int, float]) -> bool:
    ratio = stats.paired_ratio(rival, leader)
    if ratio is None or ratio.low is None:
        return False
    width = ratio.half_width_fraction
    return ratio.low > _CLEARLY_SLOWER or (width is not None and width <= _RATIO_HALF_WIDTH)


def _is_clearly_slower(rival: Mapping[int, float], leader: Mapping[int, float], confidence: float) -> bool:
    ratio = stats.paired_ratio(rival, leader, confidence)
    if ratio is None:
        return False
    if ratio.low is not None:
        return ratio.low > _CLEARLY_SLOWER
    common = rival.keys() & leader.keys()
    return len(common) >= _LOOKS[0] and min(rival[number] / leader[number] for number in common) > _PLAINLY_SLOWER


def _is_known_for_a_table(by_round: Mapping[int, float]) -> bool:
    width = stats.median_interval([by_round[number] for number in sorted(by_round)]).half_width_fraction
    return width is not None and width <= _TABLE_HALF_WIDTH


def calls_per_block(call_ns: float, timer_ns: float, overhead_ns: float = 0.0) -> int:
    """Calls in one block, so that all else is small beside them and the block outlasts short disturbances.

    Args:
        call_ns: Of a warm call.
        timer_ns: Of one reading of the clock.
        overhead_ns: What a block costs besides its calls, priming apart; a block lasts ten times as long.
    """
    untimed_ns = min(overhead_ns, _MOST_OVERHEAD_NS) + (call_ns if is_primed(call_ns) else 0.0)
    least = max(_LEAST_BLOCK_NS, timer_ns / _TIMER_SHARE, untimed_ns / _OVERHEAD_SHARE)
    return max(1, math.ceil(least / max(call_ns, 1.0)))


def is_primed(call_ns: float) -> bool:
    """Whether a block of such calls comes after an untimed one, which wakes threads and refills caches."""
    return call_ns < _LONGEST_PRIMED_NS


def timer_cost_ns(clock: Callable[[], int], readings: int = 101) -> float:
    """What one reading of the clock costs: the median difference of successive readings, at least 1 ns."""
    times = [clock() for _ in range(readings + 1)]
    return max(1.0, stats.median(later - earlier for earlier, later in itertools.pairwise(times)))
