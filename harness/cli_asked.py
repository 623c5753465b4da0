"""What `run` and `check` were asked for: the options as typed, and the settings and the header that come of them."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from backends import threads as thread_counts
from harness import doctor, environment, plan, sources
from harness.cores import quietest_cores
from harness.plan import RunSettings
from harness.probes import EVERY_PROBE
from harness.records import PROTOCOL, CacheState, RunHeader
from harness.selection import Selection, SelectionError, seconds, size_bytes
from harness.units import exact_duration_text

_DEFAULT_BUDGET_S = 300.0
# Seconds of the budget that go to what comes before and after the measuring: looking at the machine, which takes more
# than one, and writing the report, whose plots take most, and more where there is more to draw.
_REPORT_S = 3.0
_REPORT_CELL_S = 0.015


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of `run` and `check`, as typed."""

    is_timed: bool
    given: frozenset[str]
    """Names of those that stand on the command line."""
    suites: tuple[str, ...]
    problems: tuple[str, ...]
    backends: tuple[str, ...]
    dtype: str | None
    threads: int | None
    budget: str | None
    out: Path | None
    resume: bool
    seed: int
    case_timeout: str
    prepare_timeout: str
    memory_limit: str | None
    quiet: bool
    sample: int | None
    cache: str = CacheState.HOT.value
    jobs: int | None = None
    probe: tuple[str, ...] = ()

    @property
    def default_suites(self) -> tuple[str, ...]:
        """What is worked on where neither a suite nor a problem is named: a check begins with what shows most."""
        if self.suites or self.problems:
            return self.suites
        return () if self.is_timed else ("conformance", "default")


def completed(asked: Asked, header: RunHeader) -> Asked:
    """What is asked for when a stored run is resumed: what the run was started with, where nothing else is given."""

    def kept(name: str, stored: float | None) -> str | None:
        given: str | None = getattr(asked, name)
        return given if name in asked.given or stored is None else exact_duration_text(stored)

    limit = header.memory_limit_bytes
    return replace(
        asked,
        is_timed=header.is_timed,
        jobs=None if header.is_timed else asked.jobs,
        suites=asked.suites or header.suites,
        problems=asked.problems or header.problems,
        backends=asked.backends or header.backends,
        dtype=asked.dtype or header.dtype,
        probe=asked.probe or header.probes,
        threads=header.threads if asked.threads is None else asked.threads,
        seed=asked.seed if "seed" in asked.given else header.seed,
        cache=asked.cache if "cache" in asked.given else header.cache.value,
        budget=kept("budget", header.budget_s),
        case_timeout=kept("case_timeout", header.case_timeout_s) or asked.case_timeout,
        prepare_timeout=kept("prepare_timeout", header.prepare_timeout_s) or asked.prepare_timeout,
        memory_limit=asked.memory_limit if "memory_limit" in asked.given or limit is None else str(limit),
    )


def settings_of(asked: Asked, selection: Selection, cores: tuple[int, ...] | None = None) -> RunSettings:
    """How the selection is carried out.

    Args:
        asked: The options.
        selection: What is worked on.
        cores: Of a run that is finished now: those that it was bound to. Else a timed run that leaves cores over is
            bound to the quietest ones.

    Raises:
        SelectionError: An option's value that cannot be used.
    """
    available = thread_counts.available()
    jobs = 1 if asked.jobs is None else asked.jobs
    threads = max(1, available // jobs) if asked.threads is None else asked.threads
    if not 1 <= threads <= available:
        raise SelectionError(f"--threads {threads} is not possible here; use 1 to {available}, the cores usable here")
    if asked.budget is not None:
        budget_s = seconds(asked.budget, "--budget")
    elif asked.is_timed:
        budget_s = selection.budget_s or _DEFAULT_BUDGET_S
    else:
        budget_s = float("inf")
    if cores is None:
        cores = quietest_cores(threads) if asked.is_timed and threads < available else ()
    return RunSettings(
        backends=selection.backends,
        threads=threads,
        cores=cores,
        report_s=_REPORT_S + _REPORT_CELL_S * len(selection.cases) * len(selection.backends) if asked.is_timed else 0.0,
        seed=asked.seed,
        budget_s=budget_s,
        case_timeout_s=seconds(asked.case_timeout, "--case-timeout"),
        prepare_timeout_s=seconds(asked.prepare_timeout, "--prepare-timeout"),
        memory_limit_bytes=None if asked.memory_limit is None else size_bytes(asked.memory_limit, "--memory-limit"),
        is_timed=asked.is_timed,
        jobs=jobs,
        cache=CacheState(asked.cache),
        # In the order in which they are always made, whatever the order of asking.
        probes=tuple(name for name in EVERY_PROBE if name in asked.probe),
    )


def header_of(asked: Asked, selection: Selection, settings: RunSettings) -> RunHeader:
    """What is known before anything is measured: what was asked, where, with what."""
    keys = plan.plan_keys(selection.cases, selection.backends)
    return RunHeader(
        command=("python", "-m", "harness", *sys.argv[1:]),
        started_utc=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seed=settings.seed,
        budget_s=None if settings.budget_s == float("inf") else settings.budget_s,
        case_timeout_s=settings.case_timeout_s,
        prepare_timeout_s=settings.prepare_timeout_s,
        memory_limit_bytes=settings.memory_limit_bytes,
        threads=settings.threads,
        cores=settings.cores,
        dtype=asked.dtype,
        is_timed=asked.is_timed,
        probes=settings.probes,
        suites=asked.suites,
        problems=asked.problems,
        backends=selection.backends,
        cells_planned=len(keys),
        machine=environment.machine(),
        libraries=environment.libraries(),
        commit=environment.commit(),
        # Of a resumed run, what was seen when it began is kept.
        warnings=doctor.warnings(doctor.examine()) if asked.is_timed and not asked.resume else (),
        plan=keys,
        protocol=PROTOCOL,
        cache=settings.cache,
        variables=environment.variables(has_foreign_code=sources.has_foreign(selection.backends)),
        sources=sources.digests(selection.backends),
    )


def folder_name(header: RunHeader) -> str:
    """Name of the folder of a run that was given none: when, on what, of which commit."""
    stamp = header.started_utc.replace("-", "").replace(":", "")
    return "-".join((stamp, environment.label(header.machine), header.commit or "nocommit"))
