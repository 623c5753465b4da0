from __future__ import annotations

import dataclasses
from collections.abc import Callable

import faulty
import numpy as np
import pytest
from hypothesis import given, settings
from strategies import EVERY_BACKEND, conv_problems

import backends
from backends import Algorithm, ConvBackend, ConvProblem
from harness import check, examination, inputs, reference
from harness.examination import Samples
from harness.probes import QUICK_PROBES
from harness.records import CheckOutcome, Status
from harness.reference import Reference

PROBLEM = ConvProblem.parse("--dir=FWD_B g2mb2ic6ih9iw7oc4kh3kw2sh2sw1ph1pw0")


def outcome_of(backend: ConvBackend, problem: ConvProblem = PROBLEM) -> CheckOutcome:
    return examination.examine(backend, problem, QUICK_PROBES, Samples(problem, 1))


@pytest.mark.parametrize("spec", EVERY_BACKEND)
@settings(max_examples=15)
@given(problem=conv_problems())
def test_every_backend_of_ours_passes(spec: str, problem: ConvProblem) -> None:
    backend = backends.get(spec)
    if backend.why_unsupported(problem) is None:
        outcome = outcome_of(backend, problem)
        # Problems of one or two pixels may leave nothing to trust, and then say so.
        assert outcome.status in (Status.OK, Status.MISTRUSTED), outcome.reason


@pytest.mark.parametrize(
    ("fault", "data", "says"),
    [
        (faulty.FlippedKernel, "exact", "differ; first at y["),
        (faulty.BiasMissing, "exact", "expected"),
        (faulty.LastChannelDropped, "exact", "differ; first at y[0, 3"),
        (faulty.LastColumnWrong, "exact", ", 5]"),
        (faulty.OneNan, "exact", "y[1, 3, 4, 5] is nan"),
        (faulty.WrongDtype, "exact", "returned dtype float64, expected float32"),
        (faulty.WrongShape, "exact", "returned shape"),
        (faulty.ReturnsAList, "exact", "returned a list"),
        (faulty.HalfPrecisionInside, "normal", "labelled float32, computes like tf32 or float16"),
    ],
)
def test_a_faulty_backend_is_wrong_on_the_data_that_shows_it_and_says_where(
    fault: Callable[[], ConvBackend], data: str, says: str
) -> None:
    outcome = outcome_of(fault())

    assert outcome.status is Status.WRONG
    assert outcome.reason is not None
    assert outcome.reason.startswith(f"{data}: ")
    assert says in outcome.reason


def test_the_control_without_a_fault_passes() -> None:
    assert outcome_of(faulty.Correct()).status is Status.OK


def test_half_precision_inside_passes_the_exact_test_and_shows_as_eleven_bits() -> None:
    outcome = outcome_of(faulty.HalfPrecisionInside())

    exact, normal = outcome.outcome("exact"), outcome.outcome("normal")
    assert exact is not None
    assert exact.passed
    assert normal is not None
    assert normal.effective_bits is not None
    assert 10 < normal.effective_bits < 15


def test_an_fft_that_is_wrong_is_caught_in_spite_of_rounding() -> None:
    class WrongFft(faulty.LastChannelDropped):
        algorithm = Algorithm.FFT

    assert outcome_of(WrongFft()).status is Status.WRONG


def test_an_fft_in_half_precision_is_caught_by_its_norm() -> None:
    class HalfFft(faulty.HalfPrecisionInside):
        algorithm = Algorithm.FFT

    outcome = outcome_of(HalfFft())
    assert outcome.status is Status.WRONG
    assert outcome.reason is not None
    assert outcome.reason.startswith("normal: labelled float32, computes like tf32 or float16")


def test_outputs_that_read_only_padding_leave_nothing_to_trust() -> None:
    problem = ConvProblem(C_in=1, C_out=1, spatial=(1,), kernel=1, stride=4, padding=((2, 1),))

    outcome = outcome_of(faulty.Correct(), problem)

    assert outcome.status is Status.MISTRUSTED
    assert "no output reads any real input" in (outcome.reason or "")


def zeroed(truth: Reference, nonzero: int) -> Reference:
    """The reference with all but so many outputs set to 0."""
    y = np.zeros_like(truth.y)
    y.flat[:nonzero] = 1
    return dataclasses.replace(truth, y=y)


def test_mostly_zero_outputs_are_mistrusted_with_their_number_and_real_data_are_compared_all_the_same() -> None:
    samples = Samples(PROBLEM, 1)
    samples._made["exact"] = dataclasses.replace(samples["exact"], reference=zeroed(samples["exact"].reference, 10))

    outcome = examination.examine(faulty.Correct(), PROBLEM, QUICK_PROBES, samples)

    assert outcome.status is Status.MISTRUSTED
    assert "only 10 of the 240 outputs that read input are non-zero (4%, expected 40%)" in (outcome.reason or "")
    assert [item.name for item in outcome.outcomes] == ["normal"]


@pytest.mark.parametrize(("outputs", "least"), [(1, 1), (9, 1), (36, 9), (100, 35), (10_000, 4850)])
def test_trust_asks_for_half_of_the_outputs_less_three_standard_deviations(outputs: int, least: int) -> None:
    problem = ConvProblem(C_in=1, C_out=1, spatial=(outputs,), kernel=1)
    truth = reference.compute(problem, inputs.exact_arrays(problem, 0), 0)

    assert check.zero_trust(zeroed(truth, least)) is None
    assert check.zero_trust(zeroed(truth, least - 1)) is not None


@settings(max_examples=60)
@given(conv_problems(dtypes=("float32",)))
def test_exact_data_keeps_well_above_the_share_of_nonzero_outputs_that_is_trusted(problem: ConvProblem) -> None:
    truth = reference.compute(problem, inputs.exact_arrays(problem, 0), 0)

    relevant = truth.y[:, :, truth.has_input]
    if relevant.size >= 50:
        assert np.count_nonzero(relevant) / relevant.size > 0.4


def test_a_sampled_check_says_how_much_of_the_output_it_saw() -> None:
    problem = ConvProblem.parse("ic3ih40oc2kh3")
    arrays = inputs.normal_arrays(problem, 0)
    truth = reference.compute(problem, arrays, 0, max_macs=200 * problem.C_out * problem.accumulation_length)
    y = faulty.Correct().prepare(problem, arrays.weight)(arrays.x)

    outcome = check.judge("normal", y, arrays, truth, problem, Algorithm.GEMM)

    assert outcome.passed
    assert outcome.outputs_checked == 2 * truth.positions.size < outcome.outputs_total == y.size
