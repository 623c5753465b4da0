"""Whether what is asked for now is the run that was stored, so that the two parts may become one."""

from __future__ import annotations

from dataclasses import replace

from harness import plan, strata
from harness.records import RunHeader
from harness.selection import Selection


def drawn_again(selection: Selection, header: RunHeader, seed: int) -> Selection:
    """The sample that a stored run was of. Its plan tells how many cases that were; where it was all, so is this."""
    n = len(header.plan) // max(1, len(header.backends))
    if not 0 < n < len(selection.cases):
        return selection
    drawn = replace(selection, cases=strata.sample(selection.cases, n, seed))
    return drawn if plan.plan_keys(drawn.cases, drawn.backends) == header.plan else selection


def differences(then: RunHeader, now: RunHeader, *, is_timed_asked: bool) -> list[str]:
    """What keeps two parts of a run from being one: each named with both values."""
    found = []
    if then.is_timed != is_timed_asked:
        found.append(f"it was started by {'run' if then.is_timed else 'check'}")
    for what, old, new in (
        ("seed", then.seed, now.seed),
        ("threads", then.threads, now.threads),
        ("processor", then.machine.get("cpu"), now.machine.get("cpu")),
        ("Python", then.machine.get("python"), now.machine.get("python")),
        ("commit", then.commit, now.commit),
        ("probes", ", ".join(then.probes) or "all", ", ".join(now.probes) or "all"),
        *((name, then.libraries.get(name), now.libraries.get(name)) for name in then.libraries | now.libraries),
    ):
        if old != new:
            found.append(f"{what} was {old}, now {new}")
    if then.plan != now.plan:
        found.append(f"its plan of {len(then.plan)} cells differs from this one of {len(now.plan)}")
    return found
