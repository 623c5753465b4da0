from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import conv_problems

from backends import Algorithm, ConvProblem
from harness import error_model, inputs, reference
from harness.error_model import Tolerance

SHORT, LONG = ConvProblem.parse("ic4ih8oc4kh3"), ConvProblem.parse("ic64ih64oc4kh3")


def tolerance_of(
    problem: ConvProblem, algorithm: Algorithm, data: str = "normal"
) -> tuple[Tolerance, reference.Reference]:
    arrays = inputs.data_set(problem, data, 0)
    truth = reference.compute(problem, arrays, 0)
    return error_model.tolerance(problem, algorithm, arrays, truth), truth


@pytest.mark.parametrize(("problem", "n"), [(SHORT, 36), (LONG, 576), (SHORT.replace(bias=True), 37)])
@pytest.mark.parametrize("algorithm", [Algorithm.DIRECT, Algorithm.GEMM, Algorithm.VENDOR])
def test_sums_are_allowed_one_rounding_a_term_and_usually_leave_four_times_the_root(
    problem: ConvProblem, n: int, algorithm: Algorithm
) -> None:
    tolerance, _ = tolerance_of(problem, algorithm)

    assert tolerance.allowed / tolerance.unit == pytest.approx(n, rel=1e-4)
    assert tolerance.usual / tolerance.unit == pytest.approx(min(n, 4 * math.sqrt(n)), rel=1e-4)


def test_transforms_are_allowed_a_multiple_of_the_logarithm_of_their_length_and_one_rounding_a_channel() -> None:
    tolerance, _ = tolerance_of(LONG, Algorithm.FFT)

    assert tolerance.allowed / tolerance.unit == pytest.approx(4 * (1 + math.log2(66 * 66)) + 64, rel=1e-3)


def test_the_oracles_own_error_is_added_as_far_as_it_errs(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = SHORT.replace(dtype="float64")

    extended, _ = tolerance_of(problem, Algorithm.DIRECT)
    monkeypatch.setattr(reference, "_HAS_EXTENDED", False)
    plain, _ = tolerance_of(problem, Algorithm.DIRECT)

    assert plain.allowed / plain.unit == pytest.approx(72)
    assert 36 < (extended.allowed / extended.unit).max() <= 72


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_storage_types_are_allowed_one_rounding_of_the_result_beside_sums_in_float32(dtype: str) -> None:
    tolerance, truth = tolerance_of(SHORT.replace(dtype=dtype), Algorithm.VENDOR)

    rounding = error_model.unit_roundoff(dtype) * np.abs(truth.y)
    assert (tolerance.allowed >= rounding).all()
    assert (tolerance.allowed <= 1.02 * rounding + 40 * 2.0**-24 * truth.magnitude + 2.0**-24).all()


def test_a_sum_too_long_for_a_rigorous_bound_is_held_to_chance() -> None:
    u = 2.0**-24

    assert error_model.sum_error(2**22, u)[0] == pytest.approx(2**22 * u / (1 - 2**22 * u))
    assert error_model.sum_error(2**24, u)[0] == pytest.approx(16 * 2**12 * u)
    assert error_model.gamma(2**24, u) == math.inf


@pytest.mark.parametrize("bits", [8, 11, 16])
@pytest.mark.parametrize("text", ["ic1ih40oc3kh3ph1", "ic8ih20oc8kh5", "ic512ih6oc8kh3"])
def test_operand_bits_recover_to_how_many_bits_operands_were_rounded_however_long_the_sum(bits: int, text: str) -> None:
    problem = ConvProblem.parse(text).replace(dtype="float64")
    arrays = inputs.normal_arrays(problem, 0)
    truth = reference.compute(problem, arrays, 0)

    def rounded(values: np.ndarray) -> np.ndarray:
        mantissa, exponent = np.frexp(values)
        return np.ldexp(np.rint(mantissa * 2.0**bits) / 2.0**bits, exponent)

    short = inputs.ConvArrays(x=rounded(arrays.x), weight=rounded(arrays.weight), bias=None)
    error = reference.compute(problem, short, 0).y - truth.y

    assert error_model.operand_bits(error.astype(float), truth.energy) == pytest.approx(bits, abs=0.25)


def test_operand_bits_of_a_running_sum_are_the_fewest_that_its_type_leaves() -> None:
    problem = ConvProblem.parse("ic4096ih1iw16oc16kh1kw1")
    arrays = inputs.normal_arrays(problem, 0)
    truth = reference.compute(problem, arrays, 0)

    total = np.zeros((16, 16), np.float32)
    for channel in range(4096):
        total += arrays.weight[:, channel, 0, 0][:, None] * arrays.x[0, channel, 0][None, :]
    found = error_model.operand_bits(total.reshape(truth.y.shape) - truth.y, truth.energy)

    assert found == pytest.approx(error_model.usual_operand_bits(problem), abs=0.7)


def test_no_error_at_all_says_nothing_about_bits() -> None:
    assert error_model.operand_bits(np.zeros(3), np.ones(3)) is None


@settings(max_examples=40)
@given(conv_problems())
def test_what_is_usual_never_exceeds_what_is_allowed(problem: ConvProblem) -> None:
    for algorithm in (Algorithm.DIRECT, Algorithm.FFT):
        tolerance, _ = tolerance_of(problem, algorithm)
        assert (tolerance.usual <= tolerance.allowed).all()
        assert (tolerance.unit > 0).all()
