from __future__ import annotations

import itertools
import random

import pytest

from benchmarks import interval_coverage
from harness import stats
from harness.records import StopReason
from harness.sampling import StopRule, calls_per_block, eliminated, is_primed, pairs_suffice, timer_cost_ns

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
    # Each new sample is further off, to either side, so the interval widens instead of narrowing.
    reason, n = stop_after([100.0 + 5 * i * (-1) ** (i * (i + 1) // 2) for i in range(200)])

    assert reason is StopReason.STABLE_NOISE
    assert 3 * RULE.least_samples <= n <= 60


def test_a_drift_that_gives_no_interval_is_given_up_at_half_of_the_most_samples() -> None:
    assert stop_after([100.0 + 5 * i for i in range(200)]) == (StopReason.STABLE_NOISE, 60)


def test_noise_that_never_ends_ends_at_the_most_samples() -> None:
    noise = random.Random(8)

    assert stop_after([100 * noise.lognormvariate(0, 0.2) for _ in range(200)])[1] <= 120


@pytest.mark.parametrize("spread", [0.008, 0.015])
@pytest.mark.parametrize("kind", ["independent", "correlated 0.3", "bursts of 3, 1 in 4"])
def test_stopping_at_a_narrow_interval_does_not_spoil_what_it_covers(kind: str, spread: float) -> None:
    tries = 150
    missed, _ = interval_coverage.stopped(*interval_coverage.NOISES[kind], spread, tries, seed=1)

    # Three standard deviations of a share counted at exactly 5 %.
    assert missed < 0.05 + 3 * (0.05 * 0.95 / tries) ** 0.5


def rounds_of(*tracks: list[float]) -> dict[str, dict[int, float]]:
    """Backends "0", "1", ... with these samples, one a round."""
    return {str(place): dict(enumerate(track)) for place, track in enumerate(tracks)}


def jittered(ns: float, rounds: int, seed: int, spread: float = 0.01) -> list[float]:
    noise = random.Random(seed)
    return [ns * noise.lognormvariate(0, spread) for _ in range(rounds)]


def test_a_backend_three_times_as_slow_is_eliminated_at_the_first_look() -> None:
    assert eliminated(rounds_of(jittered(1e6, 12, 1), jittered(3e6, 12, 2))) == {"1"}
    assert eliminated(rounds_of(jittered(1e6, 11, 1), jittered(3e6, 11, 2))) == set()


def test_a_backend_a_fifth_slower_is_eliminated_before_the_samples_run_out() -> None:
    looks = (12, 18, 27, 40, 60, 90)
    found = [eliminated(rounds_of(jittered(1e6, n, 1), jittered(1.2e6, n, 2), jittered(1.01e6, n, 3))) for n in looks]

    assert {"1"} in found
    assert not any("0" in names or "2" in names for names in found)


def test_a_slower_backend_that_is_not_known_well_enough_for_a_table_goes_on() -> None:
    assert eliminated(rounds_of(jittered(1e6, 27, 1), jittered(9e6, 27, 2, spread=0.3))) == set()


def test_a_slower_backend_within_the_margin_goes_on() -> None:
    assert eliminated(rounds_of(jittered(1e6, 90, 1), jittered(1.04e6, 90, 2))) == set()


def test_the_more_rivals_the_surer_an_elimination_must_be() -> None:
    leader, rival = jittered(1e6, 18, 1), jittered(1.09e6, 18, 2, spread=0.02)
    ratio = stats.paired_ratio(dict(enumerate(rival)), dict(enumerate(leader)))
    assert ratio is not None
    assert ratio.low is not None
    # The interval that a report gives is clear of the margin, but chance has had many looks at it.
    assert ratio.low > 1.05
    assert eliminated(rounds_of(leader, rival)) == set()


def test_who_is_alone_or_without_samples_is_not_eliminated() -> None:
    assert eliminated({}) == set()
    assert eliminated({"0": {}, "1": dict(enumerate(jittered(1e6, 12, 1)))}) == set()


@pytest.mark.parametrize("kind", ["independent", "correlated 0.8", "bursts of 3, 1 in 4", "bursts of 10, 1 in 6"])
def test_equal_backends_are_not_eliminated(kind: str) -> None:
    series, _ = interval_coverage.NOISES[kind]

    assert interval_coverage.false_eliminations(series, 2, 150, seed=1) == 0
    assert interval_coverage.false_eliminations(series, 6, 30, seed=2) == 0


def test_a_precise_leader_goes_on_while_a_close_rival_shares_too_few_rounds_with_it() -> None:
    close = {"0": dict(enumerate(jittered(1e6, 12, 1))), "1": dict(enumerate(jittered(1.02e6, 6, 2)))}
    assert not pairs_suffice("0", close)
    assert not pairs_suffice("1", close)
    assert pairs_suffice("0", rounds_of(jittered(1e6, 60, 1), jittered(1.02e6, 60, 2)))


def test_a_clear_difference_needs_no_narrow_ratio() -> None:
    assert pairs_suffice("0", rounds_of(jittered(1e6, 40, 1), jittered(3e6, 40, 2, spread=0.1)))
    assert not pairs_suffice("0", rounds_of(jittered(1e6, 40, 1), jittered(1e6, 40, 2, spread=0.1)))


def test_a_backend_waits_for_its_own_ratio_only_and_the_leader_for_all() -> None:
    case = rounds_of(jittered(1e6, 40, 1), jittered(1.02e6, 40, 2), jittered(1.02e6, 40, 3, spread=0.2))
    assert min(case, key=lambda name: stats.median(case[name].values())) == "0"
    assert [pairs_suffice(name, case) for name in case] == [False, True, False]


def test_a_backend_alone_has_pairs_enough() -> None:
    assert pairs_suffice("0", rounds_of(jittered(1e6, 12, 1)))


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


@pytest.mark.parametrize("call_ns", [1e3, 1e5, 1.9e6, 2e6, 5e6, 1e8])
@pytest.mark.parametrize("overhead_ns", [0.0, 1e5, 2e6])
def test_priming_and_overhead_stay_under_a_tenth_of_a_block(call_ns: float, overhead_ns: float) -> None:
    block_ns = calls_per_block(call_ns, 50, overhead_ns) * call_ns

    assert overhead_ns + is_primed(call_ns) * call_ns <= 0.1 * block_ns * (1 + 1e-9)


def test_an_overhead_that_can_only_be_a_disturbance_does_not_make_blocks_longer() -> None:
    assert calls_per_block(1e6, 50, 3e8) == calls_per_block(1e6, 50, 2e6)


def test_a_long_call_is_not_primed_and_a_short_one_is() -> None:
    assert is_primed(1.9e6)
    assert not is_primed(2e6)


def test_a_slow_call_is_a_block_of_its_own() -> None:
    assert calls_per_block(1e9, 50) == 1


def test_timer_cost_is_the_usual_difference_of_readings_and_ignores_an_interruption() -> None:
    steps = itertools.chain([30] * 40, [1_000_000], itertools.repeat(30))
    readings = itertools.accumulate(steps)

    assert timer_cost_ns(lambda: next(readings)) == 30
