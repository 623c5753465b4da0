"""Who else takes time of the cores: the host of a virtual machine, and other processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.doctor.findings import Finding, Level
from harness.doctor.readings import cpu_times

_LOOK_S = 0.5
# Less than this share of a core is what a system does to keep itself going.
_BUSY_SHARE, _BUSY_PROCESS = 0.1, 0.05
_MOST_NAMED = 4
_STOLEN_SHARE = 0.005


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process and the CPU time that it has had."""

    pid: int
    name: str
    ticks: int


def look(sleep: Callable[[float], None] = time.sleep) -> Iterator[Finding]:
    """Count everyone's time while this program sleeps."""
    times, processes = cpu_times(), running()
    if times is None:
        return
    sleep(_LOOK_S)
    after = cpu_times()
    assert after is not None  # noqa: S101  # it was readable half a second ago
    spent = {name: after[name] - times[name] for name in times}
    yield from judged(spent, greediest(processes, running(), _LOOK_S * os.sysconf("SC_CLK_TCK")))


def judged(spent: Mapping[str, int], others: list[tuple[Process, float]]) -> Iterator[Finding]:
    """What the machine's time went to.

    Args:
        spent: Ticks by kind, of all cores.
        others: Processes with the share of a core that each took, greediest first.
    """
    total = max(1, sum(spent.values()))
    busy = 1 - (spent["idle"] + spent["iowait"]) / total
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    seen = f"{busy:.0%} of {cores} cores busy while this program slept; load average {load:.2f}"
    if busy > _BUSY_SHARE:
        yield Finding(level=Level.WARNING, topic="other work", seen=seen, remedy=_who(others))
    else:
        yield Finding(level=Level.OK, topic="other work", seen=seen)
    steal = spent["steal"] / total
    if steal > _STOLEN_SHARE:
        remedy = "the host gives this virtual machine's cores to others; trust ratios within one run only"
        yield Finding(level=Level.WARNING, topic="steal", seen=f"{steal:.1%} of time stolen by the host", remedy=remedy)


def running() -> dict[int, Process]:
    """Every other process that can be seen."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text()
        except OSError:
            continue  # it has just ended
        # The name stands in brackets and may hold any of them itself.
        before, _, rest = text.rpartition(")")
        pid, _, name = before.partition(" (")
        fields = rest.split()
        found[int(pid)] = Process(pid=int(pid), name=name, ticks=int(fields[11]) + int(fields[12]))
    found.pop(os.getpid(), None)
    return found


def greediest(
    before: Mapping[int, Process], after: Mapping[int, Process], ticks_of_core: float
) -> list[tuple[Process, float]]:
    """Processes that took a visible share of a core between two looks, greediest first."""
    shares = [
        (process, (process.ticks - before[pid].ticks) / ticks_of_core)
        for pid, process in after.items()
        if pid in before
    ]
    return sorted(((p, share) for p, share in shares if share >= _BUSY_PROCESS), key=lambda item: -item[1])


def _who(others: list[tuple[Process, float]]) -> str:
    if not others:
        return "none of it is a process that can be seen from here: a container, or the kernel itself; wait"
    named = ", ".join(
        f"{process.name} (pid {process.pid}) {share:.0%} of a core" for process, share in others[:_MOST_NAMED]
    )
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    return f"stop these, or wait: {named}{more}"
