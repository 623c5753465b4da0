"""Predictions hold against what real workers take, and what cannot fit is refused before anything is allocated."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends import ConvProblem, registry
from backends import get as get_backend
from harness import memory_needs, memory_room, messages, process_tree, workloads
from harness.memory_needs import Room
from harness.worker_process import WorkerProcess

MIB = 1 << 20
GIB = 1 << 30
# Packing buffers of BLAS, what the allocator and Python keep for themselves.
OVERHEAD = 12 * MIB
LARGE = 24 * MIB
PREDICTING = [name for name in registry.names() if name != "torch"]
EXTREME = [str(case.problem) for case in workloads.load_suite("harness/tables/onednn_extreme.csv").cases]

# Every rank; padded or not, strided, dilated, grouped, a batch, a large kernel, a single channel, pointwise.
PROBLEMS = [
    "mb2ic16iw200000oc16kw5pw2",
    "g4mb2ic8iw300000oc8kw9sw2dw3pw8",
    "ic32iw65536oc32kw1",
    "mb4ic8iw100000oc2kw301",
    "mb4ic32ih128oc32kh3ph1",
    "mb2ic16ih256oc16kh3sh2",
    "mb2ic16ih200oc16kh3dh1ph2",
    "ic3ih600oc16kh7sh2ph3",
    "g32mb4ic32ih160oc32kh5ph2",
    "ic1ih1500oc4kh31ph15",
    "mb8ic64ih96oc64kh1",
    "--dt=f64 mb2ic8ih256oc8kh3ph1",
    "--dir=FWD_B ic128ih28oc256kh3ph1",
    "mb2ic8id40oc8kd3pd1",
    "ic4id72oc4kd5dd1",
    "g8ic8id48oc8kd3sd2pd1",
    "--dt=f64 ic2id64oc4kd7pd3",
]


@pytest.fixture(scope="module", params=PREDICTING)
def worker(request: pytest.FixtureRequest) -> Iterator[tuple[str, WorkerProcess]]:
    with WorkerProcess(1) as process:
        process.ask(messages.Open(backend=request.param, threads=1, memory_limit_bytes=None), 120)
        # The first case pays for what libraries keep for good: compiled code, thread pools, packing buffers.
        for dtype in ("", "--dt=f64 "):
            process.ask(messages.Prepare(problem=f"{dtype}mb2ic16ih64oc16kh3ph1", data="normal", seed=0), 120)
        yield request.param, process


@pytest.mark.parametrize("text", PROBLEMS)
def test_the_predicted_workspace_is_what_is_measured(worker: tuple[str, WorkerProcess], text: str) -> None:
    name, process = worker
    problem = ConvProblem.parse(text)
    if name == "naive":
        # Loops over outputs in Python: the same kinds, with fewer outputs to visit.
        problem = problem.replace(C_out=problem.groups, stride=tuple(max(1, size // 12) for size in problem.spatial))

    process.ask(messages.Release(), 60)
    prepared = process.ask(messages.Prepare(problem=str(problem), data="normal", seed=0), 120)
    called = process.ask(messages.CallFirst(), 120)
    took = process.ask(messages.MeasureMemory(), 120)

    assert isinstance(prepared, messages.Prepared)
    assert isinstance(took, messages.MemoryMeasured)
    assert prepared.predicted_bytes is not None
    assert isinstance(called, messages.Called)
    assert called.retained_bytes is not None
    assert took.workspace_bytes is not None
    measured = called.retained_bytes + took.workspace_bytes
    assert measured <= 1.2 * prepared.predicted_bytes + OVERHEAD
    if prepared.predicted_bytes > LARGE:
        assert prepared.predicted_bytes <= 3 * measured


def test_where_memory_is_not_asked_for_nothing_is_said_of_it() -> None:
    with WorkerProcess(1) as process:
        process.ask(messages.Open(backend="im2col", threads=1, memory_limit_bytes=None), 60)
        request = messages.Prepare(problem=PROBLEMS[4], data="normal", seed=0, is_memory_measured=False)
        process.ask(request, 60)
        called = process.ask(messages.CallFirst(), 60)

    assert isinstance(called, messages.Called)
    assert called.retained_bytes is None


@pytest.mark.parametrize("spec", registry.default_specs())
def test_a_problem_of_a_hundred_gigabytes_is_refused_with_nothing_allocated(spec: str) -> None:
    with WorkerProcess(1) as process:
        process.ask(messages.Open(backend=spec, threads=1, memory_limit_bytes=8 * GIB), 120)
        before = peak_bytes(process)
        for text in EXTREME:
            reply = process.ask(messages.Prepare(problem=text, data="normal", seed=0), 30)
            if isinstance(reply, messages.Declined):
                assert "channels_last" in spec
                continue
            assert isinstance(reply, messages.Refused), reply
            assert "predicted to need" in reply.reason
        assert peak_bytes(process) - before < 16 * MIB


def test_the_reference_of_such_a_problem_is_refused_too() -> None:
    with tempfile.TemporaryDirectory() as folder, WorkerProcess(1) as process:
        process.ask(messages.Release(), 60)
        before = peak_bytes(process)
        for text in EXTREME:
            if memory_needs.oracle_bytes(ConvProblem.parse(text)) <= (memory_room.available_bytes() or 0):
                continue  # a machine that has so much
            request = messages.Refer(problem=text, probes=("exact", "normal"), seed=0, folder=folder)
            reply = process.ask(request, 30)
            assert isinstance(reply, messages.Refused), reply
        assert peak_bytes(process) - before < 16 * MIB


@pytest.mark.parametrize("text", ["mb4ic32ih224oc32kh3ph1", "g32mb4ic32ih300oc32kh3ph1", "mb8ic64ih112oc64kh1"])
def test_what_a_worker_takes_for_a_case_is_estimated(text: str) -> None:
    problem, backend = ConvProblem.parse(text), get_backend("im2col")
    with tempfile.TemporaryDirectory() as folder, WorkerProcess(1) as oracle, WorkerProcess(1) as process:
        assert isinstance(oracle.ask(messages.Release(), 60), messages.Done)
        before = peak_bytes(oracle)
        oracle.ask(messages.Refer(problem=text, probes=("exact", "normal"), seed=0, folder=folder), 120)
        reference_took = peak_bytes(oracle) - before

        process.ask(messages.Open(backend="im2col", threads=1, memory_limit_bytes=None), 60)
        before = peak_bytes(process)
        process.ask(messages.Prepare(problem=text, data="normal", seed=0), 60)
        process.ask(messages.CallFirst(), 60)
        process.ask(messages.Check(probes=("exact", "normal"), folder=folder), 60)
        process.ask(messages.Warm(), 60)
        for keep in (True, True, False):
            process.ask(messages.TimeBlock(calls=1, is_primed=False, keep_output=keep), 60)
        process.ask(messages.Recheck(folder=folder), 60)
        took = peak_bytes(process) - before

    estimated = memory_needs.arrays_bytes(problem) + (memory_needs.predicted_bytes(backend, problem) or 0)
    assert took / 1.3 < estimated < 1.4 * took
    assert reference_took / 1.2 < memory_needs.oracle_bytes(problem) < 1.7 * reference_took


def peak_bytes(process: WorkerProcess) -> int:
    """Of the worker itself, which is its guard's only child."""
    (worker,) = process_tree.descendants(process.guard_pid)
    text = Path(f"/proc/{worker}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    assert found
    return int(found[1]) << 10


SMALL = ConvProblem.parse("mb4ic32ih224oc32kh3ph1")
IM2COL = get_backend("im2col")


def test_a_refusal_says_what_is_needed_what_there_is_and_what_to_do() -> None:
    reason = memory_needs.why_too_large(SMALL, IM2COL, 4 * GIB, Room(limit_bytes=2 * GIB, available_bytes=None))

    assert reason == (
        "predicted to need 4.33 GiB (arrays 334 MiB, workspace 4 GiB); the memory limit is 2 GiB;"
        " lower the batch or give a larger --memory-limit"
    )


@pytest.mark.parametrize(
    ("room", "says"),
    [
        (Room(limit_bytes=None, available_bytes=None), None),
        (Room(limit_bytes=GIB, available_bytes=GIB), None),
        (Room(limit_bytes=100 * MIB, available_bytes=GIB), "the memory limit is 100 MiB"),
        (Room(limit_bytes=GIB, available_bytes=100 * MIB), "100 MiB are available"),
        (Room(limit_bytes=200 * MIB, available_bytes=100 * MIB), "100 MiB are available"),
    ],
)
def test_what_is_scarcer_decides(room: Room, says: str | None) -> None:
    reason = memory_needs.why_too_large(SMALL, IM2COL, None, room)

    assert (reason is None) == (says is None)
    assert says is None or says in (reason or "")


@pytest.mark.parametrize("said", [-1, 1.5, "much", True])
def test_a_backend_that_predicts_nonsense_is_told(said: object) -> None:
    class Babbling:
        def workspace_bytes(self, problem: ConvProblem) -> object:
            return said

    with pytest.raises(TypeError, match="expected bytes as an int"):
        memory_needs.predicted_bytes(Babbling(), SMALL)  # type: ignore[arg-type]


def test_a_backend_need_not_predict() -> None:
    assert memory_needs.predicted_bytes(object(), SMALL) is None  # type: ignore[arg-type]


# ---- What there is
