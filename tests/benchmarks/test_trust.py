"""The parts of the trust scripts that compute, on samples made by hand; and that the scripts run at all."""

from __future__ import annotations

import importlib
import json
import math
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends import ConvProblem
from benchmarks.trust import against_others, controlled_backends, measured, own_cost, rival_rules, rival_tools
from benchmarks.trust.__main__ import SCRIPTS
from benchmarks.trust.neighbour import Manner, neighbours
from benchmarks.trust.outcome import Outcome, as_markdown, as_text
from benchmarks.trust.page import page
from harness.records import CaseKey, Cell, Status
from harness.stats import Interval

ROOT = Path(__file__).parents[2]

STEADY = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8, 100.1, 99.9, 100.0] * 2
MUCH_SLOWER = [1.5 * ns for ns in STEADY]
SLIGHTLY_SLOWER = [1.03 * ns for ns in STEADY]


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_states_its_claim_and_has_options(name: str) -> None:
    module = importlib.import_module(f"benchmarks.trust.{name}")

    assert module.__doc__.startswith("Claim: ")
    assert "Method: " in module.__doc__
    assert callable(module.measure)
    assert callable(module.options)


@pytest.mark.parametrize("rule", rival_rules.RULES.values(), ids=rival_rules.RULES.keys())
def test_every_rule_sees_half_as_much_again_and_nothing_in_the_same_samples(rule: rival_rules.Rule) -> None:
    assert rule(STEADY, MUCH_SLOWER)
    assert rule(MUCH_SLOWER, STEADY)
    assert not rule(STEADY, STEADY[::-1])


def test_only_the_factor_of_asv_compare_hides_three_per_cent_in_steady_samples() -> None:
    said = rival_rules.verdicts(STEADY, SLIGHTLY_SLOWER)

    assert {words for words, differs in said.items() if not differs} == {"asv compare: the same, and a factor of 1.1"}


def test_the_minimum_is_fooled_by_one_lucky_sample_where_the_tests_are_not() -> None:
    lucky = [*STEADY[:-1], 90.0]

    assert rival_rules.minima_differ(STEADY, lucky)
    assert not rival_rules.student_differs(STEADY, lucky)
    assert not rival_rules.asv_differs(STEADY, lucky)


def test_hyperfines_deviation_is_of_the_samples_so_that_a_noisy_but_clear_difference_is_missed() -> None:
    draw = random.Random(0)
    first = [100 + draw.gauss(0, 10) for _ in range(400)]
    second = [105 + draw.gauss(0, 10) for _ in range(400)]

    assert not rival_rules.means_differ(first, second)
    assert rival_rules.student_differs(first, second)


def test_students_t_test_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    draw = random.Random(1)
    for shift in (0.0, 1.0, 2.0, 3.0):
        first = [100 + draw.gauss(0, 3) for _ in range(20)]
        second = [100 + shift + draw.gauss(0, 3) for _ in range(31)]
        assert rival_rules.student_differs(first, second) == (stats.ttest_ind(first, second).pvalue <= 0.05)


def test_students_t_test_calls_five_in_a_hundred_equal_pairs_different() -> None:
    draw = np.random.default_rng(2)
    pairs = draw.normal(100, 5, (1000, 2, 15))

    assert 30 <= sum(rival_rules.student_differs(a, b) for a, b in pairs) <= 70


def test_asv_needs_seven_samples_a_side_to_reach_its_level() -> None:
    first = [1 + 0.01 * place for place in range(7)]
    second = [ns + 1 for ns in first]

    assert rival_rules.asv_differs(first, second)
    assert not rival_rules.asv_differs(first[:6], second[:6]), "the least p is 2 / C(12, 6) = 0.0022"


def test_one_sample_a_side_is_no_ground_for_any_rule() -> None:
    assert not any(rival_rules.verdicts([1.0], [2.0]).values())


def test_the_combined_interval_has_the_errors_of_both_medians() -> None:
    alone = against_others.combined_interval(STEADY, [100.0] * 20)
    both = against_others.combined_interval(STEADY, STEADY)

    assert alone.half_width_fraction is not None
    assert both.half_width_fraction == pytest.approx(math.sqrt(2) * alone.half_width_fraction, rel=0.02)


