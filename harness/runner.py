"""Carries out a plan: every problem by every backend, checked, then timed in interleaved rounds. Yields cells.

With several jobs, each has workers of its own and takes the next problem when it is done with one.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from pathlib import Path

from harness import scratch
from harness.budget import Budget, TimedBudget
from harness.cases import Case
from harness.check_budget import CheckBudget
from harness.events import BackendStarted, CaseStarted, CeilingsMeasured, Event, RunEnded
from harness.measuring import Measurer
from harness.merging import merged
from harness.plan import Batch, RunSettings, batches_of, key_of, place_of
from harness.records import Cell
from harness.session import Session, StartWorker, start_process

# Seconds that the machine's limits are measured for, at the start and again at the end: as long as it takes to catch
# quiet moments, a small part of the budget, or not at all where that is too short to find them.
_CEILINGS_S = 2.0
_CEILINGS_SHARE = 0.01
_LEAST_CEILINGS_S = 0.3

__all__ = ["BackendStarted", "CaseStarted", "CeilingsMeasured", "Event", "RunEnded", "run"]


def run(
    cases: Sequence[Case],
    settings: RunSettings,
    *,
    finished: Collection[Cell] = (),
    clock: Callable[[], float] = time.monotonic,
    start_worker: StartWorker = start_process,
    stop_soon: Callable[[], bool] = lambda: False,
) -> Generator[Event]:
    """Carry out a plan, cheapest problems first, and yield each cell as it ends.

    A problem that several groups or suites show is measured once and yields a cell for each of them. A timed run visits
    problems again whose ranking is open while its budget lasts, and yields their cells again: the later ones count.
    Closing the generator ends every worker.

    Args:
        cases: What to measure.
        settings: How.
        finished: Cells that an earlier part of the same run has ended; the rest is measured.
        clock: Seconds, for the budget.
        start_worker: How a worker is started.
        stop_soon: Asked before each problem; once it says so, those under way are the last.

    Raises:
        UsageError: A backend cannot be opened: an unknown name or option, a missing library.
    """
    filled = frozenset(map(place_of, finished))
    batches = batches_of(cases, settings.backends, filled)
    if not batches:
        return
    explained: dict[str, set[str]] = {}
    wanted = min(settings.jobs, len(batches))
    sessions = [Session(settings, clock, explained, start_worker) for _ in range(wanted)]
    work = _Work(batches, sessions, stop_soon, finished)
    with scratch.folder() as folder:
        jobs = [_Job(work, session, settings, folder, clock) for session in sessions]
        with contextlib.closing(_events_of(jobs, work)) as events:
            for event in events:
                if not isinstance(event, Cell) or place_of(event) not in filled:
                    yield event


class _Work:
    """Batches, handed out one by one to whichever job is free once every job has opened its workers."""

    def __init__(
        self,
        batches: Sequence[Batch],
        sessions: Sequence[Session],
        stop_soon: Callable[[], bool],
        finished: Collection[Cell],
    ) -> None:
        self.total = len(batches)
        self.problems = [batch.problem for batch in batches]
        self.everyone_is_ready = threading.Barrier(len(sessions))
        self._sessions = sessions
        self._is_stopped = False
        self._stop_soon = stop_soon
        self._rounds_had: dict[tuple[str, str | None], int] = {}
        for cell in finished:
            problem = cell.key.problem, cell.key.data
            self._rounds_had[problem] = max([self._rounds_had.get(problem, 0), *(number + 1 for number in cell.rounds)])
        self._waiting: queue.SimpleQueue[tuple[int, Batch]] = queue.SimpleQueue()
        for number, batch in enumerate(batches, 1):
            self._waiting.put((number, batch))

    @property
    def is_ending(self) -> bool:
        """Nothing more is to be begun."""
        return self._is_stopped or self._stop_soon()

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        with contextlib.suppress(queue.Empty):
            while not self.is_ending:
                yield self._waiting.get_nowait()

    def first_round(self, batch: Batch) -> int:
        """Number of the first round of a problem that no earlier part of the run has had.

        Rounds of two parts with one number would be taken for pairs, hours apart as they are.
        """
        key = key_of(batch.case, batch.backends[0])
        return self._rounds_had.get((key.problem, key.data), 0)

    def stop(self) -> None:
        """Make every job end soon, whatever it waits for."""
        self._is_stopped = True
        self.everyone_is_ready.abort()
        for session in self._sessions:
            session.stop()


class _Job:
    """One session at work."""

    def __init__(
        self, work: _Work, session: Session, settings: RunSettings, folder: Path, clock: Callable[[], float]
    ) -> None:
        self._work = work
        self._session = session
        self._settings = settings
        self._clock = clock
        self._start = clock()
        self._budget: Budget = TimedBudget(settings) if settings.is_timed else CheckBudget(settings)
        self._measurer = Measurer(session, settings, folder, self._budget, work, clock)

    def events(self) -> Generator[Event]:
        """Open the workers, carry out batches as long as there are any, and end the workers."""
        with self._session:
            self._session.open_all()
            try:
                self._work.everyone_is_ready.wait()
            except threading.BrokenBarrierError:
                return  # stopped; where another job could not open its workers, that one says why
            if self._settings.is_timed:
                yield from self._timed()
            else:
                yield from self._batches()
            self._session.ledger.add("total", self._clock() - self._start)
            yield RunEnded(spent_s=self._session.ledger.spent_s)

    def _timed(self) -> Iterator[Event]:
        """Measure the machine's limits, every problem, what is then undecided again, and the limits again."""
        before = self._clock()
        yield from self._ceilings("start")
        ceilings_s = self._clock() - before
        yield from self._batches()
        if self._work.is_ending:
            return
        end = self._start + self._settings.budget_s - self._settings.report_s - ceilings_s
        yield from self._measurer.started(end)
        yield from self._measurer.revisited(end)
        yield from self._ceilings("end")

    def _batches(self) -> Iterator[Event]:
        for number, batch in self._work:
            yield CaseStarted(case=batch.case, number=number, total=self._work.total)
            yield from self._measurer.measured(
                batch, number - 1, self._work.problems[number:], self._clock() - self._start
            )

    def _ceilings(self, when: str) -> Iterator[Event]:
        dtypes = sorted({problem.dtype for problem in self._work.problems})
        limit_s = min(_CEILINGS_S, _CEILINGS_SHARE * self._settings.budget_s / len(dtypes))
        for dtype in dtypes if limit_s >= _LEAST_CEILINGS_S else ():
            found = self._session.ceilings(dtype, when, limit_s)
            if found is not None:
                yield CeilingsMeasured(ceilings=found)


def _events_of(jobs: Sequence[_Job], work: _Work) -> Generator[Event]:
    if len(jobs) == 1:
        # In the reader's own thread: what that does with a cell happens between measurements, never during one.
        return jobs[0].events()
    return merged([job.events for job in jobs], work.stop)
