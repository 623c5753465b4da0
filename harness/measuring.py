"""One job's way with a problem: each backend prepared and checked, those that are right timed, the undecided again."""

from __future__ import annotations

import math
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backends import ConvProblem
from harness import revisits, starts
from harness.budget import Budget
from harness.cases import Case
from harness.entry import Entry
from harness.events import BackendStarted, Event
from harness.plan import Batch, RunSettings
from harness.records import Status
from harness.rounds import Rounds
from harness.session import Session
from harness.twins import Twins

# A problem that is still open after so many visits is a tie, or as noisy as it stays.
_MOST_VISITS = 6
# A visit shorter than this adds too little to be worth preparing for.
_LEAST_VISIT_S = 0.3
# A visit that doubles the samples narrows an interval to 0.7 of its width. One that leaves more than this is the last.
_NARROWING = 0.9
# So much of what is left goes to the neediest problem, so that a hopeless one does not take it all.
_VISIT_SHARE = 0.25
_LONGEST_VISIT_S = 20.0
# Measuring memory takes two calls more, which slow backends cannot afford, and tens of milliseconds of the kernel's
# accounting: so much of the time that has passed may have gone to it.
_MEMORY_CALL_SHARE = 0.02
_MEMORY_SHARE = 0.04
# Starting every backend twice more, to see what that costs, may take this part of the budget.
_STARTS_SHARE = 0.1


@dataclass
class _Visited:
    """A problem that has been timed, and what another visit to it needs."""

    batch: Batch
    entries: list[Entry]
    folder: Path
    """Of its references."""
    visits: int = 1
    is_stuck: bool = False
    """The last visit narrowed nothing: what is left is drift, or noise that more samples do not average out."""


class Plan(Protocol):
    """What a job has to know of the run that it is part of."""

    @property
    def total(self) -> int:
        """Number of problems."""

    @property
    def is_ending(self) -> bool:
        """Nothing more is to be begun."""

    def first_round(self, batch: Batch) -> int:
        """Number of the first round of a problem that no earlier part of the run has had."""


