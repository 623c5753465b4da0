"""How much time each core takes away from a thread that wants all of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.doctor.findings import Finding, Level
from harness.units import time_text

# For all cores together; on machines with very many cores some are taken at even distances.
_SPIN_S, _LEAST_SPIN_S = 0.4, 0.02
# A gap this long between two readings of the clock means that something else had the core.
_GAP_NS = 50_000
_LOST_SHARE = 0.01
_MOST_LISTED = 8


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What a spinning thread lost to others."""

    share: float
    longest_ns: int


def look(spin_s: float = _SPIN_S) -> Iterator[Finding]:
    """Spin on each core in turn, where threads may be bound, else wherever the system puts the thread."""
    if not hasattr(os, "sched_setaffinity"):
        yield judged({}, spin(spin_s))
        return
    allowed = sorted(os.sched_getaffinity(0))
    chosen = allowed[:: max(1, round(len(allowed) * _LEAST_SPIN_S / spin_s))]
    losses = {}
    try:
        for core in chosen:
            os.sched_setaffinity(0, {core})
            losses[core] = spin(max(_LEAST_SPIN_S, spin_s / len(chosen)))
    except OSError:
        losses.clear()
    finally:
        os.sched_setaffinity(0, allowed)
    yield judged(losses, None if losses else spin(spin_s))


def spin(duration_s: float) -> Loss:
    """Read the clock without a pause: time lost in gaps is time that a measurement would have lost."""
    lost, longest, start = 0, 0, time.perf_counter_ns()
    now, end = start, start + int(duration_s * 1e9)
    while now < end:
        last, now = now, time.perf_counter_ns()
        if now - last > _GAP_NS:
            lost += now - last
            longest = max(longest, now - last)
    return Loss(share=lost / (now - start), longest_ns=longest)


def judged(by_core: Mapping[int, Loss], anywhere: Loss | None) -> Finding:
    """What the losses mean.

    Args:
        by_core: Of threads bound to one core each.
        anywhere: Of a thread that was not bound, where none could be.
    """
    losses = dict(by_core) or ({} if anywhere is None else {-1: anywhere})
    longest = max(loss.longest_ns for loss in losses.values())
    listed = sorted(losses, key=lambda core: -losses[core].share)[:_MOST_LISTED]
    each = ", ".join(f"core {core} lost {losses[core].share:.1%}" for core in sorted(listed) if core >= 0)
    if anywhere is not None and not by_core:
        each = f"a spinning thread lost {anywhere.share:.1%}"
    least = f", {len(losses) - len(listed)} others less" if len(losses) > len(listed) else ""
    seen = f"{each}{least} of its time, at most {time_text(longest)} at once"
    noisy = [core for core, loss in losses.items() if loss.share > _LOST_SHARE]
    if not noisy:
        return Finding(level=Level.OK, topic="interruptions", seen=seen)
    return Finding(level=Level.WARNING, topic="interruptions", seen=seen, remedy=_remedy(losses, noisy))


def _remedy(losses: Mapping[int, Loss], noisy: list[int]) -> str:
    quiet = [core for core in sorted(losses) if core not in noisy]
    if quiet:
        listed = ",".join(map(str, quiet))
        many = f"core {listed} is" if len(quiet) == 1 else f"cores {listed} are"
        return f"{many} quiet: taskset -c {listed} python -m harness run --threads {len(quiet)}"
    remedy = "something else runs on these cores, perhaps outside this virtual machine; expect wide intervals"
    best = min(losses, key=lambda core: losses[core].share)
    is_better = max(loss.share for loss in losses.values()) > 2 * losses[best].share
    return f"{remedy}; core {best} loses least" if is_better else remedy
