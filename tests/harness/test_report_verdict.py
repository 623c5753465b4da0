"""Who wins, what ties, where the lead changes, and what a total or a break-even is made of."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.problem import ConvProblem
from benchmarks import interval_coverage
from harness.records import Cell, Status
from harness.report.accuracy import accuracy_of
from harness.report.canvas import spread_apart
from harness.report.findings import Findings, find
from harness.report.lifecycle import Lifecycle, calls_to_pay_off
from harness.report.lines import LineKind
from harness.report.networks import BEST_OF_EACH, network_totals
from harness.report.numbers import number_table
from harness.report.palette import looks, readable
from harness.report.sentences import verdict_lines
from harness.report.summary import summary_frame
from harness.report.verdict import judge
from tests.harness.test_report_runs import BACKENDS, cell, checked, example_run, header

EXACT = 0.001
"""Relative spread of samples whose intervals are far narrower than any difference in these tests."""


def samples(median_ns: float, spread: float = EXACT) -> list[float]:
    return [median_ns * (1 + spread * math.sin(3 * n)) for n in range(15)]


def findings(*cells: Cell, **changes: object) -> Findings:
    return find(header(cells_planned=len(cells), **changes), cells)


def sweep(times: Mapping[str, Sequence[float]], values: Sequence[float] = (3, 5, 7, 9)) -> Findings:
    """A kernel sweep in which each backend takes the given times."""
    return findings(
        *(
            cell(
                backend,
                samples_ns=samples(ns),
                problem=ConvProblem(C_in=8, C_out=8, spatial=(32, 32), kernel=int(value)),
                group="kernel",
                axis="kernel",
                axis_value=value,
            )
            for backend, column in times.items()
            for value, ns in zip(values, column, strict=True)
        )
    )


def said(found: Findings, kind: LineKind) -> str:
    return "\n".join(line.text for line in verdict_lines(found) if line.kind is kind)


def only_case(*cells: Cell):
    return judge(findings(*cells).groups[0].group.cases[0])


def test_the_smallest_median_wins_and_the_others_are_told_by_their_ratio() -> None:
    verdict = only_case(cell("torch", samples_ns=samples(3e6)), cell("numba", samples_ns=samples(1e6)))
    assert verdict.outright == "numba"
    ratio = verdict.by_backend["torch"].ratio
    assert ratio.estimate == pytest.approx(3, rel=0.01)
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low <= ratio.estimate <= ratio.high


def test_backends_whose_ratio_interval_reaches_one_are_named_a_tie() -> None:
    noisy = [1e6 * (1 + 0.05 * math.sin(7 * n)) for n in range(15)]
    verdict = only_case(cell("numba", samples_ns=samples(1e6)), cell("torch", samples_ns=noisy))
    assert verdict.outright is None
    assert set(verdict.leaders) == {"numba", "torch"}


def test_drift_that_hits_both_backends_does_not_hide_a_small_difference() -> None:
    drift = [1 + 0.5 * n / 15 for n in range(15)]
    verdict = only_case(
        cell("numba", samples_ns=[1e6 * d for d in drift]), cell("torch", samples_ns=[1.02e6 * d for d in drift])
    )
    assert verdict.outright == "numba"


def test_one_sample_each_gives_no_interval_and_no_verdict_on_a_small_difference() -> None:
    close = only_case(cell("numba", samples_ns=[1e6]), cell("torch", samples_ns=[1.03e6]))
    assert close.by_backend["torch"].ratio.low is None
    assert close.outright is None
    assert only_case(cell("numba", samples_ns=[1e6]), cell("torch", samples_ns=[9e6])).outright == "numba"


def test_a_few_samples_tell_backends_apart_only_if_every_pair_does() -> None:
    numba = cell("numba", samples_ns=[1e6, 1e6, 1e6])
    assert only_case(numba, cell("torch", samples_ns=[1.2e6, 1.3e6, 1.1e6])).outright == "numba"
    assert only_case(numba, cell("torch", samples_ns=[1.2e6, 1.3e6, 0.9e6])).outright is None


def test_a_crossover_seen_with_few_samples_says_so() -> None:
    found = sweep({"numba": [1e6, 2e6, 4e6, 8e6], "fft": [5e6, 5e6, 5e6, 5e6]})
    few = [dataclasses.replace(one, samples_ns=one.samples_ns[:3], rounds=one.rounds[:3]) for one in found.cells]
    assert "between kernel size 7 and 9, on few samples" in said(findings(*few), LineKind.WHEN)


def test_groups_and_cases_keep_the_order_of_the_plan_and_not_of_finishing() -> None:
    early, late = (
        cell("numba", group="first"),
        cell("numba", group="second", problem=ConvProblem(C_in=1, C_out=1, spatial=(9,), kernel=3)),
    )
    found = findings(late, early, plan=(early.key, late.key))
    assert [item.group.title for item in found.groups] == ["first", "second"]


def test_a_difference_below_the_noise_floor_is_a_tie_even_with_a_narrow_interval() -> None:
    run = findings(cell("numba", samples_ns=samples(1e6)), cell("torch", samples_ns=samples(1.02e6)))
    case = run.groups[0].group.cases[0]
    assert judge(case).outright == "numba"
    assert judge(case, noise_floor=0.03).outright is None


def twin_cells(*differences: float) -> list[Cell]:
    """A backend run against itself on as many problems, its second process slower by these relative differences."""
    return [
        cell(
            "numba",
            samples_ns=samples(1e6),
            twin_ns=tuple(samples(1e6 * (1 + difference))),
            twin_rounds=tuple(range(15)),
            problem=ConvProblem(C_in=1 + place, C_out=1, spatial=(9,), kernel=3),
        )
        for place, difference in enumerate(differences)
    ]


def test_what_a_backend_differs_from_itself_is_no_win_over_another() -> None:
    ours = cell("numba", samples_ns=samples(1e6)), cell("torch", samples_ns=samples(1.02e6))
    steady, shaky = findings(*ours, *twin_cells(*[0.001] * 20)), findings(*ours, *twin_cells(*[0.03] * 20))
    assert [found.groups[0].verdict.verdicts[0].outright for found in (steady, shaky)] == ["numba", None]
    assert "A/A pairs: 20; differences under 4.6 % cannot be seen in this run" in said(shaky, LineKind.SURE)


def test_a_floor_given_by_hand_is_the_one_that_counts_and_is_told() -> None:
    cells = [cell("numba", samples_ns=samples(1e6)), cell("torch", samples_ns=samples(1.02e6)), *twin_cells(0.001)]
    found = find(header(cells_planned=len(cells)), cells, noise_floor=0.05)
    assert found.groups[0].verdict.verdicts[0].outright is None
    assert "differences under 5 % cannot be seen" in said(found, LineKind.SURE)


def test_a_wrong_backend_has_no_part_in_the_noise_floor() -> None:
    wrong = [dataclasses.replace(one, status=Status.WRONG) for one in twin_cells(*[0.3] * 3)]
    assert findings(cell("torch"), *wrong).twins is None


def test_of_two_hundred_comparisons_of_equals_on_a_busy_machine_two_at_most_are_called_wins() -> None:
    # On average: a floor is made of chance itself. Without one it is over sixty.
    machine, rng = interval_coverage.Machine(), random.Random(1)
    called = 0
    for _ in range(4):
        floor = interval_coverage.floor_of(machine, 24, rng)
        called += interval_coverage.differences_called(machine, (1.0, 1.0), floor, 100, rng)
    assert called <= 4
    assert interval_coverage.differences_called(machine, (1.0, 1.0), 0.0, 100, rng) > 20


def test_a_slowdown_of_five_percent_is_found_in_95_of_100_tries() -> None:
    machine, rng = interval_coverage.Machine(burst_share=0.05, offset=0.005), random.Random(2)
    floor = interval_coverage.floor_of(machine, 24, rng)
    assert interval_coverage.differences_called(machine, (1.0, 1.05), floor, 100, rng) >= 95


@pytest.mark.parametrize("status", [status for status in Status if status not in (Status.OK, Status.NOISY)])
def test_no_cell_that_is_not_right_ever_wins_however_fast(status: Status) -> None:
    verdict = only_case(cell("torch", samples_ns=[1.0] * 9, status=status), cell("numba", samples_ns=samples(1e6)))
    assert verdict.leaders == ("numba",)


def test_a_noisy_cell_takes_part() -> None:
    verdict = only_case(cell("torch", samples_ns=samples(1e6), status=Status.NOISY), cell("naive", samples_ns=[9e9]))
    assert verdict.outright == "torch"


def test_a_wrong_backend_is_the_first_line_of_the_verdict_with_its_count() -> None:
    found = sweep({"numba": [1e6] * 4, "torch": [2e6] * 4})
    cells = [
        dataclasses.replace(one, status=Status.WRONG, reason="off by one", samples_ns=(), rounds=())
        if one.key.backend == "torch" and one.axis_value == 5
        else one
        for one in found.cells
    ]
    first = verdict_lines(findings(*cells))[0]
    assert first.kind is LineKind.WRONG
    assert "torch is WRONG on 1 of 4 problems" in first.text
    assert "off by one" in first.text


def test_a_crossover_is_found_where_the_winner_changes() -> None:
    found = sweep({"numba": [1e6, 2e6, 4e6, 8e6], "fft": [5e6, 5e6, 5e6, 5e6]})
    assert "fft overtakes numba between kernel size 7 and 9" in said(found, LineKind.WHEN)


def test_a_tie_on_the_way_does_not_move_the_crossover_and_is_told() -> None:
    found = sweep({"numba": [1e6, 2e6, 5e6, 8e6], "fft": [5e6, 5e6, 5e6, 5e6]})
    assert "fft overtakes numba between kernel size 7 and 9 (a tie at 7)" in said(found, LineKind.WHEN)


def test_crossovers_follow_the_axis_and_not_the_order_of_the_cells() -> None:
    found = sweep({"numba": [8e6, 1e6, 4e6, 2e6], "fft": [5e6, 5e6, 5e6, 5e6]}, values=(9, 3, 7, 5))
    assert [(c.before, c.after, c.last, c.first) for c in found.groups[0].sweeps[0].crossovers] == [
        ("numba", "fft", 7, 9)
    ]


def test_a_backend_that_wins_everywhere_is_said_to() -> None:
    found = sweep({"numba": [1e6, 2e6, 3e6, 4e6], "fft": [2e6, 4e6, 6e6, 8e6]})
    assert "numba is fastest at every kernel size measured, 3 to 9, 2.00× ahead of the next" in said(
        found, LineKind.WHEN
    )


def test_means_are_taken_over_the_cases_that_all_compared_backends_share() -> None:
    found = sweep({"numba": [1e6] * 4, "torch": [2e6] * 4, "naive": [9e9] * 4})
    cells = [one for one in found.cells if one.key.backend != "naive" or one.axis_value == 3]
    overall = findings(*cells).overall
    means = {item.backend: item.ratio_to_best for item in overall.standings}
    assert overall.common == 4
    assert means["naive"] is None
    assert means["torch"] == pytest.approx(2, rel=0.01)


def test_break_even_is_the_first_call_at_which_the_total_is_no_larger() -> None:
    compiled = Lifecycle(prepare_ns=1000, first_call_ns=20, steady_ns=1)
    plain = Lifecycle(prepare_ns=0, first_call_ns=11, steady_ns=11)
    calls = calls_to_pay_off(compiled, plain)
    assert calls is not None
    assert compiled.total_ns(calls) <= plain.total_ns(calls)
    assert compiled.total_ns(calls - 1) > plain.total_ns(calls - 1)


def test_a_slower_steady_call_never_pays_off_and_a_cheaper_start_pays_off_at_once() -> None:
    fast = Lifecycle(prepare_ns=0, first_call_ns=1, steady_ns=1)
    slow = Lifecycle(prepare_ns=5, first_call_ns=2, steady_ns=2)
    assert calls_to_pay_off(slow, fast) is None
    assert calls_to_pay_off(fast, slow) == 1


@given(st.lists(st.integers(0, 10**6), min_size=6, max_size=6))
def test_break_even_is_minimal_for_any_costs(costs: list[int]) -> None:
    ours, rival = (
        Lifecycle(prepare_ns=costs[n], first_call_ns=costs[n + 1], steady_ns=costs[n + 2] + 1) for n in (0, 3)
    )
    calls = calls_to_pay_off(ours, rival)
    if calls is None:
        assert ours.steady_ns >= rival.steady_ns
    else:
        assert ours.total_ns(calls) <= rival.total_ns(calls)
        assert calls == 1 or ours.total_ns(calls - 1) > rival.total_ns(calls - 1)


def test_a_network_total_weighs_layers_by_count_and_says_what_it_lacks() -> None:
    def layer(name: str, count: int) -> ConvProblem:
        return ConvProblem(C_in=8, C_out=len(name), spatial=(8, 8), kernel=1, label=name, count=count)

    found = findings(
        cell("numba", samples_ns=samples(1e6), problem=layer("a", 3)),
        cell("numba", samples_ns=samples(2e6), problem=layer("bb", 2)),
        cell("torch", samples_ns=samples(0.5e6), problem=layer("a", 3)),
        cell("torch", samples_ns=(), status=Status.TIMEOUT, problem=layer("bb", 2)),
    )
    totals = {total.backend: total for total in network_totals(found.overall.verdicts, found.backends)}
    assert totals["numba"].time_ns.estimate == pytest.approx(7e6, rel=0.01)
    assert totals["numba"].is_complete
    assert not totals["torch"].is_complete
    assert (totals["torch"].layers, totals["torch"].layers_total) == (3, 5)
    assert totals[BEST_OF_EACH].time_ns.estimate == pytest.approx(5.5e6, rel=0.01)


def test_accuracy_is_the_worst_over_data_sets_and_leaves_exact_integers_out() -> None:
    outcome = checked(error=2, bound=60, bits=23).outcome("normal")
    assert outcome is not None
    picture = dataclasses.replace(outcome, name="mri", error=1, error_bound=10, effective_bits=24.5)
    worst = accuracy_of(cell(check=dataclasses.replace(checked(), outcomes=(*checked().outcomes, picture))))
    assert (worst.error, worst.error_bound) == (1, 10)
    assert worst.effective_bits == 23.5


def test_more_threads_than_asked_for_are_told() -> None:
    text = said(findings(cell("torch", threads_seen=4.0), cell("numba", threads_seen=1.9)), LineKind.SURE)
    assert "1 cell used more threads than asked for (torch)" in text


def test_a_backend_that_mostly_leaves_threads_idle_is_told() -> None:
    text = said(findings(cell("naive", threads_seen=1.0), cell("torch", threads_seen=1.8)), LineKind.SURE)
    assert "of 2 threads, these kept busy only: naive 1" in text
    assert "torch 1.8" not in text


def test_a_library_set_to_another_number_is_told() -> None:
    text = said(findings(cell("torch", thread_pools={"openblas": 4, "torch": 2}, threads_seen=2.0)), LineKind.SURE)
    assert "other than was asked for in 1 place: openblas is set to 4, asked for 2" in text
    assert "torch is set" not in text


def test_a_row_says_by_which_threads_it_was_not_computed() -> None:
    found = findings(cell("naive", threads_seen=1.0), cell("torch", threads_seen=1.9))
    notes = summary_frame(found).set_index("backend")["threads_note"]
    assert notes["naive"] == "asked for 2, used 1.0"
    assert notes["torch"] is None
    texts = {row.backend: [text for text, _ in row.columns] for row in number_table(found).rows}
    assert "asked for 2, used 1.0" in texts["naive"]
    assert "1.9" in texts["torch"]


def test_every_backend_has_one_look_and_variants_share_the_hue_of_their_family() -> None:
    look_of = looks(BACKENDS)
    assert look_of["torch"].colour == look_of["torch[layout=channels_last]"].colour
    assert look_of["torch"].line != look_of["torch[layout=channels_last]"].line
    assert look_of["numba"] == looks(["numba", "my.module:Mine"])["numba"]
    assert len({(look.colour, look.marker, str(look.line)) for look in look_of.values()}) == len(BACKENDS)


def test_colours_of_text_are_dark_enough_to_read_on_white() -> None:
    assert readable("#000000") == "#000000"
    assert readable("#e69f00") != "#e69f00"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_labels_pushed_apart_keep_their_order_and_their_distance(wanted: list[float]) -> None:
    placed = spread_apart(wanted, 0.1, 0.0, 1.0)
    ordered = sorted(placed)
    assert all(high - low >= 0.1 - 1e-9 for low, high in itertools.pairwise(ordered))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in placed)
    assert [placed[n] for n in sorted(range(len(wanted)), key=lambda n: wanted[n])] == ordered


def test_the_example_run_reads_as_it_should() -> None:
    found = find(*example_run())
    assert "fft overtakes torch between kernel size 7 and 9" in said(found, LineKind.WHEN)
    assert "torch[layout=channels_last] is WRONG on 3 of 44 problems" in said(found, LineKind.WRONG)
