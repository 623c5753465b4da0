"""Intervals for a median and for a paired ratio, without assuming any distribution.

The interval of a median comes from order statistics: the number of n independent samples below the true median is
binomial(n, 1/2), so between the k-th smallest and the k-th largest sample the median lies with probability
1 - 2 * P(B <= k - 1). Below six samples no 95 % interval of this kind exists, and none is given.

Sources: Hahn & Meeker (1991), "Statistical Intervals", section 5.2; Le Boudec (2010), "Performance Evaluation",
section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with the interval that covers the true value at the confidence asked for."""

    estimate: float
    low: float | None
    high: float | None

    @property
    def half_width_fraction(self) -> float | None:
        """Half the interval's width over the estimate; None without an interval."""
        if self.low is None or self.high is None or self.estimate == 0:
            return None
        return (self.high - self.low) / 2 / abs(self.estimate)


def median(values: Iterable[float]) -> float:
    """The middle value, or the mean of the two middle ones.

    Raises:
        ValueError: There are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("the median of no values is not defined; measure at least one")
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def order_statistic_rank(n: int, confidence: float = CONFIDENCE) -> int | None:
    """The largest k for which [k-th smallest, k-th largest] of n samples covers the median; None if no k does."""
    # Compared as exact integers: 2 * sum(C(n, i), i < k) <= (1 - confidence) * 2**n.
    tail, limit = 0, (1 - confidence) * 2.0**n if n < 1000 else None
    if limit is None:
        # 2.0**n overflows; far out in the tail the normal approximation is accurate to a rank.
        return max(1, math.floor(n / 2 - _normal_quantile(confidence) * math.sqrt(n) / 2))
    rank = None
    for k in range(1, n // 2 + 1):
        tail += math.comb(n, k - 1)
        if 2 * tail > limit:
            break
        rank = k
    return rank


def median_interval(samples: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The median with its order-statistic interval; without one where there are too few samples.

    Raises:
        ValueError: There are no samples.
    """
    estimate = median(samples)
    rank = order_statistic_rank(len(samples), confidence)
    if rank is None:
        return Interval(estimate=estimate, low=None, high=None)
    ordered = sorted(samples)
    return Interval(estimate=estimate, low=ordered[rank - 1], high=ordered[-rank])


def paired_ratio(
    numerator: Mapping[int, float], denominator: Mapping[int, float], confidence: float = CONFIDENCE
) -> Interval | None:
    """The median of per-round ratios with its interval; None if no round has both.

    Samples of one round were taken next to each other, so a slow moment of the machine hits both and cancels.

    Args:
        numerator: Sample by round.
        denominator: Sample by round, all positive.
        confidence: Of the interval.
    """
    ratios = [value / denominator[r] for r, value in numerator.items() if r in denominator]
    if not ratios:
        return None
    return median_interval(ratios, confidence)


def geometric_mean(values: Sequence[float]) -> float:
    """exp(mean(log(values))), the mean that does not depend on which of two systems is the unit.

    Raises:
        ValueError: There are no values, or one is not positive.
    """
    if not values or min(values) <= 0:
        raise ValueError(f"the geometric mean needs positive values, got {list(values)[:5]}")
    return math.exp(sum(map(math.log, values)) / len(values))


def _normal_quantile(confidence: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + confidence) / 2)
