"""Intervals for a median and for a paired ratio, without assuming any distribution or that samples are independent.

The interval of a median comes from order statistics. Of n independent samples the number below the true median is
binomial(n, 1/2), so between the k-th smallest and the k-th largest the median lies with probability
1 - 2 * P(B <= k - 1), whatever the distribution. Below six samples no 95 % interval of this kind exists.

Samples of a busy machine are not independent: a slow moment lasts over several of them. The number below the median
then still has mean n / 2, but its variance is n / 4 * v with

    v = 1 + 2 * sum((1 - k / n) * c(k) for k in 1..n-1),    c(k) the correlation, at lag k, of "is below the median".

So n samples say as much as n / v independent ones, and the ranks of the interval move outwards to
(n + 1) / 2 -+ z * sqrt(n * v) / 2, which for v = 1 is the normal approximation of the binomial ranks. c(k) is too noisy
to be summed as it is: of 20 samples each estimate is off by 0.2. It is taken from one number, phi, as if some
increasing transform of the samples were an autoregression of first order with Gaussian noise. Then ranks correlate by
(6 / pi) * asin(phi / 2) at lag 1, from which phi is estimated (ranks do not mind outliers), and c(k) is
(2 / pi) * asin(phi**k).

Three things make the estimate err on the wide side. A correlation estimated from n samples is too low by about
(1 + 4 * phi) / n, which is added. One standard error is added too, or half of all strongly dependent series would pass
for less: so few samples give an interval only where they look independent. And the root of the correlation at lag 2
counts where it is larger: bursts are weak in their first lag for the time that they last. v below 1 is not believed.

`python -m benchmarks.interval_coverage` simulates what this comes to. In short: of independent samples, intervals are
1.1 (n = 120) to 1.3 (n = 24) times as wide as with independence known. Of all series, 1 to 2 % get an interval that
misses the median where samples are independent, up to 4 % at an autocorrelation of 0.6 and 3 to 7 % at 0.8; under 40
samples most series that dependent get none. What stays short is what few samples cannot show: disturbances that last
ten samples or more (up to 10 % miss), and random walks.

Sources: Hahn & Meeker (1991), "Statistical Intervals", section 5.2; Le Boudec (2010), "Performance Evaluation",
sections 2.2 and 2.3; Gastwirth & Rubin (1971), "Effect of dependence on the level of some one-sample tests", JASA 66;
Marriott & Pope (1954), "Bias in the estimation of autocorrelations", Biometrika 41; Kruskal (1958), "Ordinal measures
of association", JASA 53, for the two arcsines.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95

# Beyond this a correlation is that of a trend, and v grows without bound.
_MOST_CORRELATED = 0.99
# Fewer samples have too few pairs at lag 2 to estimate anything from.
_LEAST_FOR_LAG_2 = 16


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


@functools.cache
def order_statistic_rank(n: int, confidence: float = CONFIDENCE) -> int | None:
    """The largest k for which [k-th smallest, k-th largest] of n samples covers the median; None if no k does."""
    # Compared as exact integers: 2 * sum(C(n, i), i < k) <= (1 - confidence) * 2**n.
    tail, limit = 0, (1 - confidence) * 2.0**n if n < 1000 else None
    if limit is None:
        # 2.0**n overflows; far out in the tail the normal approximation is accurate to a rank.
        return max(1, math.floor(n / 2 - normal_quantile(confidence) * math.sqrt(n) / 2))
    rank = None
    for k in range(1, n // 2 + 1):
        tail += math.comb(n, k - 1)
        if 2 * tail > limit:
            break
        rank = k
    return rank


def variance_inflation(samples: Sequence[float]) -> float:
    """How many samples, measured in this order, say as much about the median as an independent one; at least 1.

    The module's docstring derives it. Meant to be rather too large than too small.
    """
    n = len(samples)
    scores = _centred_ranks(samples)
    power = sum(score * score for score in scores)
    if n < 3 or power == 0:
        return 1.0
    first = _correlation(scores, power, lag=1)
    # The standard error of an autoregression's coefficient.
    upper = first + math.sqrt(max(0.0, 1 - first * first) / n)
    second = _correlation(scores, power, lag=2) if n >= _LEAST_FOR_LAG_2 else 0.0
    phi = min(max(upper, math.sqrt(max(0.0, second))), _MOST_CORRELATED)
    inflation, at_lag = 1.0, 1.0
    for k in range(1, n):
        at_lag *= phi
        if at_lag < 1e-4:
            break
        inflation += 2 * (1 - k / n) * (2 / math.pi) * math.asin(at_lag)
    return inflation


def median_interval(samples: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The median with its order-statistic interval; without one where the samples are too few or too dependent.

    Args:
        samples: In the order measured: how much they depend on each other is estimated.
        confidence: That the interval covers the median of what the samples are drawn from.

    Raises:
        ValueError: There are no samples.
    """
    estimate = median(samples)
    n = len(samples)
    rank = order_statistic_rank(n, confidence)
    if rank is not None:
        spread = normal_quantile(confidence) * math.sqrt(n * variance_inflation(samples)) / 2
        rank = min(rank, math.floor((n + 1) / 2 - spread)) if min(samples) < max(samples) else rank
    if rank is None or rank < 1:
        return Interval(estimate=estimate, low=None, high=None)
    ordered = sorted(samples)
    return Interval(estimate=estimate, low=ordered[rank - 1], high=ordered[-rank])


def paired_ratio(
    numerator: Mapping[int, float], denominator: Mapping[int, float], confidence: float = CONFIDENCE
) -> Interval | None:
    """The median of per-round ratios with its interval; None if no round has both.

    Samples of one round were taken next to each other, so a slow moment of the machine hits both and cancels; what is
    left of it makes the ratios of successive rounds alike, which the interval allows for.

    The median, and not the Hodges-Lehmann estimate with its signed-rank interval: that one is narrower by a quarter
    where noise is symmetric. Between two backends that are disturbed unequally often it is not: there, with 80 rounds,
    signed ranks covered in 67 % of simulated tries and the median in 96 %, at a fraction of the width.

    Args:
        numerator: Sample by round.
        denominator: Sample by round, all positive.
        confidence: Of the interval.
    """
    ratios = [numerator[number] / denominator[number] for number in sorted(numerator.keys() & denominator.keys())]
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


@functools.cache
def normal_quantile(confidence: float) -> float:
    """How many standard deviations to either side hold this share of a normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + confidence) / 2)


def _centred_ranks(samples: Sequence[float]) -> list[float]:
    """Ranks less their mean; equal samples share theirs."""
    n = len(samples)
    order = sorted(range(n), key=samples.__getitem__)
    ranks = [0.0] * n
    start = 0
    for _, tied in itertools.groupby(order, key=samples.__getitem__):
        members = list(tied)
        shared = start + (len(members) - 1) / 2 - (n - 1) / 2
        for place in members:
            ranks[place] = shared
        start += len(members)
    return ranks


def _correlation(scores: Sequence[float], power: float, lag: int) -> float:
    """The autocorrelation, at a lag, of the normal scores behind these centred ranks, corrected for small samples."""
    n = len(scores)
    found = sum(map(operator.mul, scores, itertools.islice(scores, lag, None))) / power
    found += (1 + 4 * max(0.0, found)) / n
    return 2 * math.sin(math.pi / 6 * min(1.0, max(-1.0, found)))
