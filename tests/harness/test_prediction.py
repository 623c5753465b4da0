from __future__ import annotations

import math

import pytest

from backends import ConvProblem
from harness.prediction import CostModel

PROBLEMS = [
    ConvProblem.parse(f"ic{c}ih{h}oc{c}kh{k}ph{k // 2}") for c in (1, 4, 16) for h in (8, 32) for k in (1, 3, 7)
]


def model_of(cost_ns) -> CostModel:  # type: ignore[no-untyped-def]
    model = CostModel()
    for problem in PROBLEMS[:-3]:
        model.learn(problem, cost_ns(problem))
    return model


@pytest.mark.parametrize(("per_output", "per_mac"), [(5000.0, 0.5), (5000.0, 0.0), (0.0, 0.02), (3.0, 2.0)])
def test_costs_per_output_and_per_multiply_add_are_found_and_extrapolated(per_output: float, per_mac: float) -> None:
    def cost(problem: ConvProblem) -> float:
        return per_output * math.prod(problem.y_shape) + per_mac * problem.macs_nominal

    large = ConvProblem.parse("ic64ih112oc64kh3ph1")

    assert model_of(cost).predict_ns(large) == pytest.approx(cost(large), rel=1e-6)


def test_a_fixed_cost_of_each_call_does_not_make_predictions_negative() -> None:
    model = model_of(lambda _: 50_000.0)

    assert all((model.predict_ns(problem) or 0) > 0 for problem in PROBLEMS)


def test_nothing_is_predicted_before_anything_was_measured() -> None:
    assert CostModel().predict_ns(PROBLEMS[0]) is None


def test_one_measurement_scales_by_its_larger_share() -> None:
    model = CostModel()
    model.learn(ConvProblem.parse("ic1ih11oc1kh2"), 100.0)

    assert model.predict_ns(ConvProblem.parse("ic1ih21oc1kh2")) == pytest.approx(400.0)
