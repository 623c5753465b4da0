"""Which cores are the quietest: how idle each was over a moment, by the kernel's own account."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

_STAT = Path("/proc/stat")
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
# The kernel counts in ticks of 10 ms, of which 0.2 s have twenty: shares closer than two ticks are equal.
_WAIT_S, _RESOLUTION = 0.2, 0.1


def quietest_cores(count: int, wait_s: float = _WAIT_S, sleep: Callable[[float], None] = time.sleep) -> tuple[int, ...]:
    """The cores that are idle most, quietest first; fewer than asked for where this process may use no more.

    Hardware threads of one core disturb each other, so each counts as idle as the busiest of its core, and one of each
    core is taken before a second of any. Among equals core 0, which serves most interrupts, is the last. Empty where
    the system does not say.

    Args:
        count: How many.
        wait_s: Over what time to look, in seconds.
        sleep: Passes that time.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ()
    allowed = os.sched_getaffinity(0)
    try:
        before = _STAT.read_text()
        sleep(wait_s)
        idle = idle_shares(before, _STAT.read_text())
    except OSError:
        return ()
    return quietest(idle, {core: siblings(core) for core in allowed}, count)


def quietest(idle: Mapping[int, float], sharing: Mapping[int, Collection[int]], count: int) -> tuple[int, ...]:
    """The quietest of some cores.

    Args:
        idle: Idle share by core; a core that is missing is off.
        sharing: The cores to choose from, each with all hardware threads of its core.
        count: How many.
    """
    by_core: dict[tuple[int, ...], list[int]] = {}
    for core, threads in sharing.items():
        if core in idle:
            by_core.setdefault(tuple(sorted({core, *threads})), []).append(core)

    def rank(threads: tuple[int, ...]) -> tuple[float, bool, int]:
        least = min(idle.get(thread, 1.0) for thread in threads)
        return -round(least / _RESOLUTION), 0 in threads, threads[0]

    groups = [sorted(by_core[threads], key=lambda core: (-idle[core], core)) for threads in sorted(by_core, key=rank)]
    turns = range(max(map(len, groups), default=0))
    return tuple(group[turn] for turn in turns for group in groups if turn < len(group))[:count]


def idle_shares(before: str, after: str) -> dict[int, float]:
    """Share of its time that each core did nothing between two readings of /proc/stat; time stolen is not idle."""
    start, end = _times(before), _times(after)
    shares = {}
    for core in start.keys() & end.keys():
        spent = [now - then for then, now in zip(start[core], end[core], strict=True)]
        # user, nice, system, idle, iowait, irq, softirq, steal; two more are contained in the first.
        total = sum(spent[:8])
        if total > 0:
            shares[core] = (spent[3] + spent[4]) / total
    return shares


def siblings(core: int) -> frozenset[int]:
    """All hardware threads of the core that one of them belongs to; itself where that is not told."""
    try:
        return cores_of(Path(_SIBLINGS.format(core)).read_text())
    except (OSError, ValueError):
        return frozenset({core})


def cores_of(text: str) -> frozenset[int]:
    """The cores of a list as the kernel writes it: "0,4" or "0-3,8-11".

    Raises:
        ValueError: It is none.
    """
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return frozenset(cores)


def _times(text: str) -> dict[int, list[int]]:
    rows = (line.split() for line in text.splitlines())
    return {
        int(words[0][3:]): [int(word) for word in words[1:]]
        for words in rows
        if words and words[0].startswith("cpu") and words[0] != "cpu"
    }
