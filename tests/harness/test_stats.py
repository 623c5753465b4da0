from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

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


def test_five_samples_have_no_95_percent_interval_and_six_have() -> None:
    assert stats.median_interval([1, 2, 3, 4, 5]).low is None
    assert stats.median_interval([1, 2, 3, 4, 5, 6]) == stats.Interval(estimate=3.5, low=1, high=6)


@given(samples)
def test_interval_contains_the_median_and_is_made_of_samples(values: list[float]) -> None:
    interval = stats.median_interval(values)

    if interval.low is not None and interval.high is not None:
        assert interval.low <= interval.estimate <= interval.high
        assert interval.low in values
        assert interval.high in values


@pytest.mark.parametrize("n", [7, 15, 40])
@pytest.mark.parametrize("distribution", ["normal", "lognormal", "exponential", "bimodal"])
def test_95_percent_interval_covers_the_median_at_least_95_percent_of_the_time(n: int, distribution: str) -> None:
    rng = np.random.default_rng([n, len(distribution)])
    draw = {
        "normal": lambda: (rng.normal(10, 1, n), 10.0),
        "lognormal": lambda: (rng.lognormal(0, 1, n), 1.0),
        "exponential": lambda: (rng.exponential(1, n), np.log(2)),
        # Two narrow modes of unequal weight, as a machine with an occasional slow state.
        "bimodal": lambda: (np.where(rng.random(n) < 0.7, rng.normal(1, 0.01, n), rng.normal(2, 0.01, n)), None),
    }[distribution]
    true_bimodal = float(
        np.median(np.where(rng.random(10**6) < 0.7, rng.normal(1, 0.01, 10**6), rng.normal(2, 0.01, 10**6)))
    )
    tries = 1500

    covered = 0
    for _ in range(tries):
        values, true_median = draw()
        interval = stats.median_interval(list(values))
        covered += interval.low <= (true_bimodal if true_median is None else true_median) <= interval.high

    # Three standard deviations of a binomial count at exactly 95 %.
    assert covered / tries > 0.95 - 3 * (0.95 * 0.05 / tries) ** 0.5


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


def test_paired_ratio_uses_only_rounds_that_have_both() -> None:
    assert stats.paired_ratio({0: 2.0, 1: 100.0}, {0: 1.0, 2: 1.0}) == stats.Interval(estimate=2.0, low=None, high=None)
    assert stats.paired_ratio({0: 2.0}, {1: 1.0}) is None


def test_geometric_mean_of_a_ratio_and_its_inverse_is_one() -> None:
    assert stats.geometric_mean([4.0, 0.25]) == pytest.approx(1)
    with pytest.raises(ValueError, match="positive"):
        stats.geometric_mean([1.0, 0.0])
