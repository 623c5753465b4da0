"""Carries out a plan: every problem by every backend, checked, then timed in interleaved rounds. Yields cells.

With several jobs, each has workers of its own and takes the next problem when it is done with one.
"""

from __future__ import annotations

import contextlib
import queue
import random
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends import ConvProblem
from harness import scratch
from harness.budget import Budget, TimedBudget
from harness.cases import Case
from harness.check_budget import CheckBudget
from harness.entry import Entry
from harness.merging import merged
from harness.plan import Batch, CellPlace, RunSettings, batches_of, place_of
from harness.records import Cell, Status
from harness.rounds import time_in_rounds
from harness.session import Session


@dataclass(frozen=True, kw_only=True)
class CaseStarted:
    """Progress: a case begins."""

    case: Case
    number: int
    total: int


@dataclass(frozen=True, kw_only=True)
class BackendStarted:
    """Progress: a backend is being prepared, checked or timed on a case."""

    case: Case
    backend: str
    step: str


Event = CaseStarted | BackendStarted | Cell


def run(
    cases: Sequence[Case],
    settings: RunSettings,
    *,
    finished: frozenset[CellPlace] = frozenset(),
    clock: Callable[[], float] = time.monotonic,
    stop_soon: Callable[[], bool] = lambda: False,
) -> Generator[Event]:
    """Carry out a plan, cheapest problems first, and yield each cell as it ends.

    A problem that several groups or suites show is measured once and yields a cell for each of them. Closing the
    generator ends every worker.

    Args:
        cases: What to measure.
        settings: How.
        finished: Places that an earlier run of the same plan has filled; the rest is measured.
        clock: Seconds, for the budget.
        stop_soon: Asked before each problem; once it says so, those under way are the last.

    Raises:
        UsageError: A backend cannot be opened: an unknown name or option, a missing library.
    """
    batches = batches_of(cases, settings.backends, finished)
    if not batches:
        return
    explained: dict[str, set[str]] = {}
    sessions = [Session(settings, clock, explained) for _ in range(min(settings.jobs, max(1, len(batches))))]
    work = _Work(batches, sessions, stop_soon)
    with scratch.folder() as folder:
        jobs = [_Job(work, session, settings, folder, clock) for session in sessions]
        with contextlib.closing(_events_of(jobs, work)) as events:
            for event in events:
                if not isinstance(event, Cell) or place_of(event) not in finished:
                    yield event


class _Work:
    """Batches, handed out one by one to whichever job is free once every job has opened its workers."""

    def __init__(self, batches: Sequence[Batch], sessions: Sequence[Session], stop_soon: Callable[[], bool]) -> None:
        self.total = len(batches)
        self.problems = [batch.problem for batch in batches]
        self.everyone_is_ready = threading.Barrier(len(sessions))
        self._sessions = sessions
        self._is_stopped = False
        self._stop_soon = stop_soon
        self._waiting: queue.SimpleQueue[tuple[int, Batch]] = queue.SimpleQueue()
        for number, batch in enumerate(batches, 1):
            self._waiting.put((number, batch))

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        with contextlib.suppress(queue.Empty):
            while not (self._is_stopped or self._stop_soon()):
                yield self._waiting.get_nowait()

    def stop(self) -> None:
        """Make every job end soon, whatever it waits for."""
        self._is_stopped = True
        self.everyone_is_ready.abort()
        for session in self._sessions:
            session.stop()


class _Job:
    """One session at work, and what it learns of its backends' speed."""

    def __init__(
        self, work: _Work, session: Session, settings: RunSettings, folder: Path, clock: Callable[[], float]
    ) -> None:
        self._work = work
        self._session = session
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._start = 0.0
        self._budget: Budget = TimedBudget(settings) if settings.is_timed else CheckBudget(settings)
        self._order = random.Random(settings.seed)

    def events(self) -> Generator[Event]:
        """Open the workers, carry out batches as long as there are any, and end the workers."""
        with self._session:
            self._session.open_all()
            try:
                self._work.everyone_is_ready.wait()
            except threading.BrokenBarrierError:
                return  # stopped; where another job could not open its workers, that one says why
            # Loading libraries takes seconds and measures nothing: the budget is for what comes now.
            self._start = self._clock()
            for number, batch in self._work:
                yield CaseStarted(case=batch.case, number=number, total=self._work.total)
                yield from self._measured(batch, self._work.problems[number:])

    def _measured(self, batch: Batch, later: Sequence[ConvProblem]) -> Iterator[Event]:
        """All cells of one problem: check each backend, then time those that are right."""
        share_s = self._budget.share_s(batch.problem, later, self._elapsed_s())
        deadline = self._clock() + share_s
        entries = [self._session.entry(backend) for backend in batch.backends]
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            yield from self._checked(batch.case, entries, share_s, folder)
            if self._settings.is_timed:
                yield BackendStarted(case=batch.case, backend="all", step="time")
                right = [entry for entry in entries if entry.is_right]
                time_in_rounds(right, self._session.ask, deadline, self._clock, self._order)
                for entry in right:
                    if entry.is_right:
                        self._session.recheck(entry, folder)
        for entry in entries:
            self._session.release(entry.backend, batch.problem)
            self._budget.learn(batch.problem, entry)
            for case in batch.cases:
                yield entry.cell(case, self._settings)

    def _checked(self, case: Case, entries: Sequence[Entry], share_s: float, folder: str) -> Iterator[Event]:
        """Check each backend that is worth it; references are computed when the first of them needs them."""
        has_reference, why_no_reference = False, None
        for entry in entries:
            if not entry.is_right:
                continue
            reason = self._budget.why_skipped(case.problem, entry.backend, share_s, self._elapsed_s())
            if reason is not None:
                entry.fail(Status.SKIPPED, reason)
                continue
            yield BackendStarted(case=case, backend=entry.backend, step="prepare")
            if not self._session.prepare(case, entry):
                continue
            if not has_reference:
                yield BackendStarted(case=case, backend="reference", step="compute")
                start = self._clock()
                why_no_reference = self._session.refer(case, folder)
                self._budget.learn_reference(case.problem, self._clock() - start)
                has_reference = True
            if why_no_reference is not None:
                entry.fail(*why_no_reference)
                continue
            yield BackendStarted(case=case, backend=entry.backend, step="check")
            self._session.check(case, entry, folder)

    def _elapsed_s(self) -> float:
        return self._clock() - self._start


def _events_of(jobs: Sequence[_Job], work: _Work) -> Generator[Event]:
    if len(jobs) == 1:
        # In the reader's own thread: what that does with a cell happens between measurements, never during one.
        return jobs[0].events()
    return merged([job.events for job in jobs], work.stop)
