from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from harness import messages
from harness.entry import Entry, Samples
from harness.records import Status
from harness.revisits import need_of, visit_s


def timed(backend: str, ns: Sequence[float]) -> Entry:
    samples = Samples(ns=list(ns), rounds=list(range(len(ns))))
    return Entry(backend=backend, samples=samples, calls=10, prepared=messages.Prepared(prepare_ns=1_000_000))


def around(middle: float, spread: float, n: int = 40, seed: int = 0) -> list[float]:
    chance = random.Random(seed)
    return [middle * (1 + spread * chance.uniform(-1, 1)) for _ in range(n)]


def test_a_clear_ranking_with_narrow_times_needs_nothing() -> None:
    assert need_of([timed("a", around(100, 0.001)), timed("b", around(200, 0.001))]) is None


def test_an_open_ranking_needs_the_leader_and_its_rival_only() -> None:
    entries = [timed("a", around(100, 0.1)), timed("b", around(100.5, 0.1, seed=1)), timed("far", around(300, 0.1))]

    need = need_of(entries)

    assert need is not None
    assert set(need.backends) == {"a", "b"}
    assert 0.01 < need.half_width < 0.2


def test_a_tie_that_is_known_to_a_hundredth_needs_nothing() -> None:
    assert need_of([timed("a", around(100, 0.004)), timed("b", around(100, 0.004, seed=1))]) is None


def test_too_few_samples_for_an_interval_need_most_unless_they_are_hopeless() -> None:
    near = need_of([timed("a", around(100, 0.001)), timed("b", [101.0, 102.0])])
    assert near is not None
    assert near.half_width == 1.0

    assert need_of([timed("a", around(100, 0.001)), timed("b", [501.0])]) is None


def test_a_wide_time_of_a_slow_backend_needs_the_leader_beside_it() -> None:
    need = need_of([timed("a", around(100, 0.001)), timed("b", around(300, 0.5))])

    assert need is not None
    assert set(need.backends) == {"a", "b"}


def test_what_failed_needs_nothing() -> None:
    failed = timed("b", [])
    failed.fail(Status.CRASHED, "gone")

    assert need_of([failed]) is None
    assert need_of([timed("a", around(100, 0.001)), failed]) is None


def test_a_visit_takes_preparing_and_seven_blocks_of_each() -> None:
    entries = [timed("a", [1e6, 2e6]), timed("b", [1e6, 1e6])]
    need = need_of(entries)
    assert need is not None

    assert visit_s(entries, need) == pytest.approx(2 * 1e-3 + 7 * (2e-2 + 1e-2))
