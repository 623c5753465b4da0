from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from benchmarks import interval_coverage
from harness import stats

samples = st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=60)


@given(samples)
def test_median_agrees_with_numpy(values: list[float]) -> None:
    assert stats.median(values) == pytest.approx(np.median(values))


def test_median_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="measure at least one"):
        stats.median([])


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_rank_is_the_largest_that_covers_by_the_binomial_distribution(confidence: float) -> None:
    for n in range(1, 200):
        rank = stats.order_statistic_rank(n, confidence)

        covering = [k for k in range(1, n // 2 + 1) if 1 - 2 * binom.cdf(k - 1, n, 0.5) >= confidence - 1e-12]
        assert rank == (max(covering) if covering else None), n


def test_rank_of_very_many_samples_agrees_with_the_binomial_distribution_to_a_rank() -> None:
    for n in (1000, 5000, 100_000):
        exact = int(binom.ppf(0.025, n, 0.5))

        assert abs((stats.order_statistic_rank(n) or 0) - exact) <= 1


def test_five_samples_have_no_95_percent_interval_and_six_that_look_independent_have() -> None:
    assert stats.median_interval([1, 5, 2, 4, 3]).low is None
    assert stats.median_interval([1, 6, 2, 5, 3, 4]) == stats.Interval(estimate=3.5, low=1, high=6)


def test_samples_that_only_rise_have_no_interval_however_many() -> None:
    # A drift has no median to cover: where it is depends on how long one looks.
    assert stats.median_interval([float(n) for n in range(60)]).low is None


def test_equal_samples_have_an_interval_of_no_width() -> None:
    assert stats.median_interval([3.0] * 6) == stats.Interval(estimate=3.0, low=3.0, high=3.0)


def test_an_increasing_transform_of_the_samples_transforms_the_interval() -> None:
    noise = random.Random(2)
    values = [noise.gauss(0, 1) for _ in range(40)]
    interval = stats.median_interval(values)
    transformed = stats.median_interval([math.exp(value) for value in values])

    assert interval.low is not None
    assert interval.high is not None
    assert (transformed.low, transformed.high) == (math.exp(interval.low), math.exp(interval.high))


@given(samples)
def test_the_interval_is_never_narrower_than_that_of_independent_samples(values: list[float]) -> None:
    interval, rank = stats.median_interval(values), stats.order_statistic_rank(len(values))
    if interval.low is not None and interval.high is not None:
        assert rank is not None
        assert interval.low <= sorted(values)[rank - 1]
        assert interval.high >= sorted(values)[-rank]


@pytest.mark.parametrize("phi", [0.3, 0.6])
def test_dependence_is_not_underrated_for_samples_being_few(phi: float) -> None:
    noise, n = random.Random(7), 24
    series = [interval_coverage.autoregression(phi)(noise, n) for _ in range(400)]
    # Of signs about the median, whose correlation at lag k is 2 / pi * asin(phi**k).
    true = 1 + 2 * sum((1 - k / n) * 2 / math.pi * math.asin(phi**k) for k in range(1, n))

    assert 1.2 * true < stats.median(map(stats.variance_inflation, series)) < 2 * true


@given(samples)
def test_interval_contains_the_median_and_is_made_of_samples(values: list[float]) -> None:
    interval = stats.median_interval(values)

    if interval.low is not None and interval.high is not None:
        assert interval.low <= interval.estimate <= interval.high
        assert interval.low in values
        assert interval.high in values


@pytest.mark.parametrize("n", [6, 12, 24, 40, 120])
@pytest.mark.parametrize("kind", ["independent", "correlated 0.3", "bimodal, 1 in 5", "bursts of 3, 1 in 4"])
def test_95_percent_interval_covers_the_median_at_least_95_percent_of_the_time(kind: str, n: int) -> None:
    tries = 400
    given, _, missed = interval_coverage.median_coverage(*interval_coverage.NOISES[kind], n, tries, seed=1)

    assert missed < 0.05 + three_sigma(tries)
    if n >= 24:
        assert given > 0.9


@pytest.mark.parametrize("n", [8, 24, 120])
@pytest.mark.parametrize("kind", ["correlated 0.6", "correlated 0.8", "bursts of 5, 1 in 5"])
def test_strongly_dependent_samples_rarely_get_an_interval_that_misses(kind: str, n: int) -> None:
    tries = 400
    assert interval_coverage.median_coverage(*interval_coverage.NOISES[kind], n, tries, seed=1)[2] < 0.05 + three_sigma(
        tries
    )


def test_intervals_of_independent_samples_are_not_much_wider_than_they_need_to_be() -> None:
    noise = random.Random(6)
    for n, factor in ((24, 1.5), (60, 1.4), (120, 1.3)):
        series = [[noise.gauss(0, 1) for _ in range(n)] for _ in range(300)]
        rank = stats.order_statistic_rank(n)
        assert rank is not None
        needed = stats.median(sorted(one)[-rank] - sorted(one)[rank - 1] for one in series)
        widths = [i.high - i.low for one in series if (i := stats.median_interval(one)).low is not None]
        assert stats.median(widths) < factor * needed


@pytest.mark.parametrize("n", [12, 40])
def test_ratio_of_unequally_disturbed_backends_is_covered_where_the_signed_rank_interval_fails(n: int) -> None:
    tries = 200
    ours, rival = interval_coverage.ratio_coverage(n, tries)

    assert ours > 0.95 - three_sigma(tries)
    if n == 40:
        assert rival < 0.9


def three_sigma(tries: int) -> float:
    """Three standard deviations of a share counted in so many tries, at exactly 5 %."""
    return 3 * (0.05 * 0.95 / tries) ** 0.5


def test_paired_ratio_cancels_a_drift_that_hits_both() -> None:
    noise = random.Random(1)
    drift = [1 + round_number / 10 for round_number in range(20)]
    slow = {r: 2.0 * d * noise.uniform(0.99, 1.01) for r, d in enumerate(drift)}
    fast = {r: 1.0 * d * noise.uniform(0.99, 1.01) for r, d in enumerate(drift)}

    ratio = stats.paired_ratio(slow, fast)

    assert ratio is not None
    assert ratio.low is not None
    assert ratio.high is not None
    assert 1.96 < ratio.low < 2 < ratio.high < 2.04


def test_paired_ratio_takes_rounds_in_their_order_whatever_the_order_of_the_samples() -> None:
    noise = random.Random(3)
    slow = {number: 2 * noise.uniform(0.9, 1.1) for number in range(30)}
    shuffled = dict(sorted(slow.items(), key=lambda item: noise.random()))

    assert stats.paired_ratio(slow, dict.fromkeys(slow, 1.0)) == stats.paired_ratio(shuffled, dict.fromkeys(slow, 1.0))


def test_paired_ratio_uses_only_rounds_that_have_both() -> None:
    assert stats.paired_ratio({0: 2.0, 1: 100.0}, {0: 1.0, 2: 1.0}) == stats.Interval(estimate=2.0, low=None, high=None)
    assert stats.paired_ratio({0: 2.0}, {1: 1.0}) is None


def test_geometric_mean_of_a_ratio_and_its_inverse_is_one() -> None:
    assert stats.geometric_mean([4.0, 0.25]) == pytest.approx(1)
    with pytest.raises(ValueError, match="positive"):
        stats.geometric_mean([1.0, 0.0])
