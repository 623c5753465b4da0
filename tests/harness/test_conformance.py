"""The named checks: every saboteur fails the one whose name says so, every right backend passes all of them."""

from __future__ import annotations

import faulty
import pytest
import winograd
from processor import has_instructions
from strategies import EVERY_BACKEND

import backends
from backends import ConvProblem
from harness import conformance
from harness.conformance import ConformanceCheck, conformance_tests

CHECKS = {check.name: check for check in conformance.checks()}

# The fault, and the check whose name says what is wrong.
CAUGHT_BY = [
    ("FlippedKernel", "kernel is not flipped"),
    ("KernelTransposed", "kernel axes keep their order"),
    ("ImageTransposed", "image axes keep their order"),
    ("StridesSwapped", "each axis has its own stride"),
    ("StrideClippedToKernel", "strides skip what no window reads"),
    ("DilationIgnored", "each axis has its own dilation"),
    ("DilationOffByOne", "each axis has its own dilation"),
    ("DilationsSwapped", "each axis has its own dilation"),
    ("PaddingRepeatsTheEdge", "padding is zero"),
    ("PaddingMirrored", "padding has two ends"),
    ("FirstRowWrong", "borders are like the interior"),
    ("LastColumnWrong", "borders are like the interior"),
    ("FirstColumnLost", "borders are like the interior"),
    ("LastColumnLost", "borders are like the interior"),
    ("LastRowLost", "borders are like the interior"),
    ("CornerUnwritten", "borders are like the interior"),
    ("GroupsReadTheFirst", "groups are separate"),
    ("GroupsInterleaved", "groups are separate"),
    ("GroupsReadTheFirst", "depthwise channels are separate"),
    ("LastInputChannelDropped", "every input channel counts"),
    ("TailInputChannelsDropped", "every input channel counts"),
    ("LastChannelDropped", "every output channel is written"),
    ("TailOutputChannelsDropped", "every output channel is written"),
    ("ChannelsPermuted", "every output channel is written"),
    ("TailColumnsDropped", "every column is written"),
    ("ShiftedByOne", "every column is written"),
    ("LastRowLost", "every row is written"),
    ("BiasMissing", "bias is added once"),
    ("BiasTwice", "bias is added once"),
    ("SecondImageIsTheFirst", "every image of a batch is its own"),
    ("NarrowOutputsInStridedVolumes", "sizes of one"),
    ("AllZeros", "kernel as large as the image"),
    ("SecondTileLost", "more than one tile"),
    ("GroupsWithDilation", "features meet"),
    ("BatchWithStride", "features meet"),
    ("OtherByteOrder", "output has its form"),
    ("OneNan", "output has its form"),
    ("WrongDtype", "output has its form"),
    ("WrongShape", "output has its form"),
    ("ReturnsAList", "output has its form"),
    ("AccumulatesInFloat16", "long sums"),
    ("HalfPrecisionInside", "arithmetic is of the labelled type"),
    ("Tf32Inside", "arithmetic is of the labelled type"),
    ("Bfloat16Inside", "arithmetic is of the labelled type"),
    ("TruncatesResults", "arithmetic is of the labelled type"),
    ("AccumulatesInFloat16", "accumulator is of the labelled type"),
    ("RunningSumInBfloat16", "accumulator is of the labelled type"),
    ("FlushesFaintOutputs", "faint values survive bright ones"),
    ("DenormalsGarbled", "denormals are computed"),
    ("SwallowsNan", "nan stays where it is read"),
    ("LastImageLosesNan", "features meet"),
    ("SpreadsNan", "nan stays where it is read"),
    ("InfinityWithoutSign", "infinity stays where it is read"),
    ("SaturatesInfinity", "infinity stays where it is read"),
    ("MutatesInput", "inputs are left alone"),
    ("MutatesLater", "inputs are left alone"),
    ("MutatesWeight", "inputs are left alone"),
    ("ReadsBeyondView", "views are read as they are"),
    ("ReadsWeightMemory", "views are read as they are"),
    ("LayoutOfTheFirstCall", "views are read as they are"),
    ("RacesNowAndThen", "same input same answer"),
    ("WrongLater", "same input same answer"),
    ("PreviousAnswer", "outputs last until the next call"),
    ("CachesFirstAnswer", "outputs last until the next call"),
    ("CachesByAddress", "outputs last until the next call"),
    ("SharedOutputBuffer", "outputs last until the next call"),
    ("SharedWeights", "outputs last until the next call"),
    ("WeightsByAddress", "outputs last until the next call"),
    ("AddsToOldOutput", "outputs last until the next call"),
    ("SharedHalo", "outputs last until the next call"),
    ("WritesLate", "outputs last until the next call"),
    ("WrongEntry", "kernel axes keep their order"),
    ("TailDropped", "every row is written"),
    ("Float16Transforms", "arithmetic is of the labelled type"),
    ("DeclinesWithoutAReason", "declining gives a reason"),
    ("RaisesWhenAsked", "declining gives a reason"),
]
# Faults of behaviour: single calls give right answers, so that checks of geometry and arithmetic must stay silent.
BEHAVIOUR = (
    "inputs are left alone",
    "views are read as they are",
    "same input same answer",
    "outputs last until the next call",
)


