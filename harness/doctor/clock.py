"""The timer's resolution and cost."""

from __future__ import annotations

import time
from collections.abc import Iterator

from harness import sampling
from harness.doctor.findings import Finding, Level
from harness.doctor.readings import read
from harness.units import time_text

_SOURCES = "/sys/devices/system/clocksource/clocksource0"
# A clock that is read within the processor costs tens of nanoseconds; one that asks the kernel or a host, many more.
_SLOW_NS = 1000


def look() -> Iterator[Finding]:
    """Read the clock many times."""
    resolution_ns = time.get_clock_info("perf_counter").resolution * 1e9
    cost_ns = sampling.timer_cost_ns(time.perf_counter_ns)
    yield judged(cost_ns, resolution_ns, read(f"{_SOURCES}/current_clocksource"))


def judged(cost_ns: float, resolution_ns: float, source: str | None) -> Finding:
    """What a reading's cost and the clock's resolution mean."""
    named = f" ({source})" if source else ""
    seen = f"one reading{named} costs {time_text(cost_ns)}, resolution {time_text(resolution_ns)}"
    if cost_ns <= _SLOW_NS:
        return Finding(level=Level.OK, topic="timer", seen=seen)
    remedy = f"the kernel's clock source is slow; see {_SOURCES}/available_clocksource: tsc is the fast one"
    return Finding(level=Level.WARNING, topic="timer", seen=seen, remedy=remedy)
