"""Peaks of calls whose memory is known, each in a process with a worker's allocator settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import memory
from harness.worker_process import _ALLOCATOR

ROOT = Path(__file__).parents[2]
MB = 1_000_000
SLACK = 600_000

# A body defines `call`; `prepare` returns it, as a backend's would.
PRELUDE = """
import concurrent.futures, threading
import numpy as np
from harness import memory

MB = 1_000_000
pool = concurrent.futures.ThreadPoolExecutor(1)

def filled(megabytes):
    return np.full(round(megabytes * MB), 1, np.uint8)
"""


def measured(body: str, prelude: str = "") -> tuple[int | None, int | None]:
    """Workspace of `call` and what `prepare` and the first call keep, measured as a worker does it."""
    code = (
        PRELUDE
        + prelude
        + body
        + """
held = memory.held_bytes()
call = prepare()
first = call()
kept = first.copy() if first is not None else None
del first
retained = memory.retained_bytes(held, kept)
del kept
print(memory.workspace_bytes(call), retained)
"""
    )
    environment = os.environ | _ALLOCATOR | {"OMP_NUM_THREADS": "2"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    workspace, retained = (None if word == "None" else int(word) for word in ran.stdout.split())
    return workspace, retained


def assert_about(got: int | None, expected_mb: float) -> None:
    assert got is not None
    assert abs(got - expected_mb * MB) <= SLACK + 0.02 * expected_mb * MB


# body, workspace in MB, retained in MB
KNOWN = {
    "a call that allocates nothing": ("prepare = lambda: lambda: None", 0, 0),
    "1 MB within the call": ("prepare = lambda: lambda: (filled(1), None)[1]", 1, 0),
    "10 MB within the call": ("prepare = lambda: lambda: (filled(10), None)[1]", 10, 0),
    "100 MB within the call": ("prepare = lambda: lambda: (filled(100), None)[1]", 100, 0),
    "a fresh output only": ("prepare = lambda: lambda: filled(20)", 0, 0),
    "a workspace beside a fresh output": (
        """
def prepare():
    def call():
        y = filled(20)
        y[:10] = filled(30)[:10]
        return y
    return call
""",
        30,
        0,
    ),
    "a workspace freed before the output exists": (
        """
def prepare():
    def call():
        filled(30)
        return filled(20)
    return call
""",
        10,
        0,
    ),
    "a workspace allocated in prepare": (
        """
def prepare():
    workspace = np.empty(30 * MB, np.uint8)
    def call():
        workspace[:] = 2
        return filled(5)
    return call
""",
        0,
        30,
    ),
    "an output allocated in prepare": (
        """
def prepare():
    y = np.empty(30 * MB, np.uint8)
    def call():
        y[:] = 2
        filled(10)
        return y
    return call
""",
        10,
        30,
    ),
    "an output that is part of a larger array": ("prepare = lambda: lambda: filled(50)[:20 * MB]", 30, 0),
    "temporaries of an expression": (
        """
def prepare():
    x = np.ones(2_500_000)
    return lambda: (x * 2 + x * 3).astype(np.float32)
""",
        # Both products live at once, 40 MB, and the output of 10 takes the place of one.
        30,
        20,
    ),
    "memory past the allocator": (
        """
import mmap
def prepare():
    def call():
        with mmap.mmap(-1, 25 * MB) as block:
            block.write(bytes(25 * MB))
    return call
""",
        # The zeros that are written are pages that nobody ever touched, and take none.
        25,
        0,
    ),
    # glibc keeps what it freed at the end of its heap, which counts as retained until it frees something else.
    "a pool's thread that allocates 8 MB": (
        "prepare = lambda: lambda: pool.submit(lambda: (filled(8), None)[1]).result()",
        8,
        None,
    ),
    "a pool's thread that allocates 100 MB": (
        "prepare = lambda: lambda: pool.submit(lambda: (filled(100), None)[1]).result()",
        100,
        0,
    ),
    "a pool's thread whose output it is": ("prepare = lambda: lambda: pool.submit(filled, 8).result()", 0, None),
    "a new thread a call": (
        """
def prepare():
    def call():
        thread = threading.Thread(target=filled, args=(12,))
        thread.start()
        thread.join()
    return call
""",
        12,
        None,
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_a_call_takes_and_prepare_keeps_is_measured(name: str) -> None:
    body, workspace_mb, retained_mb = KNOWN[name]

    workspace, retained = measured(body)

    assert_about(workspace, workspace_mb)
    if retained_mb is not None:
        assert_about(retained, retained_mb)


@pytest.mark.parametrize(
    ("name", "workspace_mb"),
    [
        ("10 MB within the call", 10),
        ("a workspace beside a fresh output", 30),
        ("a pool's thread that allocates 8 MB", 8),
        ("a workspace allocated in prepare", 0),
    ],
)
def test_without_permission_to_reset_the_peak_what_stays_resident_tells_it(name: str, workspace_mb: float) -> None:
    workspace, _ = measured(KNOWN[name][0], prelude="memory._reset_peak = lambda: False\n")

    assert_about(workspace, workspace_mb)


def test_where_the_kernel_tells_nothing_nothing_is_claimed() -> None:
    prelude = "import pathlib\nmemory._SELF = pathlib.Path('/nowhere')\n"

    assert measured(KNOWN["10 MB within the call"][0], prelude) == (None, None)


def test_a_long_call_is_made_once() -> None:
    ticks, calls = iter([0.0, 5.0]), []

    memory.workspace_bytes(lambda: calls.append(None), clock=lambda: next(ticks))

    assert len(calls) == 1


def test_measuring_leaves_the_allocator_as_a_worker_had_it() -> None:
    # A trimmed heap would fault its pages in again: the second filling must find the pages of the first.
    body = """
prepare = lambda: lambda: (filled(40), None)[1]
import resource
memory.workspace_bytes(prepare())
filled(40)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
filled(40)
assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 100
"""
    measured(body)
