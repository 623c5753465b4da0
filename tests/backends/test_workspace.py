"""Predictions of memory are sizes for every problem, and follow what is computed."""

from __future__ import annotations

import pytest
from hypothesis import given
from strategies import EVERY_BACKEND, conv_problems

import backends
from backends import ConvProblem, registry

PREDICTING = [name for name in registry.names() if name != "torch"]


@pytest.mark.parametrize("spec", EVERY_BACKEND)
@given(problem=conv_problems())
def test_a_prediction_is_a_size_or_none(spec: str, problem: ConvProblem) -> None:
    said = backends.get(spec).workspace_bytes(problem)  # type: ignore[attr-defined]  # shipped backends have it

    assert (said is None) == spec.startswith("torch")
    assert said is None or (isinstance(said, int) and said >= 0)


@pytest.mark.parametrize("name", PREDICTING)
def test_a_batch_twice_as_large_needs_more_for_its_padded_input(name: str) -> None:
    problem = ConvProblem(C_in=16, C_out=16, spatial=(200, 200), kernel=3, padding=1)
    backend = backends.get(name)

    one, two = (backend.workspace_bytes(problem.replace(N=n)) for n in (1, 2))  # type: ignore[attr-defined]

    assert two - one >= 16 * 202 * 202 * 4


def test_an_unpadded_direct_loop_needs_next_to_nothing() -> None:
    problem = ConvProblem(N=8, C_in=64, C_out=64, spatial=(100, 100), kernel=3)

    assert backends.get("naive").workspace_bytes(problem) == 64 * 9 * 4  # type: ignore[attr-defined]
    assert backends.get("numba").workspace_bytes(problem) == 64 * 4  # type: ignore[attr-defined]


def test_columns_stay_within_their_limit() -> None:
    problem = ConvProblem(C_in=64, C_out=64, spatial=(200, 200), kernel=3)

    said = backends.get("im2col[workspace_mb=1]").workspace_bytes(problem)  # type: ignore[attr-defined]

    assert said <= 1 << 20 or said == 64 * 9 * 198 * 4
