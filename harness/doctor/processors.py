"""Which cores may be used: all of them, whole ones, without a quota, with threads bound to them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from backends import threads
from harness import cores, environment
from harness.doctor.findings import Finding, Level
from harness.doctor.readings import group_folders, read


def look() -> Iterator[Finding]:
    """Count cores and what stands between them and a thread."""
    available, total = threads.available(), os.cpu_count() or 1
    yield Finding(level=Level.OK, topic="cores", seen=f"{available} of {total} usable; {environment.cpu_model()}")
    yield from _shared(sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [])
    yield from _quota(available)
    yield from _binding()


def _shared(allowed: list[int]) -> Iterator[Finding]:
    """Hardware threads of one core."""
    groups = {cores.siblings(core) for core in allowed}
    shared = [group for group in groups if len(group) > 1]
    if shared:
        example = "+".join(map(str, sorted(min(shared, key=min))))
        one_each = ",".join(str(min(group & set(allowed))) for group in sorted(groups, key=min))
        seen = f"{len(allowed)} hardware threads on {len(groups)} cores (such as {example}): two on one share its units"
        remedy = f"one thread a core: taskset -c {one_each} python -m harness run --threads {len(groups)}"
        yield Finding(level=Level.NOTE, topic="hyper-threads", seen=seen, remedy=remedy)


def _quota(available: int) -> Iterator[Finding]:
    """The tightest quota of the control groups that this process is in."""
    allowed = [
        cores_allowed for folder in group_folders("cpu") if (cores_allowed := _cores_of_quota(folder)) is not None
    ]
    if allowed and min(allowed) < available:
        seen = f"a container quota of {min(allowed):.2g} cores for {available} visible ones"
        remedy = "calls are paused when the quota is used up; raise it, or lower --threads"
        yield Finding(level=Level.WARNING, topic="cpu quota", seen=seen, remedy=remedy)


def _cores_of_quota(folder: str) -> float | None:
    quota, _, period = (read(f"{folder}/cpu.max") or "").partition(" ")
    if not quota:
        quota, period = read(f"{folder}/cpu.cfs_quota_us") or "", read(f"{folder}/cpu.cfs_period_us") or ""
    if quota in {"", "max", "-1"} or not period.isdigit() or not quota.isdigit():
        return None
    return int(quota) / int(period)


def _binding() -> Iterator[Finding]:
    """Whether a thread may choose its core, tried with the cores that it has."""
    if not hasattr(os, "sched_setaffinity"):
        seen = "this system does not bind threads to cores"
        yield Finding(level=Level.NOTE, topic="binding", seen=seen, remedy="expect threads to wander")
        return
    own = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(own)})
        is_bound = os.sched_getaffinity(0) == {min(own)}
    except OSError:
        is_bound = False
    else:
        os.sched_setaffinity(0, own)
    if is_bound:
        yield Finding(level=Level.OK, topic="binding", seen="threads can be bound to cores")
    else:
        seen = "threads may not be bound to cores here: two may be woken on one while another is idle"
        yield Finding(level=Level.WARNING, topic="binding", seen=seen, remedy="allow sched_setaffinity, or --threads 1")
