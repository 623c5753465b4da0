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
# Long enough that an interrupt of tens of microseconds is one outlier, short enough for many interleaved rounds.
_LEAST_BLOCK_NS = 4_000_000
# Beyond this the interval narrows too slowly (with the root of the count) to be worth the time.
_MAX_SAMPLES = 120
# Doubling the samples of independent noise narrows the interval to 0.71 of its width on average; where it has not
# narrowed at all, drift or bursts rule, and more of them will not help.
_NARROWING = 1.0


@dataclass(frozen=True, kw_only=True)
class StopRule:
    """When to stop sampling a cell.

    Attributes:
        half_width: Relative half-width of the median's interval that is narrow enough.
        least_samples: Fewest samples before precision may stop a cell; six give the first 95 % interval.
        share_ns: Time that the cell's blocks may take in all.
    """

    half_width: float = 0.01
    least_samples: int = 7
    share_ns: float = math.inf

    def reason_to_stop(self, samples_ns: Sequence[float], spent_ns: float) -> StopReason | None:
        """Why to stop after these samples, or None to go on.

        Args:
            samples_ns: Per call, in the order measured.
            spent_ns: Wall time of the blocks so far.
        """
        n = len(samples_ns)
        if n == 0:
            return None
        interval = stats.median_interval(samples_ns)
        width = interval.half_width_fraction
        if n >= self.least_samples and width is not None and width <= self.half_width:
            return StopReason.PRECISE
        if n >= _MAX_SAMPLES:
            return StopReason.MAX_SAMPLES
        if spent_ns + spent_ns / n > self.share_ns:
            return StopReason.BUDGET
        if n >= 4 * self.least_samples and n % self.least_samples == 0 and self._is_noise_stable(samples_ns, width):
            return StopReason.STABLE_NOISE
        return None

    def _is_noise_stable(self, samples_ns: Sequence[float], width: float | None) -> bool:
        earlier = stats.median_interval(samples_ns[: len(samples_ns) // 2]).half_width_fraction
        return width is not None and earlier is not None and width > _NARROWING * earlier


def calls_per_block(call_ns: float, timer_ns: float, overhead_ns: float = 0.0) -> int:
    """Calls in one block, so that reading the clock is negligible and the block outlasts short disturbances."""
    least = max(_LEAST_BLOCK_NS, timer_ns / _TIMER_SHARE, 10 * overhead_ns)
    if call_ns < 2e6:
        least = max(least, 10 * (overhead_ns + call_ns))
    return max(1, math.ceil(least / max(call_ns, 1.0)))


def is_primed(call_ns: float) -> bool:
    """Whether an untimed call comes before each block."""
    return call_ns < 2e6


def eliminated(samples: Mapping[str, Mapping[int, float]]) -> set[str]:
    """Backends that are clearly slower than the leader."""
    del samples
    return set()


def timer_cost_ns(clock: Callable[[], int], readings: int = 101) -> float:
    """What one reading of the clock costs: the median difference of successive readings, at least 1 ns."""
    times = [clock() for _ in range(readings + 1)]
    return max(1.0, stats.median(later - earlier for earlier, later in itertools.pairwise(times)))
