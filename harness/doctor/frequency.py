"""Whether the cores keep one speed: what the system says of it, and how evenly a fixed loop runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from harness.doctor.findings import Finding, Level
from harness.doctor.readings import read

_LOOK_S = 0.3
# About a millisecond: shorter than the steps in which frequencies change, long beside reading a clock.
_LOOP_ADDITIONS = 20_000
# Between the slowest and the fastest tenth of the windows; an undisturbed core stays within two per cent.
_UNSTEADY, _VERY_UNSTEADY = 0.05, 0.15
# Enough windows for a tenth of them to be more than one.
_LEAST_WINDOWS = 20


def look() -> Iterator[Finding]:
    """Governor and turbo where they can be seen, and the speed of a loop in any case."""
    yield from settings()
    yield steadiness(window_times(_LOOK_S))


def settings() -> Iterator[Finding]:
    """What the system lets frequencies do."""
    governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor is not None and governor != "performance":
        remedy = "sudo cpupower frequency-set -g performance"
        yield Finding(level=Level.WARNING, topic="frequency", seen=f"scaling governor is {governor}", remedy=remedy)
    elif governor is not None:
        yield Finding(level=Level.OK, topic="frequency", seen="scaling governor is performance")
    no_turbo = read("/sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = read("/sys/devices/system/cpu/cpufreq/boost")
    if no_turbo == "0" or boost == "1":
        seen = "turbo is on: the first seconds of a load run faster than the rest"
        remedy = "interleaving hides most of it; for steady figures switch turbo off"
        yield Finding(level=Level.NOTE, topic="turbo", seen=seen, remedy=remedy)


def window_times(
    duration_s: float, clock: Callable[[], int] = time.thread_time_ns, wall: Callable[[], float] = time.monotonic
) -> list[int]:
    """CPU time in ns of one loop of additions, again and again, each of which waits for the one before."""
    times: list[int] = []
    end = wall() + duration_s
    while wall() < end or len(times) < _LEAST_WINDOWS:
        start, total = clock(), 0
        for step in range(_LOOP_ADDITIONS):
            total += step
        times.append(clock() - start)
    return times


def steadiness(times_ns: Sequence[int]) -> Finding:
    """What the times of equal work mean. Time in which others had the core is not among them, but a slower core is."""
    ordered = sorted(times_ns)
    tenth = len(ordered) // 10
    fast, slow, middle = ordered[tenth], ordered[-1 - tenth], ordered[len(ordered) // 2]
    spread = (slow - fast) / middle
    seen = f"equal loops took times within {spread:.1%} of each other"
    if spread <= _UNSTEADY:
        return Finding(level=Level.OK, topic="speed", seen=seen)
    remedy = "frequency, a hardware thread beside this one, or a host that shares cores; compare within one run only"
    level = Level.WARNING if spread > _VERY_UNSTEADY else Level.NOTE
    return Finding(level=level, topic="speed", seen=seen, remedy=remedy)
