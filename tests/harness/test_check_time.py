from __future__ import annotations

import itertools

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


def learnt(seconds_of: dict[ConvProblem, float]) -> CheckTime:
    time = CheckTime()
    for problem, seconds in seconds_of.items():
        time.learn(problem, seconds)
    return time


@given(
    constant=st.floats(0.001, 0.1),
    rates=st.tuples(*[st.just(0.0) | st.floats(1e-6, 1e-3)] * 4),
)
def test_times_that_follow_the_model_are_predicted_exactly(
    constant: float, rates: tuple[float, float, float, float]
) -> None:
    def truth(problem: ConvProblem) -> float:
        terms = (elements(problem), outputs(problem), problem.macs_nominal, spectra(problem))
        return constant + sum(rate * term for rate, term in zip(rates, terms, strict=True))

    time = learnt({problem: truth(problem) for problem in SIZES})

    large = ConvProblem.parse("ic32ih64oc64kh3")
    assert time.predict_s(large) == pytest.approx(truth(large), rel=1e-3)


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
    bare, padded = ConvProblem.parse("ic1iw9oc1kw3"), ConvProblem.parse("ic1iw9oc1kw3pw1000sw1000")
    time = CheckTime()
    for iw in (100, 200, 300, 400):
        time.learn(ConvProblem.parse(f"ic1iw{iw}oc1kw{iw}"), iw * 1e-3)

    small, large = time.predict_s(bare), time.predict_s(padded)

    assert small is not None
    assert large is not None
    assert large > 10 * small


def test_only_the_latest_are_remembered() -> None:
    time = CheckTime()
    for _ in range(100):
        time.learn(SIZES[0], 100.0)
    for _ in range(64):
        time.learn(SIZES[0], 1.0)

    assert time.predict_s(SIZES[0]) == pytest.approx(1.0)
    assert len(time) == 64


def test_too_few_say_nothing() -> None:
    time = CheckTime()
    assert time.predict_s(SIZES[0]) is None
    time.learn(SIZES[0], 1.0)
    time.learn(SIZES[1], 1.0)
    assert time.predict_s(SIZES[0]) is None
    time.learn(SIZES[2], 1.0)
    assert time.predict_s(SIZES[0]) == pytest.approx(1.0)
