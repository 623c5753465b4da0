"""Processes that keep cores busy while something is measured: pinned, bounded in time, and gone when the block ends.

Run as `python -m benchmarks.trust.neighbour PARENT MANNER LIMIT_S SEED CORE...`, which `neighbours` does.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Of the repository; workers and neighbours start here."""

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h
# More than a core's own caches hold, so that copying disturbs what others keep in the last level.
_COPIED_BYTES = 16 << 20
_START_LIMIT_S = 20.0
# A roaming neighbour stays on a core, or rests, for a time drawn from this range: longer than a block, shorter than a
# case.
_STAY_S = (0.1, 1.5)
_REST_CHANCE = 0.3


class Manner(enum.Enum):
    """How a neighbour disturbs."""

    NONE = "none"
    """Not at all: the machine as it is."""
    STEADY = "steady"
    """Always busy, pinned to one core."""
    ROAMING = "roaming"
    """Busy on one core, then on another, with rests between: what was true a second ago is true no more."""
    CROWDED = "crowded"
    """One busy process for each core: nobody gets a core of their own."""

    @property
    def words(self) -> str:
        """As a table says it."""
        return {
            Manner.NONE: "no neighbour",
            Manner.STEADY: "a neighbour busy on one core",
            Manner.ROAMING: "a neighbour busy on one core after another",
            Manner.CROWDED: "a neighbour busy on every core",
        }[self]


USUAL = (Manner.NONE, Manner.STEADY, Manner.ROAMING)
"""Surroundings in which claims are made; on a crowded machine a call does take longer."""


@contextlib.contextmanager
def neighbours(manner: Manner, *, limit_s: float, seed: int = 0) -> Generator[tuple[int, ...]]:
    """Busy processes for as long as the block lasts, and their pids; none where there is no neighbour.

    Args:
        manner: How they disturb.
        limit_s: They end by themselves after this time, whatever becomes of the block.
        seed: Of a roaming one's moves.

    Raises:
        RuntimeError: One did not start, or ended before the block did.
    """
    usable = sorted(os.sched_getaffinity(0))
    cores_of_each = {
        Manner.NONE: [],
        Manner.STEADY: [usable[-1:]],
        Manner.ROAMING: [usable],
        Manner.CROWDED: [[core] for core in usable],
    }[manner]
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_busy(manner, limit_s, seed, cores)) for cores in cores_of_each]
        yield tuple(process.pid for process in processes)
        if any(process.poll() is not None for process in processes):
            raise RuntimeError(f"a busy neighbour ended at its limit of {limit_s:g} s, too early; raise it")


@contextlib.contextmanager
def _busy(manner: Manner, limit_s: float, seed: int, cores: Sequence[int]) -> Generator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", __spec__.name, *map(str, (os.getpid(), manner.value, limit_s, seed, *cores))],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None  # asked for above
            readable = select.select([process.stdout], [], [], _START_LIMIT_S)[0]
            if not readable or process.stdout.readline().strip() != b"busy":
                raise RuntimeError(f"the busy neighbour on cores {list(cores)} did not start; see its message above")
            yield process
        finally:
            process.kill()


def _work(manner: Manner, limit_s: float, seed: int, cores: Sequence[int]) -> None:
    """Be busy until the limit."""
    end = time.monotonic() + limit_s
    source, target = bytearray(_COPIED_BYTES), bytearray(_COPIED_BYTES)
    order = random.Random(seed)
    core = cores[0]
    os.sched_setaffinity(0, {core})
    print("busy", flush=True)
    until = 0.0 if manner is Manner.ROAMING else end
    while (now := time.monotonic()) < end:
        if now >= until:
            core = order.choice(cores)
            os.sched_setaffinity(0, {core})
            if order.random() < _REST_CHANCE:
                time.sleep(min(order.uniform(*_STAY_S), end - now))
            until = time.monotonic() + order.uniform(*_STAY_S)
        target[:] = source
        sum(range(50_000))


def _die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the one that started it ends, however it ends."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None and sys.platform == "linux":
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that wanted a busy neighbour is gone")


if __name__ == "__main__":
    _die_with_parent(int(sys.argv[1]))
    _work(Manner(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), [int(core) for core in sys.argv[5:]])
