"""What is said of a machine's noise: outliers, disturbed blocks, and the smallest difference that a run can show."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import stats
from harness.noise import Disturbance, Outlier, disturbance_text, disturbances, noise_floor, outlier_counts, outliers
from harness.records import Cell
from tests.harness.test_report_runs import cell


def twins(*differences: float, rounds: int = 30, jitter: float = 1e-4) -> list[Cell]:
    """Cells whose second process is slower by these relative differences."""
    noise = random.Random(5)

    def near(ns: float) -> tuple[float, ...]:
        return tuple(ns * (1 + noise.uniform(-jitter, jitter)) for _ in range(rounds))

    return [
        cell(samples_ns=near(1e6 * (1 + one)), twin_ns=near(1e6), twin_rounds=tuple(range(rounds)))
        for one in differences
    ]


def test_samples_are_classed_by_their_distance_from_the_middle_half() -> None:
    # Quartiles 10 and 14 but for the ends: fences at 4 and 20, and at -2 and 26.
    middle = [10.0, 10.0, 11.0, 12.0, 12.0, 13.0, 14.0, 14.0] * 4
    assert outliers([*middle, 21.0, 30.0, 3.0, -3.0])[-4:] == (
        Outlier.MILDLY_HIGH,
        Outlier.SEVERELY_HIGH,
        Outlier.MILDLY_LOW,
        Outlier.SEVERELY_LOW,
    )
    assert set(outliers(middle)) == {None}


@given(st.lists(st.floats(1, 1e9), max_size=40))
def test_every_class_is_counted_and_half_of_the_samples_are_never_outliers(values: list[float]) -> None:
    counts = outlier_counts(values)
    assert list(counts) == list(Outlier)
    assert sum(counts.values()) <= len(values) / 2


def test_few_samples_have_no_outliers() -> None:
    assert outliers([1.0, 1.0, 1.0, 99.0]) == (None,) * 4


def test_a_block_that_lost_a_core_is_told_from_those_that_had_both() -> None:
    found = cell(samples_ns=[1e8] * 10, cores=(2.0, 1.98, 1.0, 1.99, 2.0, 1.3, 2.0, 1.97, 1.99, 2.0))
    assert [kind for kind in disturbances(found) if kind] == [Disturbance.CORES] * 2
    assert disturbance_text(found) == "2 of 10 blocks did not have their cores"


def test_cores_lost_in_most_blocks_are_still_seen() -> None:
    found = cell(samples_ns=[1e8] * 10, cores=(1.0,) * 6 + (2.0,) * 4)
    assert disturbance_text(found) == "6 of 10 blocks did not have their cores"


def test_a_backend_that_uses_one_of_two_cores_throughout_is_not_disturbed() -> None:
    assert disturbance_text(cell(samples_ns=[1e6] * 10, cores=(1.0, 0.98) * 5)) is None


def test_using_more_than_the_cores_asked_for_in_some_blocks_does_not_disturb_the_others() -> None:
    assert disturbance_text(cell(samples_ns=[1e6] * 10, cores=(4.0,) * 4 + (2.0,) * 6)) is None


def test_stolen_time_and_a_restless_neighbour_are_told_apart() -> None:
    found = cell(samples_ns=[1e6] * 10, cores=(2.0,) * 10, stolen=(0.1,) + (0.0,) * 9, preemptions=(0, 0, 9) + (1,) * 7)
    assert disturbances(found)[:4] == (Disturbance.STOLEN, None, Disturbance.PREEMPTED, None)
    assert disturbance_text(found) == (
        "1 of 10 blocks lost time to other guests of the host, 1 shared their cores with another process"
    )


def test_what_a_tick_may_hide_is_no_missing_core() -> None:
    """Of 8 ms on two threads, up to 10 ms of CPU time may be booked a block late."""
    short = cell(samples_ns=[1e6] * 10, calls_per_block=8, cores=(2.0,) * 9 + (1.2,))
    long = cell(samples_ns=[1e6] * 10, calls_per_block=80, cores=(2.0,) * 9 + (1.2,))

    assert disturbance_text(short) is None
    assert disturbance_text(long) == "1 of 10 blocks did not have their cores"


def test_a_long_block_bears_more_preemptions_than_a_short_one() -> None:
    def preempted(ns: float) -> str | None:
        return disturbance_text(cell(samples_ns=[ns] * 10, calls_per_block=1, preemptions=(20,) * 10))

    assert preempted(1e9) is None
    assert preempted(5e6) is not None


def test_an_old_record_without_cores_is_not_called_disturbed() -> None:
    assert disturbance_text(cell(samples_ns=[1e6] * 10)) is None


def test_a_run_without_pairs_has_no_floor() -> None:
    assert noise_floor([cell(), cell("torch")]) is None
    assert noise_floor([cell(twin_ns=(1e6,), twin_rounds=(99,))]) is None


TAIL = 3.707 / 2.447
"""Two-sided quantiles of Student's t with six degrees of freedom, for 99 and 95 %, from any table."""