@pytest.mark.parametrize("interval", [against_others.combined_interval, against_others.bootstrap_interval])
def test_a_rivals_interval_covers_the_true_ratio_about_as_often_as_it_says(interval: object) -> None:
    assert callable(interval)
    draw = np.random.default_rng(3)
    tries = 100
    covered = 0
    for _ in range(tries):
        found = interval(draw.normal(120, 5, 25), draw.normal(100, 5, 25))
        covered += found.low <= 1.2 <= found.high

    assert 0.88 * tries <= covered <= tries


def test_the_kindest_interval_is_the_narrower() -> None:
    both = (against_others.combined_interval(STEADY, STEADY), against_others.bootstrap_interval(STEADY, STEADY))

    assert against_others.kindest_interval(STEADY, STEADY) in both
    assert against_others.kindest_interval(STEADY, STEADY).half_width_fraction == min(
        each.half_width_fraction or math.inf for each in both
    )


def series(name: str, low: float, high: float, turns: int = 10) -> against_others.Series:
    turn = rival_tools.Measured(
        samples_ns=((1.0,), (1.0,)), wall_s=1.0, ratio=Interval(estimate=(low + high) / 2, low=low, high=high)
    )
    return against_others.Series(tool=name, turns=(turn,) * turns)


def test_the_claim_against_others_fails_where_ours_misses_or_another_is_right_and_narrower() -> None:
    ours, wider = series("ours", 0.98, 1.02), series("wider", 0.9, 1.1)
    narrow_but_wrong, narrower = series("wrong", 1.04, 1.05), series("narrower", 0.99, 1.01)

    assert against_others.holds([ours, wider], 1.0)
    assert against_others.holds([ours, wider, narrow_but_wrong], 1.0)
    assert not against_others.holds([ours, wider, narrower], 1.0)
    assert not against_others.holds([ours, wider], 1.03)


def test_a_size_fills_the_time_by_a_line_through_two() -> None:
    assert rival_tools.size_for({2: 5.0, 4: 7.0}, 20.0) == 17
    assert rival_tools.size_for({2: 5.0, 4: 7.0}, 1.0) == 2
    assert rival_tools.size_for({2: 5.0, 4: 4.9}, 20.0) == 4, "noise may make the larger one quicker"


def test_a_size_is_corrected_by_what_it_took() -> None:
    assert rival_tools.Pyperf().adjusted(10, took_s=30.0, wanted_s=20.0) == 7
    assert rival_tools.Pyperf().adjusted(10, took_s=100.0, wanted_s=20.0) == 5
    assert rival_tools.Harness().adjusted(18, took_s=24.0, wanted_s=20.0) == 14
    assert rival_tools.Harness().adjusted(18, took_s=6.0, wanted_s=20.0) == 20


