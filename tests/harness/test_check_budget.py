from __future__ import annotations

import math

import pytest

from backends import ConvProblem
from harness.check_budget import CheckBudget
from harness.entry import Entry
from harness.plan import RunSettings
from harness.records import Status


def problem_of(size: int) -> ConvProblem:
    """So many outputs, multiply-adds and elements."""
    return ConvProblem.parse(f"ic1iw{size}oc1kw1")


def budget_of(budget_s: float = math.inf, *, case_timeout_s: float = 30.0, jobs: int = 1) -> CheckBudget:
    return CheckBudget(
        RunSettings(
            backends=("quick", "slow"),
            threads=1,
            seed=0,
            budget_s=budget_s,
            case_timeout_s=case_timeout_s,
            is_timed=False,
            jobs=jobs,
        )
    )


def experienced(budget: CheckBudget, sizes: range = range(100, 1100, 100)) -> CheckBudget:
    """After checks of 0.01 s plus 1 µs or 1 ms an output, with free references."""
    for size in sizes:
        for backend, per_output_s in (("quick", 1e-6), ("slow", 1e-3)):
            budget.learn(problem_of(size), Entry(backend=backend, spent_s=0.01 + per_output_s * size))
        budget.learn_reference(problem_of(size), 1e-9)
    return budget


def test_without_a_budget_all_is_checked_that_is_sure_to_end_within_its_limit() -> None:
    budget = experienced(budget_of(case_timeout_s=30.0))
    share_s = budget.share_s(problem_of(2000), [problem_of(10**9)] * 1000, 1e9)

    assert budget.why_skipped(problem_of(14_000), "slow", share_s, 1e9) is None
    assert budget.why_skipped(problem_of(16_000), "slow", share_s, 1e9) == (
        "checking is predicted to take 16s from the last 10 problems, which could be broken off by"
        " --case-timeout 30s; give twice what is predicted"
    )
    assert budget.why_skipped(problem_of(16_000), "quick", share_s, 1e9) is None


def test_nothing_is_skipped_before_enough_is_known() -> None:
    budget = budget_of()
    for size in (1, 2):
        budget.learn(problem_of(size), Entry(backend="slow", spent_s=5.0))

    assert budget.why_skipped(problem_of(10**9), "slow", math.inf, 0.0) is None


def test_what_timed_out_is_not_tried_again_on_something_larger() -> None:
    budget = budget_of(case_timeout_s=30.0)
    for size in (1000, 1100, 1200):
        budget.learn(problem_of(size), Entry(backend="slow", status=Status.TIMEOUT, spent_s=30.0))

    assert budget.why_skipped(problem_of(1300), "slow", math.inf, 0.0) is not None


def test_what_was_declined_or_crashed_tells_nothing() -> None:
    budget = budget_of()
    for status in (Status.UNSUPPORTED, Status.CRASHED, Status.SKIPPED):
        for size in range(100, 1000, 100):
            budget.learn(problem_of(size), Entry(backend="slow", status=status, spent_s=size * 1.0))

    assert budget.why_skipped(problem_of(10**6), "slow", math.inf, 0.0) is None


def test_a_reference_that_would_be_broken_off_is_not_begun() -> None:
    budget = budget_of()
    for size in range(100, 1000, 100):
        budget.learn_reference(problem_of(size), size * 0.1)

    assert "computing the reference is predicted to take" in str(
        budget.why_skipped(problem_of(10**4), "quick", math.inf, 0.0)
    )


def test_a_constant_cost_of_tiny_problems_does_not_make_a_large_one_hopeless() -> None:
    budget = budget_of()
    noise = (0.9, 1.3, 1.0, 1.1, 0.95, 2.0, 1.05)
    for i, size in enumerate(range(1, 3000, 40)):
        budget.learn(problem_of(size), Entry(backend="quick", spent_s=0.03 * noise[i % len(noise)]))

    assert budget.why_skipped(problem_of(10**6), "quick", math.inf, 0.0) is None


@pytest.mark.parametrize("cold_s", [0.5, 5.0])
def test_a_cold_start_does_not_make_everything_after_it_hopeless(cold_s: float) -> None:
    budget = budget_of()
    for size, spent_s in ((2, cold_s), (4, 0.03), (8, 0.03), (16, 0.03)):
        budget.learn(problem_of(size), Entry(backend="quick", spent_s=spent_s))

    assert budget.why_skipped(problem_of(10**4), "quick", math.inf, 0.0) is None


def test_a_budget_buys_the_cheapest_cells() -> None:
    budget = experienced(budget_of(40.0))
    sizes = [2000, 4000, 8000, 16_000, 32_000]
    problems = [problem_of(size) for size in sizes]

    # With "slow", 2 + 4 + 8 + 16 s fit into the time left and 32 s do not; "quick" takes next to nothing.
    share_s = budget.share_s(problems[0], problems[1:], 5.0)

    assert share_s == pytest.approx(32, rel=0.01)
    for problem in problems[:3]:
        assert budget.why_skipped(problem, "slow", share_s, 5.0) is None
    assert budget.share_s(problems[0], problems[1:], 20.0) == pytest.approx(16, rel=0.01)
    assert "the budget suffices for what takes less than 16 s" in str(
        experienced(budget_of(40.0, case_timeout_s=100)).why_skipped(problems[3], "slow", 16.0, 20.0)
    )


def test_jobs_have_the_whole_time_each() -> None:
    problems = [problem_of(size) for size in (2000, 4000, 8000)]

    assert experienced(budget_of(8.0)).share_s(problems[0], problems[1:], 0.0) == pytest.approx(8, rel=0.01)
    assert experienced(budget_of(8.0, jobs=2)).share_s(problems[0], problems[1:], 0.0) == math.inf


def test_the_parts_of_a_reference_count_as_well() -> None:
    budget = budget_of(10.0)
    for size in range(100, 1100, 100):
        budget.learn_reference(problem_of(size), size * 1e-3)
    problems = [problem_of(size) for size in (4000, 8000)]

    assert budget.share_s(problems[0], problems[1:], 0.0) == pytest.approx(4.0, rel=0.01)


def test_nothing_is_started_after_the_budget() -> None:
    assert "1m 40s is spent" in str(budget_of(100.0).why_skipped(problem_of(1), "quick", 1.0, 100.0))
