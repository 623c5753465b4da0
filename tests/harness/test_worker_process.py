from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import backends
from harness import messages, process_tree
from harness.worker_process import WorkerLost, WorkerProcess

SUPPORT = Path(__file__).parent.parent / "support"
PREPARE = messages.Prepare(problem="ic4ih10oc4kh3ph1", data="normal", seed=0)
LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def run_mark(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    mark = uuid.uuid4().hex
    monkeypatch.setenv("RUN_OF_THIS_TEST", mark)
    return f"RUN_OF_THIS_TEST={mark}"


def opened(backend: str, threads: int = 1, cores: tuple[int, ...] | None = None) -> WorkerProcess:
    worker = WorkerProcess(threads, cores)
    reply = worker.ask(messages.Open(backend=backend, threads=threads, memory_limit_bytes=None), LIMIT_S)
    assert isinstance(reply, messages.Opened), reply
    return worker


def cores_of_threads(worker_pid: int) -> list[set[int]]:
    """Where each thread of a process may run."""
    return [os.sched_getaffinity(int(task.name)) for task in Path(f"/proc/{worker_pid}/task").iterdir()]


def in_time(is_so: Callable[[], bool]) -> bool:
    """Whether something comes about that another process does at once, on however slow a machine."""
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(params=[name for name in backends.names() if name != "naive"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_thread_of_a_worker_for_one_core_is_bound_to_it(backend: str) -> None:
    core = max(os.sched_getaffinity(0))

    with opened(backend, 1, (core,)) as worker:
        worker.ask(PREPARE, LIMIT_S)
        pid = process_tree.descendants(worker.guard_pid)[0]
        assert cores_of_threads(pid) == [{core}] * len(cores_of_threads(pid))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core only")
def test_a_worker_with_as_many_threads_as_cores_may_use_them_all(backend: str) -> None:
    cores = tuple(sorted(os.sched_getaffinity(0))[:2])

    with opened(backend, 2, cores) as worker:
        worker.ask(PREPARE, LIMIT_S)
        pid = process_tree.descendants(worker.guard_pid)[0]
        assert set().union(*cores_of_threads(pid)) == set(cores)


def test_binding_a_worker_leaves_this_process_where_it_was() -> None:
    before = os.sched_getaffinity(0)

    with WorkerProcess(1, (min(before),)):
        assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("cores", [(), (1 << 14,)])
def test_cores_that_there_are_not_are_refused_with_those_there_are(cores: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"this process may run on .*{min(os.sched_getaffinity(0))}"):
        WorkerProcess(1, cores)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_worker_is_frozen_until_it_is_asked_again() -> None:
    with opened("faulty:LeavesThreads") as worker:
        worker.ask(PREPARE, LIMIT_S)
        pid = process_tree.descendants(worker.guard_pid)[0]
        assert in_time(lambda: state(pid) == "T")
        assert isinstance(worker.ask(PREPARE, LIMIT_S), messages.Prepared)


@pytest.fixture
def orphaned(run_mark: str) -> Iterator[subprocess.Popen[bytes]]:
    """A coordinator whose worker has set processes free and hangs."""
    code = (
        "from harness import messages\n"
        "from harness.worker_process import WorkerProcess\n"
        "worker = WorkerProcess(1)\n"
        "worker.ask(messages.Open(backend='faulty:LeavesProcessesAndHangs', threads=1, memory_limit_bytes=None), 60)\n"
        f"worker.ask(messages.Prepare(problem={PREPARE.problem!r}, data='normal', seed=0), 600)\n"
        "worker.ask(messages.CallFirst(), 600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        yield process
        process.kill()


def test_a_killed_coordinator_takes_with_it_even_what_its_workers_set_free(
    orphaned: subprocess.Popen[bytes], run_mark: str
) -> None:
    # Itself, the guard, the worker, a child in another session, and a daemon.
    assert in_time(lambda: len(process_tree.marked(run_mark)) >= 5)

    orphaned.send_signal(signal.SIGKILL)
    orphaned.wait()

    assert in_time(lambda: process_tree.marked(run_mark) == [])


def test_a_worker_ended_from_another_thread_is_lost_and_not_for_want_of_memory() -> None:
    worker = opened("im2col")
    worker.kill()

    with pytest.raises(WorkerLost, match="was stopped") as lost:
        worker.ask(PREPARE, LIMIT_S)
    assert not lost.value.is_out_of_memory


def test_ending_a_worker_after_a_normal_end_leaves_nothing(run_mark: str) -> None:
    with opened("faulty:LeavesUnmarkedProcesses") as worker:
        worker.ask(PREPARE, LIMIT_S)
        worker.ask(messages.CallFirst(), LIMIT_S)
        below = process_tree.descendants(worker.guard_pid)
        assert len(below) >= 3, "the worker, its child and its daemon"

    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
