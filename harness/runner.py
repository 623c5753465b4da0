"""Carries out a plan: every case by every backend, checked, then timed in interleaved rounds. Yields cells."""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from harness import messages, stats
from harness.errors import UserError
from harness.prediction import CostModel
from harness.records import CaseKey, Cell, CheckOutcome, Status, StopReason
from harness.sampling import StopRule, calls_per_block
from harness.units import duration_text, time_text
from harness.worker_process import WorkerLost, WorkerProcess, WorkerTimeout
from harness.workloads import Case

# Checking takes about so many calls: the first, one on integers, and a warm-up.
_CALLS_BEFORE_TIMING = 3
# Seconds that a case needs besides its calls: oracle, messages, and enough blocks of the quick backends.
_CASE_OVERHEAD_S = 1.2
# Checks cannot be cut short, so cases overrun their shares: shares are made of this part of the budget, and a case that
# comes when those are spent still gets a little while the budget itself lasts.
_SHARED_OUT = 0.9
_LEAST_SHARE_S = 0.5
# Calls that a slow backend deserves in all, and seconds at most that they may weigh in the plan: hopeless cells are
# skipped and must not take time from the others.
_CALLS_WANTED = 10
_MOST_WEIGHT_S = 4.0
_ORDINARY_DATA = "normal"
_FURTHER_DATA = ("uniform", "wide range", "one-hot", "nan")
# Half-width of a median's interval beyond which a cell is called noisy.
_NOISY_HALF_WIDTH = 0.10
# Loading a backend's libraries on a cold disk takes seconds; a hang must still end.
_OPEN_TIMEOUT_S = 120.0


class UsageError(UserError):
    """A backend that cannot be opened as asked."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a plan is carried out.

    Attributes:
        backends: Specs, in the order of the tables.
        threads: Per backend.
        seed: Of data and order.
        budget_s: Wall time for everything; infinite for none.
        case_timeout_s: Limit of each step (checking, one block) of a cell.
        memory_limit_bytes: Beyond what a worker holds after loading its backend.
        is_timed: False checks only.
    """

    backends: tuple[str, ...]
    threads: int
    seed: int
    budget_s: float = math.inf
    case_timeout_s: float = 30.0
    memory_limit_bytes: int | None = None
    is_timed: bool = True


@dataclass(frozen=True, kw_only=True)
class CaseStarted:
    """Progress: a case begins."""

    case: Case
    number: int
    total: int


@dataclass(frozen=True, kw_only=True)
class BackendStarted:
    """Progress: a backend is being prepared, checked or timed."""

    backend: str
    step: str


Event = CaseStarted | BackendStarted | Cell
CellPlace = tuple[CaseKey, str, str]
"""What is measured, and the suite and group that show it: one measurement may have several places."""


def key_of(case: Case, backend: str) -> CaseKey:
    """What identifies the cell of a case and a backend."""
    return CaseKey(problem=str(case.problem.replace(label="", count=1)), backend=backend, data=case.data)


def plan_keys(cases: Sequence[Case], backends: Sequence[str]) -> tuple[CaseKey, ...]:
    """Every cell of a plan, in table order."""
    return tuple(key_of(case, backend) for case in cases for backend in backends)


def place_of(cell: Cell) -> CellPlace:
    """Which cell of a plan a stored one is."""
    return cell.key, cell.suite, cell.group


def run(
    cases: Sequence[Case],
    settings: RunSettings,
    *,
    finished: frozenset[CellPlace] = frozenset(),
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Event]:
    """Carry out a plan, cheapest problems first, and yield each cell as it ends.

    A problem that several groups or suites show is measured once and yields a cell for each of them.

    Args:
        cases: What to measure.
        settings: How.
        finished: Places that an earlier run of the same plan has filled; the rest is measured.
        clock: Seconds, for the budget.

    Raises:
        UsageError: A backend cannot be opened: an unknown name or option, a missing library.
    """
    batches = [batch for batch in _batches(cases) if _unfinished(batch, settings.backends, finished)]
    with _Session(settings, clock) as session:
        session.open_all()
        for number, batch in enumerate(batches, 1):
            yield CaseStarted(case=batch[0], number=number, total=len(batches))
            backends = _unfinished(batch, settings.backends, finished)
            for event in session.measure(batch, backends, later=[later[0] for later in batches[number:]]):
                if not isinstance(event, Cell) or place_of(event) not in finished:
                    yield event


