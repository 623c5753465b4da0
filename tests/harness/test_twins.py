from __future__ import annotations

import math
from collections import Counter

from harness import messages
from harness.entry import Entry
from harness.twins import Twins


def entry(backend: str, *, call_s: float = 0.001, import_s: float = 0.2) -> Entry:
    opened = messages.Opened(name=backend, device="host", algorithm="direct", import_ns=round(import_s * 1e9))
    return Entry(backend=backend, opened=opened, called=messages.Called(first_call_ns=round(call_s * 1e9)))


def test_pairs_are_spread_evenly_over_many_cases_and_over_backends() -> None:
    twins = Twins(cases=250, budget_s=math.inf, seed=0)
    chosen = [twins.chosen(n, [entry("a"), entry("b")], 1.0, lambda _: True) for n in range(250)]

    places = [place for place, found in enumerate(chosen) if found is not None]
    assert places == list(range(0, 250, 10))
    counts = Counter(found.backend for found in chosen if found is not None)
    assert min(counts["a"], counts["b"]) >= 5


def test_each_of_few_cases_has_a_pair() -> None:
    twins = Twins(cases=3, budget_s=math.inf, seed=0)

    assert all(twins.chosen(n, [entry("a")], 1.0, lambda _: True) for n in range(3))


def test_a_slow_backend_has_no_twin() -> None:
    assert Twins(cases=1, budget_s=60, seed=0).chosen(0, [entry("slow", call_s=0.5)], 1.0, lambda _: True) is None


def test_loading_twins_takes_a_small_part_of_the_budget() -> None:
    """Three per cent of a minute load one library of a second, and not a second one."""
    twins = Twins(cases=2, budget_s=60, seed=0)
    heavy = [entry("heavy", import_s=1.0)]

    first = twins.chosen(0, heavy, 1.0, lambda _: False)
    second = twins.chosen(1, [entry("other", import_s=1.0)], 1.0, lambda _: False)
    loaded = twins.chosen(1, heavy, 1.0, lambda _: True)

    assert (first is None, second is None, loaded is None) == (False, True, False)


def test_nothing_right_has_no_twin() -> None:
    assert Twins(cases=1, budget_s=60, seed=0).chosen(0, [], 1.0, lambda _: True) is None
