from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import faulty
import numpy as np
import pytest
from hypothesis import given, settings
from strategies import EVERY_BACKEND, conv_problems

import backends
from backends import Algorithm, Array, ConvBackend, ConvProblem
from harness import check, inputs, reference
from harness.inputs import ConvArrays
from harness.records import CheckOutcome, Status
from harness.reference import Reference

PROBLEM = ConvProblem.parse("--dir=FWD_B g2mb2ic6ih9iw7oc4kh3kw2sh2sw1ph1pw0")


def data_sets_of(problem: ConvProblem) -> dict[str, tuple[ConvArrays, Reference]]:
    made = {"exact": inputs.exact_arrays(problem, 1), "normal": inputs.normal_arrays(problem, 1)}
    return {name: (arrays, reference.compute(problem, arrays, 1)) for name, arrays in made.items()}


def outcome_of(backend: ConvBackend, problem: ConvProblem = PROBLEM) -> CheckOutcome:
    def compute(arrays: ConvArrays) -> Array:
        return backend.prepare(problem, arrays.weight, arrays.bias)(arrays.x)  # type: ignore[no-any-return]

    return check.check(compute, data_sets_of(problem), problem, backend.algorithm)


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
        (faulty.HalfPrecisionInside, "normal", "exceeds the bound"),
    ],
)
def test_a_faulty_backend_is_wrong_on_the_data_that_shows_it_and_says_where(
    fault: Callable[[], ConvBackend], data: str, says: str
) -> None:
    outcome = outcome_of(fault())

    assert outcome.status is Status.WRONG
    assert outcome.reason is not None
    assert outcome.reason.startswith(f"{data} data: ")
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
    assert outcome.reason.startswith("normal data: ")


def test_outputs_that_read_only_padding_leave_nothing_to_trust() -> None:
    problem = ConvProblem(C_in=1, C_out=1, spatial=(1,), kernel=1, stride=4, padding=((2, 1),))

    outcome = outcome_of(faulty.Correct(), problem)

    assert outcome.status is Status.MISTRUSTED
    assert "no output reads any real input" in (outcome.reason or "")


def test_mostly_zero_outputs_are_mistrusted_with_their_share() -> None:
    sets = data_sets_of(PROBLEM)
    arrays, truth = sets["exact"]
    y = np.zeros_like(truth.y)
    y[..., 0] = 1
    sets["exact"] = (arrays, dataclasses.replace(truth, y=y))

    backend = faulty.Correct()
    outcome = check.check(lambda a: backend.prepare(PROBLEM, a.weight, a.bias)(a.x), sets, PROBLEM, Algorithm.GEMM)

    assert outcome.status is Status.MISTRUSTED
    assert "only 3% of the outputs" in (outcome.reason or "")
    assert [item.name for item in outcome.outcomes] == ["normal"], "real data are compared all the same"


@settings(max_examples=60)
@given(conv_problems(dtypes=("float32",)))
def test_exact_data_keeps_well_above_the_share_of_nonzero_outputs_that_is_trusted(problem: ConvProblem) -> None:
    truth = reference.compute(problem, inputs.exact_arrays(problem, 0), 0)

    relevant = truth.y[:, :, truth.has_input]
    if relevant.size >= 50:
        assert np.count_nonzero(relevant) / relevant.size > 0.4


def test_bound_grows_with_the_sum_for_direct_and_with_the_logarithm_for_fft() -> None:
    short, long = ConvProblem.parse("ic4ih8oc4kh3"), ConvProblem.parse("ic64ih64oc4kh3")

    assert check.error_bound(short, Algorithm.DIRECT) == pytest.approx(36, rel=1e-4)
    assert check.error_bound(long, Algorithm.GEMM) == pytest.approx(576, rel=1e-4)
    assert check.error_bound(long, Algorithm.FFT) == pytest.approx(4 * math.log2(64 * 64))
    assert check.error_bound(short.replace(bias=True), Algorithm.DIRECT) == pytest.approx(37, rel=1e-4)


def test_float64_bound_leaves_room_for_the_oracle_as_far_as_it_errs(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = ConvProblem.parse("--dt=f64 ic4ih8oc4kh3")

    monkeypatch.setattr(reference, "_HAS_EXTENDED", False)
    assert check.error_bound(problem, Algorithm.DIRECT) == pytest.approx(72)
    monkeypatch.setattr(reference, "_HAS_EXTENDED", True)
    assert 36 < check.error_bound(problem, Algorithm.DIRECT) <= 72


def test_a_sampled_check_says_how_much_of_the_output_it_saw() -> None:
    problem = ConvProblem.parse("ic3ih40oc2kh3")
    arrays = inputs.normal_arrays(problem, 0)
    truth = reference.compute(problem, arrays, 0, max_macs=200 * problem.C_out * problem.accumulation_length)
    y = faulty.Correct().prepare(problem, arrays.weight)(arrays.x)

    outcome = check.judge("normal", y, arrays, truth, problem, Algorithm.GEMM)

    assert outcome.passed
    assert outcome.outputs_checked == 2 * truth.positions.size < outcome.outputs_total == y.size