def _batches(cases: Sequence[Case]) -> list[list[Case]]:
    """Cases of the same problem and data together, fewest multiply-adds first."""
    batches: dict[CaseKey, list[Case]] = {}
    for case in cases:
        batches.setdefault(key_of(case, ""), []).append(case)
    return sorted(batches.values(), key=lambda batch: batch[0].problem.macs_nominal)


def _unfinished(batch: Sequence[Case], backends: Sequence[str], finished: frozenset[CellPlace]) -> list[str]:
    """The backends for which some case of the batch has no cell yet."""
    return [
        backend
        for backend in backends
        if any((key_of(case, backend), case.suite, case.group) not in finished for case in batch)
    ]


def _status_of_loss(*, is_out_of_memory: bool) -> Status:
    return Status.OUT_OF_MEMORY if is_out_of_memory else Status.CRASHED


@dataclass
class _Entry:
    """A cell in the making."""

    backend: str
    started: float
    status: Status = Status.OK
    reason: str | None = None
    checked: messages.Checked | None = None
    calls: int = 1
    samples_ns: list[float] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    wall_ns: int = 0
    cpu_ns: int = 0
    stop: StopReason | None = None

    @property
    def outcome(self) -> CheckOutcome | None:
        return self.checked.outcome if self.checked else None

    def fail(self, status: Status, reason: str) -> None:
        """End the cell; what was measured before is withdrawn."""
        self.status, self.reason = status, reason
        self.samples_ns, self.rounds, self.stop = [], [], None


