from __future__ import annotations

import math

import pytest

from backends import ConvProblem
from harness import messages
from harness.budget import TimedBudget
from harness.entry import Entry
from harness.plan import RunSettings

SMALL = ConvProblem.parse("ic1iw100oc1kw1")
LARGE = ConvProblem.parse("ic1iw100000oc1kw1")


def budget_of(budget_s: float = math.inf, *, case_timeout_s: float = 30.0) -> TimedBudget:
    return TimedBudget(
        RunSettings(backends=("a", "b"), threads=1, seed=0, budget_s=budget_s, case_timeout_s=case_timeout_s)
    )


def timed(backend: str, call_ns: int) -> Entry:
    return Entry(backend=backend, called=messages.Called(first_call_ns=call_ns))


def test_equal_cases_share_three_quarters_of_what_is_left() -> None:
    budget = budget_of(100.0)

    assert budget.share_s(SMALL, [SMALL] * 4, 0.0) == pytest.approx(15.0)
    assert budget.share_s(SMALL, [SMALL] * 2, 40.0) == pytest.approx(15.0)
    assert budget.share_s(SMALL, [], 40.0) == pytest.approx(45.0)


def test_time_for_the_report_is_nobodys_share() -> None:
    settings = RunSettings(backends=("a", "b"), threads=1, seed=0, budget_s=100.0, report_s=20.0)

    assert TimedBudget(settings).share_s(SMALL, [], 40.0) == pytest.approx(30.0)


def test_a_late_case_still_gets_a_little() -> None:
    assert budget_of(100.0).share_s(SMALL, [SMALL], 99.5) == 0.3


def test_slow_cases_get_more_up_to_a_limit() -> None:
    budget = budget_of(100.0)
    budget.learn(SMALL, timed("a", 1_000_000))

    # Backends weigh 0.45 s beside their calls, the reference 0.1 s; eight calls of 1 s are cut at 2 s.
    small, large = 1.0 + 0.008, 0.1 + 0.45 + 2.0
    assert budget.share_s(LARGE, [SMALL], 0.0) == pytest.approx(75 * large / (large + small))


def test_a_long_plan_is_weighed_by_some_of_its_cases() -> None:
    budget = budget_of(1e5)
    budget.learn(SMALL, timed("a", 1_000_000))
    later = [ConvProblem.parse(f"ic1iw{100 + i}oc1kw1") for i in range(5000)]

    weights = [0.55 + min(0.45 + 8 * problem.macs_nominal * 1e-5, 2) for problem in later]
    assert budget.share_s(SMALL, later, 0.0) == pytest.approx(7.5e4 * 1.008 / (1.008 + sum(weights)), rel=0.01)


def test_without_a_budget_shares_are_unlimited() -> None:
    assert budget_of().share_s(SMALL, [SMALL] * 8, 1e9) == math.inf


def test_nothing_is_skipped_before_anything_is_known() -> None:
    assert budget_of().why_skipped(LARGE, "a", math.inf, 0.0) is None


def test_nothing_is_started_after_the_budget() -> None:
    assert "1m 40s is spent" in str(budget_of(100.0).why_skipped(SMALL, "a", 0.5, 100.0))


def test_a_hopeless_cell_is_skipped_with_its_prediction_and_another_backends_is_not() -> None:
    budget = budget_of(case_timeout_s=1.9)
    budget.learn(SMALL, timed("a", 1_000_000))
    budget.learn(SMALL, timed("b", 100_000))

    # A thousand times larger: 1 s a call, four calls before timing.
    assert budget.why_skipped(LARGE, "a", math.inf, 0.0) == (
        "predicted 1 s a call from 1 finished cells; checking it could be broken off by --case-timeout 2s; give more,"
        " or another backend"
    )
    assert budget.why_skipped(LARGE, "b", math.inf, 0.0) is None


def test_what_a_share_does_not_suffice_for_is_skipped_dearest_first_but_two_are_always_tried() -> None:
    settings = RunSettings(backends=("a", "b", "c"), threads=1, seed=0, budget_s=100.0)
    budget = TimedBudget(settings)
    for backend, call_ns in (("a", 1_000_000), ("b", 2_000_000), ("c", 3_000_000)):
        budget.learn(SMALL, timed(backend, call_ns))

    # A thousand times larger: 1, 2 and 3 s a call, of which each takes four.
    assert budget.why_skipped(LARGE, "c", 24.1, 0.0) is None
    assert "of which 2 quicker backends need 12s" in (budget.why_skipped(LARGE, "c", 23.9, 0.0) or "")
    assert budget.why_skipped(LARGE, "b", 1.0, 0.0) is None
    assert budget.order(LARGE, ["c", "a", "b"]) == ["a", "b", "c"]
