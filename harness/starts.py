"""What a fresh process pays before its steady speed, with an empty cache of compiled code and with a filled one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness.cases import Case
from harness.entry import Entry
from harness.records import Start

# Where libraries keep what they compiled, if told.
_CACHES = {"NUMBA_CACHE_DIR": "numba", "TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
# A process that loads nothing takes this long to start.
_PROCESS_S = 0.3

MeasureStart = Callable[[Case, str, dict[str, str]], Start | None]
"""Starts a worker of a backend with some environment variables, prepares a case and calls it once; None if it fails."""


def measured(
    case: Case,
    entries: Sequence[Entry],
    limit_s: float,
    folder: Path,
    measure: MeasureStart,
    clock: Callable[[], float],
) -> Iterator[Entry]:
    """Add a cold and a warm start to entries, as far as the budget allows, and yield each that got them.

    Args:
        case: The problem.
        entries: Those that are right on it.
        limit_s: Seconds that all starts together may take; the quickest to start come first.
        folder: For caches of compiled code, one for each backend.
        measure: How a start is measured.
        clock: Seconds.
    """
    deadline = clock() + limit_s
    for entry in sorted(entries, key=_start_s):
        if clock() + 2 * _start_s(entry) > deadline:
            return
        cache = Path(tempfile.mkdtemp(dir=folder))
        variables = {name: str(cache / place) for name, place in _CACHES.items()}
        entry.cold_start = measure(case, entry.backend, variables)
        entry.warm_start = measure(case, entry.backend, variables) if entry.cold_start is not None else None
        yield entry


def _start_s(entry: Entry) -> float:
    """Seconds that one start is predicted to take; compiling anew takes longer."""
    parts_ns = (
        entry.opened.import_ns if entry.opened else 0,
        entry.prepared.prepare_ns if entry.prepared else 0,
        entry.called.first_call_ns if entry.called else 0,
    )
    return _PROCESS_S + sum(parts_ns) * 1e-9
