"""What the machine did to this process during some time: involuntary context switches, and cores stolen by the host."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
# Of the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
_STEAL = 8
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Meter:
    """A reading of the counters; two of them tell what happened between."""

    preemptions: int
    steal_ticks: int


def read() -> Meter:
    """The counters now; steal stays 0 where the system does not count it."""
    return Meter(preemptions=resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw, steal_ticks=_steal_ticks())


def stolen_share(before: Meter, after: Meter, wall_ns: int) -> float:
    """Share of all cores' time that the host took between two readings, at most 1; ticks are 10 ms long as a rule."""
    cores = os.cpu_count() or 1
    ticks = after.steal_ticks - before.steal_ticks
    return min(1.0, ticks / _TICKS_PER_S * 1e9 / (wall_ns * cores)) if wall_ns > 0 else 0.0


def _steal_ticks() -> int:
    try:
        with _STAT.open("rb") as file:
            words = file.readline().split()
    except OSError:
        return 0
    return int(words[_STEAL]) if len(words) > _STEAL else 0
