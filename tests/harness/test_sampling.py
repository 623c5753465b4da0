from __future__ import annotations

import itertools
import random

import pytest

from harness.records import StopReason
from harness.sampling import StopRule, calls_per_block, timer_cost_ns

RULE = StopRule()


def stop_after(values: list[float], rule: StopRule = RULE) -> tuple[StopReason | None, int]:
    """Feed samples one by one, as the runner does; the reason to stop and the number of samples at that point."""
    for n in range(1, len(values) + 1):
        reason = rule.reason_to_stop(values[:n], sum(values[:n]))
        if reason is not None:
            return reason, n
    return None, len(values)


def test_steady_samples_stop_as_soon_as_an_interval_exists() -> None:
    assert stop_after([100.0] * 50) == (StopReason.PRECISE, RULE.least_samples)


def test_wide_noise_that_does_not_improve_stops_as_stable() -> None:
    # A drift: each new sample is further off, so the interval widens instead of narrowing.
    reason, n = stop_after([100.0 + 5 * i for i in range(200)])

    assert reason is StopReason.STABLE_NOISE
    assert n >= 4 * RULE.least_samples


def test_noise_that_improves_goes_on_until_precise() -> None:
    noise = random.Random(3)

    reason, n = stop_after([100 * noise.uniform(0.96, 1.04) for _ in range(200)])

    assert reason is StopReason.PRECISE
    assert n > RULE.least_samples


def test_a_spent_share_stops_before_the_next_sample_would_exceed_it() -> None:
    rule = StopRule(share_ns=450)

    assert stop_after([100.0, 120.0, 90.0, 130.0, 100.0], rule) == (StopReason.BUDGET, 4)


def test_one_sample_that_spends_the_share_is_kept_and_ends_the_cell() -> None:
    assert stop_after([1000.0, 1000.0], StopRule(share_ns=10)) == (StopReason.BUDGET, 1)


def test_nothing_stops_before_the_first_sample() -> None:
    assert StopRule(share_ns=0).reason_to_stop([], 0) is None


@pytest.mark.parametrize("call_ns", [1, 50, 1e3, 1e6, 3.9e6])
@pytest.mark.parametrize("timer_ns", [20, 400, 5_000])
def test_block_makes_the_clock_cost_under_a_ten_thousandth(call_ns: float, timer_ns: float) -> None:
    calls = calls_per_block(call_ns, timer_ns)

    assert timer_ns <= 1e-4 * calls * call_ns * (1 + 1e-9)


def test_a_slow_call_is_a_block_of_its_own() -> None:
    assert calls_per_block(1e9, 50) == 1


def test_timer_cost_is_the_usual_difference_of_readings_and_ignores_an_interruption() -> None:
    steps = itertools.chain([30] * 40, [1_000_000], itertools.repeat(30))
    readings = itertools.accumulate(steps)

    assert timer_cost_ns(lambda: next(readings)) == 30