class Measurer:
    """Measures problems one by one with the workers of one session.

    Args:
        session: Whose workers do it.
        settings: How.
        folder: For references, which workers pass to each other in files.
        budget: Shares out the time.
        plan: The whole run's.
        clock: Seconds.
    """

    def __init__(
        self,
        session: Session,
        settings: RunSettings,
        folder: Path,
        budget: Budget,
        plan: Plan,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._settings = settings
        self._folder = folder
        self._budget = budget
        self._clock = clock
        self._rounds = Rounds(session.ask, clock, random.Random(settings.seed), settings.cache)
        self._plan = plan
        self._twins = Twins(plan.total, settings.budget_s, settings.seed)
        self._visited: list[_Visited] = []
        self._started: tuple[Batch, list[Entry]] | None = None

    def measured(self, batch: Batch, number: int, later: Sequence[ConvProblem], elapsed_s: float) -> Iterator[Event]:
        """All cells of one problem: check each backend, then time those that are right.

        Args:
            batch: The problem.
            number: Its place in the plan, from 0.
            later: The problems after it.
            elapsed_s: Time since the run began.
        """
        share_s = self._budget.share_s(batch.problem, later, elapsed_s)
        start = self._clock()
        entries = [self._session.entry(backend) for backend in batch.backends]
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        yield from self._checked(batch.case, entries, share_s, folder, elapsed_s)
        right = [entry for entry in entries if entry.is_right]
        if self._settings.is_timed and right:
            yield BackendStarted(case=batch.case, backend="all", step="time")
            for entry in right:
                if self._can_afford_memory(entry, share_s, elapsed_s + self._clock() - start):
                    self._session.measure_memory(entry)
            doubled = self._twins.chosen(number, _right(right), share_s, self._session.has_twin)
            if doubled is not None:
                self._session.add_twin(batch.case, doubled)
            self._time(right, start + share_s, folder, self._plan.first_round(batch))
        self._release(batch, entries)
        for entry in entries:
            self._budget.learn(batch.problem, entry)
            for case in batch.cases:
                yield entry.cell(case, self._settings)
        timed = _right(entries)
        if self._started is None or len(timed) > len(self._started[1]):
            self._started = batch, timed
        if self._settings.is_timed and revisits.need_of(entries) is not None:
            self._visited.append(_Visited(batch=batch, entries=entries, folder=folder))
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def _can_afford_memory(self, entry: Entry, share_s: float, elapsed_s: float) -> bool:
        spent_s = self._session.ledger.spent_s.get("memory", 0.0)
        is_quick = (entry.call_ns or 0.0) * 1e-9 <= _MEMORY_CALL_SHARE * share_s
        return is_quick and (math.isinf(share_s) or spent_s <= _MEMORY_SHARE * elapsed_s)

    def started(self, deadline: float) -> Iterator[Event]:
        """Measure cold and warm starts on the first problem that most backends are right on."""
        if self._started is None:
            return
        batch, entries = self._started
        yield BackendStarted(case=batch.case, backend="all", step="start anew")
        limit_s = min(deadline - self._clock(), _STARTS_SHARE * self._settings.budget_s)
        for entry in starts.measured(batch.case, entries, limit_s, self._folder, self._session.start, self._clock):
            for case in batch.cases:
                yield entry.cell(case, self._settings)

    def revisited(self, deadline: float) -> Iterator[Event]:
        """Visit what is undecided or least known again, the neediest first, until the clock has reached the deadline.

        Every visit prepares anew, so that what depends on where memory happens to lie varies between visits.
        """
        while not self._plan.is_ending and (found := self._neediest(deadline - self._clock())) is not None:
            visited, need = found
            visited.visits += 1
            again = [entry for entry in visited.entries if entry.backend in need.backends]
            yield BackendStarted(case=visited.batch.case, backend=", ".join(need.backends), step="time again")
            left_s = deadline - self._clock()
            limit_s = max(_LEAST_VISIT_S, min(_LONGEST_VISIT_S, left_s * _VISIT_SHARE))
            until = self._clock() + limit_s
            for entry in again:
                entry.twin = None if entry.twin is None else self._prepared_twin(visited.batch.case, entry)
                self._session.prepare_again(visited.batch.case, entry)
            self._time(_right(again), until, visited.folder)
            self._release(visited.batch, again)
            left = revisits.need_of(visited.entries)
            visited.is_stuck = left is not None and left.half_width > _NARROWING * need.half_width
            for entry in again:
                for case in visited.batch.cases:
                    yield entry.cell(case, self._settings)

    def _prepared_twin(self, case: Case, entry: Entry) -> Entry | None:
        assert entry.twin is not None  # noqa: S101  # asked for by the caller
        return entry.twin if self._session.prepare_again(case, entry.twin) else None

    def _neediest(self, left_s: float) -> tuple[_Visited, revisits.Need] | None:
        """The problem with the widest interval that matters, among those that a visit is long enough for."""
        found: tuple[_Visited, revisits.Need] | None = None
        for visited in self._visited:
            need = revisits.need_of(visited.entries)
            if need is None or visited.is_stuck or visited.visits >= _MOST_VISITS:
                continue
            needed_s = max(_LEAST_VISIT_S, revisits.visit_s(visited.entries, need))
            if needed_s <= left_s and (found is None or need.half_width > found[1].half_width):
                found = visited, need
        return found

    def _time(self, entries: Sequence[Entry], deadline: float, folder: Path, first_round: int = 0) -> None:
        self._rounds.time(entries, deadline, first_round)
        for entry in _right(entries):
            self._session.recheck(entry, str(folder))

    def _release(self, batch: Batch, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._session.release(entry.backend, batch.problem)

    def _checked(
        self, case: Case, entries: Sequence[Entry], share_s: float, folder: Path, elapsed_s: float
    ) -> Iterator[Event]:
        """Check each backend that is worth it; references are computed when the first of them needs them."""
        has_reference, why_no_reference = False, None
        start = self._clock()
        by_backend = {entry.backend: entry for entry in _right(entries)}
        for entry in map(by_backend.__getitem__, self._budget.order(case.problem, list(by_backend))):
            now_s = elapsed_s + self._clock() - start
            reason = self._budget.why_skipped(case.problem, entry.backend, share_s, now_s)
            if reason is not None:
                entry.fail(Status.SKIPPED, reason)
                continue
            yield BackendStarted(case=case, backend=entry.backend, step="prepare")
            if not self._session.prepare(case, entry):
                continue
            if not has_reference:
                yield BackendStarted(case=case, backend="reference", step="compute")
                began = self._clock()
                why_no_reference = self._session.refer(case, str(folder))
                self._budget.learn_reference(case.problem, self._clock() - began)
                has_reference = True
            if why_no_reference is not None:
                entry.fail(*why_no_reference)
                continue
            yield BackendStarted(case=case, backend=entry.backend, step="check")
            self._session.check(case, entry, str(folder))


def _right(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.is_right]
