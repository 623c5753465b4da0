"""Every known way of being wrong, each caught by the check whose job it is; the right backends pass them all."""

from __future__ import annotations

from pathlib import Path

import pytest
from strategies import EVERY_BACKEND

from backends import ConvProblem
from harness import messages
from harness.probes import EVERY_PROBE
from harness.records import CheckOutcome, Status
from harness.worker import Worker

# Unequal axes, strides, dilations and paddings, groups, a batch and a bias: each fault meets a problem that shows it.
PROBLEMS = {
    "2-D": ConvProblem.parse("--dir=FWD_B g2mb2ic6ih11iw9oc4kh3kw3sh2sw1ph2pw1eh0ew2"),
    "dilated": ConvProblem.parse("mb2ic3ih14iw12oc5kh3kw3dh1dw2ph1pw2"),
    "strided": ConvProblem.parse("ic4ih13oc3kh3kw3iw13sh2sw3"),
    "1-D": ConvProblem.parse("--dir=FWD_B mb2ic5iw40oc7kw5pw2"),
    "3-D": ConvProblem.parse("ic2id6ih7iw8oc3kd2kh3kw3pd1ph1pw0"),
    "very long sum": ConvProblem.parse("ic1024ih7oc8kh3ph1"),
    "long sum": ConvProblem.parse("mb2ic256ih9oc4kh3ph1"),
}

# The fault, the problem that shows it, the first probe that must catch it, and what the reason says.
SABOTAGE = [
    ("FlippedKernel", "2-D", "exact", "differ"),
    ("KernelTransposed", "2-D", "exact", "differ"),
    ("StridesSwapped", "strided", "exact", "differ"),
    ("PaddingMirrored", "2-D", "exact", "differ"),
    ("PaddingRepeatsTheEdge", "1-D", "exact", "differ"),
    ("DilationIgnored", "dilated", "exact", "differ"),
    ("DilationOffByOne", "dilated", "exact", "differ"),
    ("GroupsReadTheFirst", "2-D", "exact", "differ"),
    ("GroupsInterleaved", "2-D", "exact", "differ"),
    ("LastChannelDropped", "3-D", "exact", "differ"),
    ("LastInputChannelDropped", "1-D", "exact", "differ"),
    ("TailColumnsDropped", "2-D", "exact", "differ"),
    ("LastColumnWrong", "3-D", "exact", "differ"),
    ("FirstRowWrong", "2-D", "exact", "first at y[0, 0, 0, 0]"),
    ("LastColumnLost", "2-D", "exact", ", 9]"),
    ("CornerUnwritten", "3-D", "exact", "first at y[0, 0, 6, 6, 5]"),
    ("ShiftedByOne", "1-D", "exact", "differ"),
    ("SecondImageIsTheFirst", "1-D", "exact", "first at y[1,"),
    ("BiasMissing", "2-D", "exact", "differ"),
    ("BiasTwice", "1-D", "exact", "differ"),
    ("AllZeros", "2-D", "exact", "expected"),
    ("OneNan", "2-D", "exact", "is nan"),
    ("WrongDtype", "2-D", "exact", "returned dtype"),
    ("WrongShape", "2-D", "exact", "returned shape"),
    ("ReturnsAList", "2-D", "exact", "returned a list"),
    ("HalfPrecisionInside", "2-D", "normal", "computes like tf32 or float16"),
    ("Tf32Inside", "2-D", "normal", "computes like tf32 or float16"),
    ("Bfloat16Inside", "3-D", "normal", "computes like bfloat16"),
    ("Tf32Inside", "very long sum", "normal", "computes like tf32 or float16"),
    ("Bfloat16Inside", "very long sum", "normal", "computes like bfloat16"),
    ("TruncatesResults", "1-D", "normal", "computes like a type of 15 bits"),
    ("AccumulatesInFloat16", "long sum", "exact", "differ"),
    ("FlushesFaintOutputs", "2-D", "wide range", "exceeds the bound"),
    ("DenormalsGarbled", "2-D", "denormal", "exceeds the bound"),
    ("SwallowsNan", "2-D", "nan", "read a NaN and do not show it"),
    ("SpreadsNan", "2-D", "nan", "spread to"),
    ("InfinityWithoutSign", "2-D", "infinity", "expected -inf"),
    ("SaturatesInfinity", "2-D", "infinity", "read an infinity and do not show it"),
    ("MutatesInput", "2-D", "inputs", "x modified"),
    ("MutatesWeight", "2-D", "inputs", "weight modified"),
    ("ReadsBeyondView", "2-D", "layouts", "on a slice as x"),
    ("RacesNowAndThen", "2-D", "repeat", "call 50 on the same input"),
    ("WrongLater", "2-D", "repeat", "call 2 on the same input"),
    ("SharedOutputBuffer", "2-D", "outputs", "changed before the next call"),
    ("SharedWeights", "2-D", "outputs", "does not answer what is in it now"),
    ("CachesByAddress", "2-D", "outputs", "a call on a refilled input"),
]