@pytest.fixture(autouse=True)
def quick_explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a fault is caught is asked here; to what it shrinks is asked below and in the tests of shrinking."""
    monkeypatch.setattr(conformance, "_SHRINK_LIMIT_S", 0.0)


@pytest.mark.parametrize(("fault", "name"), CAUGHT_BY, ids=[" ".join(row) for row in CAUGHT_BY])
def test_a_saboteur_fails_the_check_whose_name_says_so(fault: str, name: str) -> None:
    broken = getattr(faulty, fault, None) or getattr(winograd, fault)

    result = conformance.run_check(CHECKS[name], broken(), "float32")

    assert result.failure is not None
    assert result.failure.startswith(f"{name}: ")


def test_every_check_has_a_saboteur_that_it_catches() -> None:
    assert set(CHECKS) == {name for _, name in CAUGHT_BY}


@pytest.mark.parametrize("fault", ["Tf32Inside", "Bfloat16Inside", "HalfPrecisionInside"])
def test_narrow_arithmetic_is_not_blamed_on_geometry(fault: str) -> None:
    backend = getattr(faulty, fault)()

    for check in CHECKS.values():
        if set(check.probes) <= {"exact", "one-hot"}:
            assert conformance.run_check(check, backend, "float32").failure is None, check.name


@pytest.mark.parametrize("fault", ["RacesNowAndThen", "CachesByAddress", "SharedOutputBuffer", "ReadsBeyondView"])
def test_a_fault_of_behaviour_is_not_blamed_on_geometry(fault: str) -> None:
    backend = getattr(faulty, fault)()

    for check in CHECKS.values():
        if check.name not in BEHAVIOUR and "repeat" not in check.probes:
            assert conformance.run_check(check, backend, "float32").failure is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "spec", [*EVERY_BACKEND, "faulty:Correct", "winograd:WinogradBackend[m=2]", "winograd:WinogradBackend[m=4]"]
)
def test_a_right_backend_passes_every_check(spec: str, dtype: str) -> None:
    backend = backends.get(spec)

    for check in CHECKS.values():
        result = conformance.run_check(check, backend, dtype)
        assert result.failure is None, result.failure
        assert result.examined > 0 or "winograd" in spec


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bit_results_of_pytorch_pass_every_check_but_where_its_own_kernels_are_wrong(dtype: str) -> None:
    if dtype == "bfloat16" and has_instructions("amx_bf16"):
        pytest.skip("on this processor PyTorch's bfloat16 is known to be wrong; test_pytorch_bfloat16.py asks for that")
    backend = backends.get("torch")

    for check in CHECKS.values():
        if dtype == "bfloat16" and check.name == "views are read as they are":
            continue  # a view that looks like channels-last gets the kernel that test_pytorch_bfloat16.py is about
        result = conformance.run_check(check, backend, dtype)
        assert result.failure is None, result.failure
        assert result.examined > 0


def test_a_backend_that_does_not_know_a_type_is_not_examined_in_it() -> None:
    result = conformance.run_check(CHECKS["padding is zero"], backends.get("im2col"), "bfloat16")

    assert result.examined == 0
    assert result.declined == "bfloat16 is not implemented; it computes float32, float64"


def test_a_failure_is_explained_by_its_smallest_problem_a_repeat_line_and_a_torch_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conformance, "_SHRINK_LIMIT_S", 10.0)

    failure = conformance.run_check(CHECKS["kernel is not flipped"], faulty.FlippedKernel(), "float32").failure

    assert failure is not None
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in failure.splitlines()[1:]}
    assert ConvProblem.parse(lines["smallest"]) == ConvProblem.parse("ic1iw2oc1kw2")
    assert "flipped" in lines["looks"]
    assert lines["repeat"].startswith("python -m harness check --backend faulty:FlippedKernel --problem ")
    assert lines["in"] == "torch torch.nn.functional.conv1d(torch.randn(1, 1, 2), torch.randn(1, 1, 2))"
    assert lines["expected"] != lines["got"]


def test_three_lines_make_a_test_for_each_check_and_dtype() -> None:
    test = conformance_tests("faulty:FlippedKernel", dtypes=("float32",))
    (mark,) = [mark for mark in test.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]

    assert len(mark.args[1]) == len(CHECKS)
    with pytest.raises(pytest.fail.Exception, match="kernel is not flipped: "):
        test(CHECKS["kernel is not flipped"], "float32")
    test(CHECKS["same input same answer"], "float32")


def test_what_a_backend_declines_is_skipped_with_its_reason() -> None:
    test = conformance_tests(faulty.Declines)

    with pytest.raises(pytest.skip.Exception, match="it is Sunday"):
        test(CHECKS["padding is zero"], "float32")


def test_a_known_failure_must_name_a_check() -> None:
    with pytest.raises(ValueError, match="no check is called 'kernel is upside down'; there are declining gives"):
        conformance_tests("naive", known_failures={"kernel is upside down": "not yet"})


def test_a_known_failure_is_expected_and_told_when_it_passes() -> None:
    test = conformance_tests("naive", dtypes=("float32",), known_failures={"padding is zero": "not yet"})
    (mark,) = [mark for mark in test.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]

    (marked,) = [case for case in mark.args[1] if case.marks]
    assert marked.values[0].name == "padding is zero"
    assert marked.marks[0].kwargs == {"reason": "not yet", "strict": True}


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.name)
def test_problems_of_a_check_are_small(check: ConformanceCheck) -> None:
    assert max(problem.macs_nominal for problem in check.problems) < 5_000_000
