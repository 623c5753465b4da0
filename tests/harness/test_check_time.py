from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import ConvProblem
from harness.check_time import CheckTime

SIZES = [
    ConvProblem.parse(f"ic{c}ih{h}oc{k}kh{r}") for c, h, k, r in itertools.product((1, 8), (8, 20), (1, 16), (1, 3, 7))
]


def elements(problem: ConvProblem) -> int:
    return problem.C_in * problem.spatial[0] ** 2 + problem.C_out * problem.accumulation_length


def spectra(problem: ConvProblem) -> int:
    return problem.C_in * problem.C_out * problem.spatial[0] ** 2


def outputs(problem: ConvProblem) -> int:
    return problem.C_out * problem.out[0] ** 2


LARGE = ConvProblem.parse("ic32ih64oc64kh3")


def learnt(seconds_of: dict[ConvProblem, float]) -> CheckTime:
    time = CheckTime()
    for problem, seconds in seconds_of.items():
        time.learn(problem, seconds)
    return time


def truth_of(constant: float, rates: tuple[float, ...]) -> Callable[[ConvProblem], float]:
    def truth(problem: ConvProblem) -> float:
        terms = (elements(problem), outputs(problem), problem.macs_nominal, spectra(problem))
        return constant + sum(rate * term for rate, term in zip(rates, terms, strict=True))

    return truth


@given(constant=st.floats(0.001, 0.1), rates=st.tuples(*[st.just(0.0) | st.floats(1e-6, 1e-3)] * 4))
def test_times_that_follow_the_model_are_never_predicted_longer_than_they_are(
    constant: float, rates: tuple[float, ...]
) -> None:
    truth = truth_of(constant, rates)
    time = learnt({problem: truth(problem) for problem in SIZES})

    predicted = time.predict_s(LARGE)
    assert predicted is not None
    assert predicted <= truth(LARGE) * 1.001


@pytest.mark.parametrize("which", range(4))
def test_what_makes_a_backend_slow_is_found_out(which: int) -> None:
    truth = truth_of(0.01, tuple(1e-3 if i == which else 0.0 for i in range(4)))
    time = learnt({problem: truth(problem) for problem in SIZES})

    assert time.predict_s(LARGE) == pytest.approx(truth(LARGE), rel=0.1)


@given(st.lists(st.floats(1e-3, 1e2), min_size=3, max_size=24))
def test_whatever_was_learnt_predictions_are_never_negative(seconds: list[float]) -> None:
    time = learnt(dict(zip(SIZES, seconds, strict=False)))

    for problem in SIZES:
        predicted = time.predict_s(problem)
        assert predicted is not None
        assert predicted >= 0


def test_equal_times_tell_of_a_constant() -> None:
    time = learnt(dict.fromkeys(SIZES, 0.5))

    assert time.predict_s(ConvProblem.parse("ic512ih512oc512kh9")) == pytest.approx(0.5)


def test_padding_is_read_like_input() -> None:
    time = CheckTime()
    for size in (1000, 4000, 16_000, 64_000):
        time.learn(ConvProblem.parse(f"ic1iw{size}oc1kw3sw{size}"), size * 1e-6)

    assert time.predict_s(ConvProblem.parse("ic1iw1000oc1kw3pw99500sw200000")) == pytest.approx(0.2, rel=0.01)


def test_only_the_latest_are_remembered() -> None:
    time = CheckTime()
    for _ in range(100):
        time.learn(SIZES[0], 100.0)
    for _ in range(64):
        time.learn(SIZES[0], 1.0)

    assert time.predict_s(SIZES[0]) == pytest.approx(1.0, rel=0.5)
    assert len(time) == 64


def test_too_few_say_nothing() -> None:
    time = CheckTime()
    assert time.predict_s(SIZES[0]) is None
    time.learn(SIZES[0], 1.0)
    time.learn(SIZES[1], 1.0)
    assert time.predict_s(SIZES[0]) is None
    time.learn(SIZES[2], 1.0)
    assert time.predict_s(SIZES[0]) == pytest.approx(1.0, rel=0.5)
