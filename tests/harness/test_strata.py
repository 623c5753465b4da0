"""Samples hold every kind of problem, cost less than a plain draw, and are the same again."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest

from backends import ConvProblem
from harness import strata
from harness.cases import Case
from harness.workloads import load_suite


def case_of(descriptor: str, group: str = "g") -> Case:
    return Case(problem=ConvProblem.parse(descriptor), suite="s", group=group)


@pytest.fixture(scope="module")
def everything() -> tuple[Case, ...]:
    return load_suite("all").cases


def values_of(cases: tuple[Case, ...], level: int) -> set[tuple[strata.Value, ...]]:
    return {values for case in cases for values in itertools.combinations(strata.properties(case), level)}


@pytest.mark.parametrize(("level", "n"), [(1, 40), (2, 120), (11, 600)])
def test_each_value_then_each_pair_then_each_combination_occurs_as_far_as_n_goes(
    everything: tuple[Case, ...], level: int, n: int
) -> None:
    assert values_of(strata.sample(everything, n, seed=3), level) == values_of(everything, level)


def test_a_sample_has_so_many_cases_each_once_in_their_order(everything: tuple[Case, ...]) -> None:
    for n in (1, 7, 150, 1000):
        drawn = strata.sample(everything, n, seed=0)
        assert len(drawn) == n
        rest = iter(everything)
        assert all(any(case is other for other in rest) for case in drawn)


def test_the_same_seed_draws_the_same_and_another_seed_others(everything: tuple[Case, ...]) -> None:
    assert strata.sample(everything, 150, seed=1) == strata.sample(everything, 150, seed=1)
    assert strata.sample(everything, 150, seed=1) != strata.sample(everything, 150, seed=2)


def test_all_that_there_is_is_no_sample() -> None:
    cases = (case_of("ic4ih9oc4kh3"), case_of("ic2ih9oc4kh3"))

    assert strata.sample(cases, 2, seed=0) == cases
    assert strata.sample(cases, 99, seed=0) == cases
    assert strata.sample((), 5, seed=0) == ()


@pytest.mark.parametrize("seed", range(5))
def test_the_rarest_come_first(seed: int) -> None:
    common = [case_of(f"ic4ih{size}oc4kh3") for size in range(10, 30)]
    rare = case_of("g4ic4ih10oc4kh3")

    assert strata.sample([*common, rare], 1, seed) == (rare,)


def test_the_rest_is_drawn_in_proportion() -> None:
    dense = [case_of(f"ic4ih{size}iw{size + 1}oc4kh3kw3") for size in range(50, 80)]
    strided = [case_of(f"ic4ih{size}iw{size + 1}oc4kh3kw3sh2sw2") for size in range(70, 160)]
    assert len(values_of((*dense, *strided), 11)) == 2

    drawn = strata.sample([*dense, *strided], 42, seed=0)

    # One of each covers the strata; the other forty are shared 1 : 3.
    assert sum(case.problem.stride == (1, 1) for case in drawn) == 11


def test_within_a_stratum_the_cheap_are_preferred_but_the_dear_occur() -> None:
    cases = [case_of(f"ic1iw{size}oc1kw1") for size in range(1000, 10000, 100)]
    assert len(values_of(tuple(cases), 11)) == 1

    drawn = [case.problem.macs_nominal for seed in range(100) for case in strata.sample(cases, 3, seed)]

    plain = statistics.mean(case.problem.macs_nominal for case in cases)
    # Weighted with 1 / sqrt(m) over m from 1000 to 10000, the mean is 4387 instead of 5450.
    assert statistics.mean(drawn) == pytest.approx(4387, rel=0.1)
    assert max(drawn) > plain * 1.7
    assert math.isclose(plain, 5450)


@pytest.mark.parametrize(
    ("descriptor", "name", "value"),
    [
        ("ic4iw9oc4kw3", "axes", 1),
        ("ic4id9oc4kd3", "axes", 3),
        ("ic4ih9oc4kh3", "channels", "dense"),
        ("g2ic4ih9oc4kh3", "channels", "grouped"),
        ("g4ic4ih9oc4kh3", "channels", "depthwise"),
        ("g4ic4ih9oc8kh3", "channels", "multiplier"),
        ("ic4ih9iw9oc4kh3kw3sw2", "strided", True),
        ("ic4ih9iw9oc4kh3kw3", "strided", False),
        ("ic4ih9iw9oc4kh3kw3dw1", "dilated", True),
        ("ic4ih9oc4kh3", "padding", "none"),
        ("ic4ih9oc4kh3ph1", "padding", "symmetric"),
        ("ic4iw9oc4kw3pw1ew0", "padding", "asymmetric"),
        ("ic4ih9oc4kh3ph3", "padding", "larger than kernel"),
        ("ic4ih9oc4kh3ph2dh1", "padding", "symmetric"),
        ("ic4ih2oc4kh3ph1", "kernel beyond input", True),
        ("ic4ih3oc4kh3ph1", "kernel beyond input", False),
        ("ic4ih3oc4kh2dh2ph1", "kernel beyond input", True),
        ("ic4ih9oc4kh1", "pointwise", True),
        ("ic4ih9iw9oc4kh1kw3", "pointwise", False),
        ("ic4ih9iw1oc4kh3kw1", "axis of size 1", True),
        ("ic1iw9oc1kw1", "magnitude", 1),
        ("ic1iw10oc1kw1", "magnitude", 2),
    ],
)
def test_properties_say_what_kind_of_problem_it_is(descriptor: str, name: str, value: object) -> None:
    assert dict(strata.properties(case_of(descriptor)))[name] == value


def test_groups_of_one_source_are_one_stratum() -> None:
    one, other, third = (
        dict(strata.properties(case_of("ic4iw9oc4kw3", group)))["source"]
        for group in ("oneDNN:shapes_1d", "oneDNN:shapes_3d", "DeepBench:conv")
    )

    assert one == other != third