def outcome_of(spec: str, problem: ConvProblem, folder: Path) -> CheckOutcome:
    """All data sets and repetition, through the worker's own code, in this process."""
    worker = Worker()
    opened = worker.answer(messages.Open(backend=spec, threads=2, memory_limit_bytes=None))
    assert isinstance(opened, messages.Opened), opened
    referred = worker.answer(messages.Refer(problem=str(problem), probes=EVERY_PROBE, seed=0, folder=str(folder)))
    assert isinstance(referred, messages.Done), referred
    prepared = worker.answer(messages.Prepare(problem=str(problem), data="normal", seed=0))
    assert isinstance(prepared, messages.Prepared), prepared
    called = worker.answer(messages.CallFirst())
    assert isinstance(called, messages.Called), called
    checked = worker.answer(messages.Check(probes=EVERY_PROBE, folder=str(folder)))
    assert isinstance(checked, messages.Checked), checked
    return checked.outcome


@pytest.mark.parametrize(("fault", "problem", "probe", "says"), SABOTAGE, ids=["-".join(row[:2]) for row in SABOTAGE])
def test_a_saboteur_is_caught_by_the_probe_whose_job_it_is(
    tmp_path: Path, fault: str, problem: str, probe: str, says: str
) -> None:
    outcome = outcome_of(f"faulty:{fault}", PROBLEMS[problem], tmp_path)

    assert outcome.status is Status.WRONG
    assert (outcome.reason or "").startswith(f"{probe}: ")
    assert says in (outcome.reason or "")
    assert next(item.name for item in outcome.outcomes if not item.passed) == probe


@pytest.mark.parametrize("problem", ["2-D", "3-D", "long sum"])
@pytest.mark.parametrize("spec", [*EVERY_BACKEND, "faulty:Correct"])
def test_a_right_backend_passes_every_probe_through_a_worker(tmp_path: Path, spec: str, problem: str) -> None:
    outcome = outcome_of(spec, PROBLEMS[problem], tmp_path)

    assert outcome.status is Status.OK, outcome.reason
    assert [test.name for test in outcome.outcomes] == list(EVERY_PROBE)


def test_a_transform_states_how_far_a_nan_spreads(tmp_path: Path) -> None:
    outcome = outcome_of("fft", PROBLEMS["2-D"], tmp_path).outcome("nan")

    assert outcome is not None
    assert outcome.passed
    assert "a NaN spread to" in (outcome.note or "")


def test_a_transform_keeps_its_norm_on_a_wide_range_where_single_outputs_are_lost(tmp_path: Path) -> None:
    problem = ConvProblem.parse("ic1ih64oc1kh3ph1")

    direct, fft = (outcome_of(spec, problem, tmp_path).outcome("wide range") for spec in ("im2col", "fft"))

    assert direct is not None
    assert fft is not None
    assert direct.passed
    assert fft.passed


def test_every_probe_is_the_first_to_catch_somebody_but_those_that_help_to_explain() -> None:
    assert set(EVERY_PROBE) - {row[2] for row in SABOTAGE} == {"uniform", "one-hot"}


def test_flushed_denormals_are_no_fault_but_are_told(tmp_path: Path) -> None:
    outcome = outcome_of("faulty:FlushesDenormals", PROBLEMS["2-D"], tmp_path)

    assert outcome.status is Status.OK
    assert "denormals are flushed" in (outcome.outcome("denormal").note or "")  # type: ignore[union-attr]


def test_a_refused_view_is_no_fault_but_is_told(tmp_path: Path) -> None:
    outcome = outcome_of("faulty:RefusesViews", PROBLEMS["2-D"], tmp_path)

    assert outcome.status is Status.OK
    assert outcome.outcome("layouts").note == "refuses a slice as x: TypeError: x is not C-contiguous"  # type: ignore[union-attr]