def cell(backend: str, samples_ns: list[float], **changes: object) -> Cell:
    made = Cell(
        key=CaseKey(problem="ic1ih8oc1kh3ph1", backend=backend),
        status=Status.OK,
        reason=None,
        label="",
        count=1,
        suite="trust",
        group="trust",
        axis=None,
        axis_value=None,
        dtype="float32",
        threads_asked=1,
        samples_ns=tuple(samples_ns),
        rounds=tuple(range(len(samples_ns))),
        calls_per_block=10,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_comparison_says_what_the_report_says() -> None:
    (differs,) = measured.comparisons([cell("a", STEADY), cell("b", MUCH_SLOWER)], "a", "b")
    (tie,) = measured.comparisons([cell("a", STEADY), cell("b", STEADY[::-1]), cell("c", MUCH_SLOWER)], "a", "b")

    assert differs.faster == "a"
    assert differs.ratio.estimate == pytest.approx(1.5)
    assert tie.faster is None


def test_a_cell_without_a_time_is_compared_with_nothing_and_told() -> None:
    lost = cell("b", [], status=Status.CRASHED, reason="it fell over")

    assert measured.comparisons([cell("a", STEADY), lost], "a", "b") == ()
    assert measured.failures([cell("a", STEADY), lost]) == ("b on ic1ih8oc1kh3ph1: crashed: it fell over",)


def test_time_in_blocks_counts_every_call() -> None:
    from benchmarks.trust.command_line import TimedRun
    from harness.store import StoredRun

    cells = (cell("a", [100.0, 200.0]), cell("a", [100.0, 200.0], group="shown again"), cell("b", [400.0]))
    header = measured._header(("a", "b"), 3)
    run = TimedRun(stored=StoredRun(folder=ROOT, header=header, cells=cells, torn_line=None), wall_s=1.0)

    assert own_cost.in_blocks_s(run) == pytest.approx(10 * 700e-9)


def test_controlled_backends_answer_rightly_and_repeat_as_often_as_they_say() -> None:
    problem = ConvProblem.parse(controlled_backends.TINY)
    weight, x = np.ones(problem.weight_shape, np.float32), np.ones(problem.x_shape, np.float32)
    expected = controlled_backends.Im2colBackend().prepare(problem, weight)(x)
    for backend in (
        controlled_backends.Lasts(microseconds=1),
        controlled_backends.Repeats(times=3),
        controlled_backends.Repeats(times=3, twin=True),
    ):
        np.testing.assert_array_equal(backend.prepare(problem, weight)(x), expected)

    calls: list[object] = []
    backend = controlled_backends.Repeats(times=7)
    backend._right.prepare = lambda *_: calls.append  # type: ignore[assignment,method-assign]
    backend.prepare(problem, weight)(x)
    assert len(calls) == 7


def test_a_call_of_known_duration_ends_when_the_clock_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 100_000, 1_000))
    monkeypatch.setattr(controlled_backends.time, "perf_counter_ns", lambda: next(ticks))
    problem = ConvProblem.parse(controlled_backends.TINY)
    call = controlled_backends.Lasts(microseconds=5).prepare(problem, np.ones(problem.weight_shape, np.float32))
    call(np.ones(problem.x_shape, np.float32))

    assert next(ticks) == 6_000, "read at 0, then until 5 us have passed"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="pinning is Linux's")
@pytest.mark.parametrize("manner", [Manner.STEADY, Manner.ROAMING, Manner.CROWDED])
def test_a_neighbour_is_pinned_while_the_block_lasts_and_gone_afterwards(manner: Manner) -> None:
    seen: list[int] = []

    def measure() -> None:
        with neighbours(manner, limit_s=60) as pids:
            seen.extend(pids)
            assert all(len(os.sched_getaffinity(pid)) == 1 for pid in pids)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measure()
    assert len(seen) == (len(os.sched_getaffinity(0)) if manner is Manner.CROWDED else 1)
    for pid in seen:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_no_neighbour_is_no_process() -> None:
    with neighbours(Manner.NONE, limit_s=1) as pids:
        assert pids == ()


def test_a_neighbour_that_ended_too_early_spoils_the_measurement_loudly() -> None:
    def measure() -> None:
        with neighbours(Manner.STEADY, limit_s=0.0) as (pid,):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(RuntimeError, match="ended"):
        measure()


OUTCOME = Outcome(
    name="some_claim",
    claim="It is so.",
    holds=False,
    columns=("what", "how much"),
    rows=(("a|b", "1"), ("c", "22")),
    notes=("roughly",),
    numbers={"x": [1, 2]},
    machine="a machine",
    command="python -m it",
)


def test_an_outcome_survives_its_file() -> None:
    assert Outcome.of_json(json.loads(json.dumps(OUTCOME.as_json()))) == OUTCOME


def test_an_outcome_reads_as_text_and_as_a_page_and_says_that_it_failed() -> None:
    assert "FAILS: It is so." in as_text(OUTCOME)
    assert "| a\\|b | 1 |" in as_markdown(OUTCOME)
    assert "Does not hold." in as_markdown(OUTCOME)
    assert "Of 2 claims about this harness, 1 holds" in page([OUTCOME, replace(OUTCOME, holds=True)])
    assert "Smoke runs" in page([replace(OUTCOME, is_quick=True)])


def test_a_row_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="2 entries"):
        replace(OUTCOME, rows=(("a", "b", "c"),))


def test_a_quick_startup_writes_its_numbers_and_its_exit_code_is_its_verdict(tmp_path: Path) -> None:
    saved = tmp_path / "startup.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.trust.startup", "--quick", "--json", str(saved)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    outcome = Outcome.of_json(json.loads(saved.read_text()))
    assert done.returncode == (0 if outcome.holds else 1), done.stdout + done.stderr
    assert outcome.is_quick
    assert all(len(walls) == 3 for walls in outcome.numbers["walls_s"].values())
    assert outcome.claim in done.stdout
