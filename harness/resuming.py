"""Whether what is asked for now is the run that was stored, so that the two parts may become one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness import plan, strata
from harness.records import RunHeader
from harness.selection import Selection
from harness.units import exact_duration_text, exact_size_text

# The kernel keeps a little more or less for itself after each start.
_SAME_MEMORY = 0.05


def drawn_again(selection: Selection, header: RunHeader, seed: int) -> Selection:
    """The sample that a stored run was of. Its plan tells how many cases that were; where it was all, so is this."""
    n = len(header.plan) // max(1, len(header.backends))
    if not 0 < n < len(selection.cases):
        return selection
    drawn = replace(selection, cases=strata.sample(selection.cases, n, seed))
    return drawn if plan.plan_keys(drawn.cases, drawn.backends) == header.plan else selection


def differences(then: RunHeader, now: RunHeader, *, is_timed_asked: bool) -> list[str]:
    """What keeps two parts of a run from being one: each named with both values."""
    if then.schema_version < now.schema_version:
        # It says too little of how and with what it was measured to compare the rest.
        parts = [f"schema {header.schema_version}, protocol {header.protocol}" for header in (then, now)]
        return [f"it was measured by an earlier version of this program ({parts[0]}; this one has {parts[1]})"]
    found = []
    if then.is_timed != is_timed_asked:
        found.append(f"it was started by {'run' if then.is_timed else 'check'}")
    found += [f"{what} was {_shown(old)}, now {_shown(new)}" for what, old, new in _compared(then, now) if old != new]
    if then.plan != now.plan:
        found.append(f"its plan of {len(then.plan)} cells differs from this one of {len(now.plan)}")
    return found


def _compared(then: RunHeader, now: RunHeader) -> Iterator[tuple[str, object, object]]:
    """Everything that two parts must agree on: its name, and its value in each."""
    yield "the measuring protocol", then.protocol, now.protocol
    yield "seed", then.seed, now.seed
    yield "threads", then.threads, now.threads
    yield "--cache", then.cache.value, now.cache.value
    yield "--case-timeout", _seconds(then.case_timeout_s), _seconds(now.case_timeout_s)
    yield "--prepare-timeout", _seconds(then.prepare_timeout_s), _seconds(now.prepare_timeout_s)
    yield "--memory-limit", _size(then.memory_limit_bytes), _size(now.memory_limit_bytes)
    yield "probes", ", ".join(then.probes) or "all", ", ".join(now.probes) or "all"
    yield "processor", then.machine.get("cpu"), now.machine.get("cpu")
    yield "usable cores", then.machine.get("cores_available"), now.machine.get("cores_available")
    yield "binding to cores", _numbers(then.cores), _numbers(now.cores)
    old, new = then.machine.get("memory_bytes"), now.machine.get("memory_bytes")
    if not _is_about(old, new):
        yield "memory in bytes", old, new
    yield "Python", then.machine.get("python"), now.machine.get("python")
    # Changes that have no commit yet are in the sources' digests.
    yield "commit", _clean(then.commit), _clean(now.commit)
    yield from _both("", then.libraries, now.libraries)
    yield from _both("the code of ", then.sources, now.sources)
    yield from _both("the variable ", then.variables, now.variables)


def _both(what: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str | None, str | None]]:
    return ((f"{what}{name}", then.get(name), now.get(name)) for name in {**then, **now})


def _shown(value: object) -> str:
    """A value in a sentence: nothing at all must not look like a word that could stand there."""
    return "unset" if value is None else "empty" if value == "" else str(value)


def _is_about(old: str | float | None, new: str | float | None) -> bool:
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return old == new
    return abs(old - new) <= _SAME_MEMORY * max(old, new)


def _seconds(value: float | None) -> str | None:
    return None if value is None else exact_duration_text(value)


def _size(value: int | None) -> str:
    return "none" if value is None else exact_size_text(value)


def _numbers(cores: tuple[int, ...]) -> str:
    return " ".join(map(str, cores)) or "none"


def _clean(commit: str | None) -> str | None:
    return None if commit is None else commit.removesuffix("-dirty")
