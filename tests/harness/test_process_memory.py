from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from harness import process_memory
from harness.memory_watch import MemoryWatch

MIB = 1 << 20
SHARED = "held = mmap.mmap(-1, 64 << 20); held.write(b'x' * (64 << 20))"
PRIVATE = "held = b'x' * (64 << 20)"
FILE = "os.write(os.memfd_create('held'), b'x' * (64 << 20))"
MAPPED_FILE = "file = os.memfd_create('held'); os.truncate(file, 64 << 20); held = mmap.mmap(file, 0); held.write(b'x' * (64 << 20))"


@contextmanager
def process_with(what: str, *, children: int = 0) -> Iterator[list[int]]:
    """Pids of a process that holds something, and of forked children that share it."""
    code = (
        f"import mmap, os, time\n{what}\n"
        f"pids = [os.fork() or time.sleep(600) for _ in range({children})]\n"
        "print(os.getpid(), *pids, flush=True)\ntime.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        try:
            yield pids
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("measure", [process_memory.held_bytes, process_memory.held_bytes_exactly])
@pytest.mark.parametrize("what", [PRIVATE, SHARED, FILE, MAPPED_FILE])
def test_memory_of_every_kind_is_counted_once(what: str, measure: Callable[[Iterable[int]], int]) -> None:
    with process_with("pass") as empty, process_with(what) as full:
        assert 60 * MIB < measure(full) - measure(empty) < 72 * MIB


def test_pages_shared_with_forked_children_are_counted_once_where_it_matters() -> None:
    with process_with(PRIVATE, children=3) as pids:
        assert process_memory.held_bytes(pids) > 240 * MIB
        assert process_memory.held_bytes_exactly(pids) < 100 * MIB


def test_processes_that_are_gone_hold_nothing() -> None:
    with process_with("pass") as gone:
        pass

    assert process_memory.held_bytes(gone) == process_memory.held_bytes_exactly(gone) == 0


def test_without_a_limit_nobody_looks() -> None:
    watch = MemoryWatch(os.getpid())

    assert watch.first_look() == float("inf")
    assert watch.excess() is None
    assert not watch.is_reached_by(1 << 60)


def test_what_is_held_beyond_the_limit_is_told_with_the_number_of_processes() -> None:
    watch = MemoryWatch(os.getpid())
    watch.limit(32 * MIB)
    assert watch.excess() is None

    with process_with(SHARED, children=1):
        assert re.search(r"and what it started, \d+ processes in all, held \d", watch.excess() or "")