def test_twenty_pairs_give_the_largest_difference_and_forty_leave_one_out_and_both_are_stretched() -> None:
    for pairs, left_out in ((20, 0), (40, 1)):
        differences = [place / 1000 for place in range(1, pairs + 1)]
        floor = noise_floor(twins(*differences))
        assert floor is not None
        assert floor.relative == pytest.approx((1 + differences[-1 - left_out]) ** TAIL - 1, rel=0.01)
        assert floor.is_ranked


def test_the_direction_of_a_difference_does_not_matter() -> None:
    slower, faster = noise_floor(twins(*[0.02] * 20)), noise_floor(twins(*[1 / 1.02 - 1] * 20))
    assert slower is not None
    assert faster is not None
    assert slower.relative == pytest.approx(faster.relative, abs=2e-4)


def test_a_lone_pair_that_agrees_by_luck_does_not_promise_that_all_will() -> None:
    floor = noise_floor(twins(0.0))
    assert floor is not None
    assert 0.01 < floor.relative < 0.03
    assert not floor.is_ranked
    assert "A/A pairs: 1 (too few for more than an estimate)" in floor.text


def test_more_pairs_that_agree_lower_the_floor() -> None:
    floors = [floor.relative for number in (1, 4, 12, 20) if (floor := noise_floor(twins(*[0.001] * number)))]
    assert floors == sorted(floors, reverse=True)
    assert len(floors) == 4
    assert floors[-1] < 0.002


def test_what_sampling_explains_is_no_part_of_the_floor() -> None:
    quiet, noisy = noise_floor(twins(*[0.01] * 20)), noise_floor(twins(*[0.01] * 20, jitter=0.05))
    assert quiet is not None
    assert noisy is not None
    assert quiet.relative == pytest.approx(0.01 * TAIL, rel=0.02)
    assert noisy.relative < 0.95 * TAIL * max(
        abs(stats.median(c.samples_ns) / stats.median(c.twin_ns) - 1) for c in twins(*[0.01] * 20, jitter=0.05)
    )


def test_few_pairs_never_give_less_than_the_largest_difference_seen() -> None:
    floor = noise_floor(twins(*[0.001] * 10, 0.04))
    assert floor is not None
    assert floor.relative > 0.039


def test_a_pair_that_would_have_been_called_a_difference_is_a_false_alarm() -> None:
    floor = noise_floor(twins(0.0, 0.01, 0.0))
    assert floor is not None
    assert floor.false_alarms == 1


@pytest.mark.parametrize("pairs", [1, 4, 19, 40])
@pytest.mark.parametrize("deviation", ["normal", "uniform", "laplace"])
def test_a_further_pair_stays_under_the_floor_as_often_as_it_says(pairs: int, deviation: str) -> None:
    noise = random.Random(f"{pairs} {deviation}")
    draw = {
        "normal": lambda: noise.gauss(0, 0.008),
        "uniform": lambda: noise.uniform(-0.015, 0.015),
        "laplace": lambda: noise.expovariate(1 / 0.005) * noise.choice((-1, 1)),
    }[deviation]
    tries, over = 300, 0
    # One round each: what matters here is the estimates alone.
    plain = cell(samples_ns=(1e6,), twin_rounds=(0,))
    for _ in range(tries):
        cells = [dataclasses.replace(plain, twin_ns=(1e6 * math.exp(draw()),)) for _ in range(pairs)]
        floor = noise_floor(cells)
        assert floor is not None
        over += abs(draw()) > math.log1p(floor.relative)
    # Three standard deviations of a count at exactly 5 %.
    assert over / tries < 0.05 + 3 * (0.05 * 0.95 / tries) ** 0.5