class _Session:
    """Open workers, what was learnt of their speed, and the time spent."""

    def __init__(self, settings: RunSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._start = 0.0
        self._workers: dict[str, WorkerProcess] = {}
        self._opened: dict[str, messages.Opened] = {}
        self._unloadable: dict[str, str] = {}
        self._oracle: WorkerProcess | None = None
        self._costs = {backend: CostModel() for backend in settings.backends}
        self._random = random.Random(settings.seed)

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in (*self._workers.values(), *([self._oracle] if self._oracle else [])):
            worker.end()

    def open_all(self) -> None:
        """Start every backend's worker once, so that a mistyped name ends the run before anything is measured.

        A backend that kills or hangs its worker while it loads is no mistake of the user's: its cells say so.
        """
        for backend in self._settings.backends:
            try:
                self._worker(backend)
            except (WorkerLost, WorkerTimeout) as error:
                self._unloadable[backend] = f"loading the backend: {error}"
        # Loading libraries takes seconds and measures nothing: the budget is for what comes now.
        self._start = self._clock()

    def measure(self, batch: Sequence[Case], backends: Sequence[str], later: Sequence[Case]) -> Iterator[Event]:
        """All cells of one problem: check each backend, then time those that are right in interleaved rounds."""
        case = batch[0]
        share_s = self._share_s(case, later)
        deadline = self._clock() + share_s
        with tempfile.TemporaryDirectory(prefix="convbench-") as folder:
            entries = []
            has_reference, why_no_reference = False, None
            for backend in backends:
                entry = _Entry(backend=backend, started=self._clock())
                entries.append(entry)
                if backend in self._unloadable:
                    entry.fail(Status.CRASHED, self._unloadable[backend])
                    continue
                if (reason := self._why_skipped(case, backend, share_s)) is not None:
                    entry.fail(Status.SKIPPED, reason)
                    continue
                if not has_reference:
                    yield BackendStarted(backend="reference", step="compute")
                    why_no_reference = self._refer(case, folder)
                    has_reference = True
                if why_no_reference is not None:
                    entry.fail(*why_no_reference)
                    continue
                yield BackendStarted(backend=backend, step="check")
                self._check(case, entry, folder)
            if self._settings.is_timed:
                yield BackendStarted(backend="all", step="time")
                self._time([e for e in entries if e.status is Status.OK], deadline)
                for entry in entries:
                    if entry.status is Status.OK:
                        self._recheck(entry, folder)
            for entry in entries:
                self._release(entry.backend)
                self._learn(case, entry)
                for each in batch:
                    yield self._cell(each, entry)

    def _learn(self, case: Case, entry: _Entry) -> None:
        """Remember what a call cost; the first one may have included warming up."""
        if entry.checked is not None:
            call_ns = min([entry.checked.first_call_ns, *entry.samples_ns])
            self._costs[entry.backend].learn(case.problem, call_ns)

    def _share_s(self, case: Case, later: Sequence[Case]) -> float:
        """The case's part of the time left, in proportion to what it and those after it are predicted to need."""
        remaining = _SHARED_OUT * self._settings.budget_s - self._elapsed_s()
        own = self._weight_s(case)
        return max(_LEAST_SHARE_S, remaining * own / (own + sum(map(self._weight_s, later))))

    def _elapsed_s(self) -> float:
        return self._clock() - self._start

    def _weight_s(self, case: Case) -> float:
        needs = (self._costs[backend].predict_ns(case.problem) for backend in self._settings.backends)
        calls_s = (min(_CALLS_WANTED * need * 1e-9, _MOST_WEIGHT_S) for need in needs if need is not None)
        return _CASE_OVERHEAD_S + sum(calls_s)

    def _why_skipped(self, case: Case, backend: str, share_s: float) -> str | None:
        if self._elapsed_s() >= self._settings.budget_s:
            return f"the budget of {duration_text(self._settings.budget_s)} is spent; give a larger --budget"
        predicted_ns = self._costs[backend].predict_ns(case.problem)
        if predicted_ns is None:
            return None
        needed_s = predicted_ns * 1e-9 * (_CALLS_BEFORE_TIMING + 1)
        limit_s = min(share_s / 2, self._settings.case_timeout_s)
        if needed_s <= limit_s:
            return None
        return (
            f"predicted {time_text(predicted_ns)} a call from {len(self._costs[backend].call_ns)} finished cells;"
            f" checking and timing it would take {duration_text(needed_s)}, its limit here is {duration_text(limit_s)}"
        )

    def _worker(self, backend: str) -> WorkerProcess:
        if backend not in self._workers:
            worker = WorkerProcess(self._settings.threads)
            request = messages.Open(
                backend=backend,
                threads=self._settings.threads,
                memory_limit_bytes=self._settings.memory_limit_bytes,
            )
            try:
                reply = worker.ask(request, _OPEN_TIMEOUT_S)
            except (WorkerLost, WorkerTimeout):
                worker.end()
                raise
            if isinstance(reply, messages.Failed):
                worker.end()
                raise UsageError(
                    reply.reason if reply.is_usage else f"backend {backend!r} does not load: {reply.reason}"
                )
            assert isinstance(reply, messages.Opened)  # noqa: S101  # the protocol
            self._opened[backend] = reply
            self._workers[backend] = worker
        return self._workers[backend]

    def _drop(self, backend: str) -> None:
        """End a worker that failed: the next cell gets a new one."""
        worker = self._workers.pop(backend, None)
        if worker is not None:
            worker.end()

    def _refer(self, case: Case, folder: str) -> tuple[Status, str] | None:
        """Let the oracle write its references; None, or what became of it: without them nothing can be checked."""
        if self._oracle is None:
            self._oracle = WorkerProcess(self._settings.threads)
        request = messages.Refer(
            problem=str(case.problem), data_sets=self._data_sets(case), seed=self._settings.seed, folder=folder
        )
        try:
            reply = self._oracle.ask(request, self._settings.case_timeout_s)
        except (WorkerLost, WorkerTimeout) as error:
            self._oracle.end()
            self._oracle = None
            status = Status.TIMEOUT
            if isinstance(error, WorkerLost):
                status = _status_of_loss(is_out_of_memory=error.is_out_of_memory)
            return status, f"computing the reference: {error}"
        if isinstance(reply, messages.Failed):
            status = _status_of_loss(is_out_of_memory=reply.is_out_of_memory)
            return status, f"computing the reference: {reply.reason}"
        return None

    def _data_sets(self, case: Case) -> tuple[str, ...]:
        """What a backend is checked on: before timing the two that see most, on its own all of them."""
        quick = ("exact", case.data or _ORDINARY_DATA)
        return quick if self._settings.is_timed else (*quick, *_FURTHER_DATA)

    def _ask(self, entry: _Entry, request: messages.Request, step: str) -> messages.Reply | None:
        """The reply, or None after the entry was failed and its worker ended."""
        limit = self._settings.case_timeout_s
        try:
            reply = self._worker(entry.backend).ask(request, limit)
        except WorkerTimeout:
            entry.fail(Status.TIMEOUT, f"{step} took longer than --case-timeout {limit:g}s")
        except WorkerLost as error:
            entry.fail(_status_of_loss(is_out_of_memory=error.is_out_of_memory), f"{step}: {error}")
        except UsageError as error:
            entry.fail(Status.CRASHED, f"{step}: a new worker could not be opened: {error}")
        else:
            if not isinstance(reply, messages.Failed):
                return reply
            entry.fail(_status_of_loss(is_out_of_memory=reply.is_out_of_memory), f"{step}: {reply.reason}")
        self._drop(entry.backend)
        return None

    def _check(self, case: Case, entry: _Entry, folder: str) -> None:
        request = messages.Check(
            problem=str(case.problem),
            data=case.data or _ORDINARY_DATA,
            data_sets=self._data_sets(case),
            seed=self._settings.seed,
            folder=folder,
            is_repeated=not self._settings.is_timed,
        )
        reply = self._ask(entry, request, "preparing and checking")
        if isinstance(reply, messages.Declined):
            entry.fail(Status.UNSUPPORTED, reply.reason)
        elif isinstance(reply, messages.Checked):
            entry.checked = reply
            if reply.outcome.status is not Status.OK:
                entry.fail(reply.outcome.status, reply.outcome.reason or "failed its check")

    def _time(self, entries: list[_Entry], deadline: float) -> None:
        """Interleaved rounds until the deadline: each backend not yet done times one block, in random order."""
        for entry in entries:
            reply = self._ask(entry, messages.Warm(), "warming up")
            if isinstance(reply, messages.Warmed):
                entry.calls = calls_per_block(reply.call_ns, reply.timer_ns)
        active = [entry for entry in entries if entry.status is Status.OK]
        left_s = max(0.0, deadline - self._clock())
        rule = StopRule(share_ns=left_s * 1e9 / max(1, len(active)))
        kept_round = self._random.randrange(1, rule.least_samples)
        round_number = 0
        while active:
            self._random.shuffle(active)
            for entry in active:
                # Others have had the caches, and thread pools have gone to sleep: short calls are timed hot, as a loop
                # over them would run, after one call that wakes everything.
                request = messages.TimeBlock(
                    calls=entry.calls, is_primed=entry.calls > 1, keep_output=round_number in (0, kept_round)
                )
                reply = self._ask(entry, request, "timing")
                if isinstance(reply, messages.Block):
                    entry.samples_ns.append(reply.wall_ns / entry.calls)
                    entry.rounds.append(round_number)
                    entry.wall_ns += reply.wall_ns
                    entry.cpu_ns += reply.cpu_ns
                    entry.stop = rule.reason_to_stop(entry.samples_ns, entry.wall_ns)
            active = [entry for entry in active if entry.status is Status.OK and entry.stop is None]
            round_number += 1
            if self._clock() >= deadline:
                # Waiting for idle threads between blocks takes time as well, which no block counts.
                for entry in active:
                    entry.stop = StopReason.BUDGET
                break

    def _recheck(self, entry: _Entry, folder: str) -> None:
        reply = self._ask(entry, messages.Recheck(folder=folder), "checking timed outputs")
        if isinstance(reply, messages.Rechecked) and reply.defect is not None:
            entry.fail(Status.WRONG, reply.defect)

    def _release(self, backend: str) -> None:
        if backend in self._workers:
            try:
                self._workers[backend].ask(messages.Release(), self._settings.case_timeout_s)
            except (WorkerLost, WorkerTimeout):
                self._drop(backend)

    def _cell(self, case: Case, entry: _Entry) -> Cell:
        status, reason = entry.status, entry.reason
        if status is Status.OK and entry.samples_ns:
            width = stats.median_interval(entry.samples_ns).half_width_fraction
            if width is not None and width > _NOISY_HALF_WIDTH:
                status = Status.NOISY
                reason = f"the median's 95 % interval is ±{width:.0%} after {len(entry.samples_ns)} samples"
        opened = self._opened.get(entry.backend)
        return Cell(
            key=key_of(case, entry.backend),
            status=status,
            reason=reason,
            label=case.problem.label,
            count=case.problem.count,
            suite=case.suite,
            group=case.group,
            axis=case.axis,
            axis_value=case.axis_value,
            device=opened.device if opened else None,
            algorithm=opened.algorithm if opened else None,
            dtype=case.problem.dtype,
            threads_asked=self._settings.threads,
            threads_seen=entry.cpu_ns / entry.wall_ns if entry.wall_ns else None,
            check=entry.outcome,
            prepare_ns=entry.checked.prepare_ns if entry.checked and status is not Status.WRONG else None,
            first_call_ns=entry.checked.first_call_ns if entry.checked and status is not Status.WRONG else None,
            calls_per_block=entry.calls if entry.samples_ns else None,
            samples_ns=tuple(entry.samples_ns),
            rounds=tuple(entry.rounds),
            stop=entry.stop,
            spent_ns=round((self._clock() - entry.started) * 1e9),
        )
