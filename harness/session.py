"""The workers of one job: a process per backend and one for the oracle, asked, replaced when lost, and ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from backends import ConvProblem
from harness import memory_room, messages
from harness.cases import Case
from harness.entry import Entry
from harness.errors import UserError
from harness.explaining import Explainer
from harness.ledger import Ledger
from harness.plan import RunSettings
from harness.probes import EVERY_PROBE
from harness.records import Ceilings, Start, Status
from harness.worker_process import WorkerLost, WorkerProcess, WorkerTimeout

_ORDINARY_DATA = "normal"
# Giving memory back takes tens of milliseconds, ten times as long as checking a small problem.
_SMALL_BYTES = 16 << 20
# Loading a backend's libraries on a cold disk takes seconds; a hang must still end.
_OPEN_TIMEOUT_S = 120.0
_CEILINGS_TIMEOUT_S = 60.0
# Of the memory that is available when the run begins.
_MEMORY_SHARE = 0.8
# What each request's time is booked as; of timed blocks only what the worker's clock saw is timing.
_ACCOUNTS: dict[type, str] = {
    messages.Open: "open",
    messages.Refer: "reference",
    messages.Prepare: "prepare",
    messages.CallFirst: "prepare",
    messages.Check: "check",
    messages.MeasureMemory: "memory",
    messages.Warm: "warm",
    messages.TimeBlock: "between blocks",
    messages.Recheck: "check",
    messages.Explain: "explain",
    messages.MeasureCeilings: "ceilings",
    messages.Release: "release",
}

_Lane = tuple[str, bool]
"""A backend, and whether it is the twin."""


def _protecting_limit() -> int | None:
    """What a worker may take where nobody said: not so much that the system would have to end something else."""
    available = memory_room.available_bytes()
    return None if available is None else int(_MEMORY_SHARE * available)


class Worker(Protocol):
    """What is asked: a process, or in tests what stands for one."""

    def ask(self, request: messages.Request, timeout_s: float) -> messages.Reply:
        """The reply; WorkerLost or WorkerTimeout where there is none."""

    def end(self) -> None:
        """End it and all that it started."""

    def kill(self) -> None:
        """From any thread: make whoever waits for a reply get WorkerLost."""


StartWorker = Callable[[RunSettings, Mapping[str, str]], Worker]
"""Starts a worker for some settings, with environment variables of its own."""


def start_process(settings: RunSettings, variables: Mapping[str, str]) -> WorkerProcess:
    """A new worker process, with no backend loaded yet."""
    return WorkerProcess(settings.threads, settings.cores or None, variables=variables)


class UsageError(UserError):
    """A backend that cannot be opened as asked."""


class SessionStopped(Exception):
    """Another thread has stopped the session: what was under way has no result."""


class Session:
    """Opens workers when they are needed. All but `stop` is for one thread, which gets SessionStopped afterwards.

    Args:
        settings: How workers are opened and what limits they have.
        clock: Seconds, for what each cell spends.
        explained: Failures that have been explained, by backend, shared by sessions that work side by side.
        start_worker: How a worker is started.
    """

    def __init__(
        self,
        settings: RunSettings,
        clock: Callable[[], float] = time.monotonic,
        explained: dict[str, set[str]] | None = None,
        start_worker: StartWorker = start_process,
    ) -> None:
        self.ledger = Ledger(clock)
        self._settings = settings
        self._clock = clock
        self._start_worker = start_worker
        self._memory_limit_bytes = settings.memory_limit_bytes or _protecting_limit()
        self._workers: dict[_Lane, Worker] = {}
        self._opened: dict[_Lane, messages.Opened] = {}
        self._unloadable: dict[str, str] = {}
        self._explainer = Explainer(
            settings=settings,
            ask=lambda backend, request: self._reply(self._worker((backend, False)), request, settings.case_timeout_s),
            drop=lambda backend: self._drop((backend, False)),
            explained={} if explained is None else explained,
        )
        self._oracle: Worker | None = None
        self._living: set[Worker] = set()
        self._stopping = threading.Lock()
        self._is_stopped = False

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in tuple(self._living):
            self._end(worker)

    def open_all(self) -> None:
        """Start every backend's worker once, so that a mistyped name ends the run before anything is measured.

        A backend that kills or hangs its worker while it loads is no mistake of the user's: its cells say so.

        Raises:
            UsageError: An unknown name or option, or a missing library.
        """
        for backend in self._settings.backends:
            try:
                self._worker((backend, False))
            except (WorkerLost, WorkerTimeout) as error:
                self._unloadable[backend] = f"loading the backend: {error}"

    def stop(self) -> None:
        """From any thread: end the session's workers, so that its own thread gets SessionStopped instead of a reply."""
        with self._stopping:
            self._is_stopped = True
            for worker in self._living:
                worker.kill()

    def entry(self, backend: str) -> Entry:
        """A new cell of a backend, failed already if the backend could not be loaded."""
        entry = Entry(backend=backend, opened=self._opened.get((backend, False)))
        if backend in self._unloadable:
            entry.fail(Status.CRASHED, self._unloadable[backend])
        return entry

    def has_twin(self, backend: str) -> bool:
        """Whether the backend's twin is open, so that another case of it costs no loading."""
        return (backend, True) in self._workers

    def add_twin(self, case: Case, entry: Entry) -> None:
        """Prepare the case in a second process of the same backend, to be timed beside the first."""
        twin = Entry(backend=entry.backend, is_twin=True)
        if self.prepare(case, twin):
            entry.twin = twin

    def ask(self, entry: Entry, request: messages.Request, step: str) -> messages.Reply | None:
        """The reply of the entry's backend, or None after the entry was failed and its worker ended."""
        limit_s, option = self._settings.case_timeout_s, "--case-timeout"
        if isinstance(request, messages.Prepare):
            limit_s, option = self._settings.prepare_timeout_s, "--prepare-timeout"
        lane = (entry.backend, entry.is_twin)
        start = self._clock()
        try:
            reply = self._reply(self._worker(lane), request, limit_s)
        except WorkerTimeout:
            entry.fail(Status.TIMEOUT, f"{step} took longer than {option} {limit_s:g}s")
        except WorkerLost as error:
            entry.fail(_status_of_loss(is_out_of_memory=error.is_out_of_memory), f"{step}: {error}")
        except UsageError as error:
            entry.fail(Status.CRASHED, f"{step}: a new worker could not be opened: {error}")
        else:
            if not isinstance(reply, messages.Failed):
                return reply
            entry.fail(_status_of_loss(is_out_of_memory=reply.is_out_of_memory), f"{step}: {reply.reason}")
        finally:
            entry.spent_s += self._clock() - start
        self._drop(lane)
        return None

    def ceilings(self, dtype: str, when: str, limit_s: float) -> Ceilings | None:
        """What the machine can do at most, measured in a process of its own; None where that does not work."""
        worker = self._started()
        request = messages.MeasureCeilings(dtype=dtype, threads=self._settings.threads, when=when, limit_s=limit_s)
        try:
            reply = self._reply(worker, request, _CEILINGS_TIMEOUT_S)
        except (WorkerLost, WorkerTimeout):
            return None
        finally:
            self._end(worker)
        return reply.ceilings if isinstance(reply, messages.CeilingsMeasured) else None

    def refer(self, case: Case, folder: str) -> tuple[Status, str] | None:
        """Let the oracle write its references; None, or what became of it: without them nothing can be checked."""
        request = messages.Refer(
            problem=str(case.problem), probes=self._probes(case), seed=self._settings.seed, folder=folder
        )
        if self._oracle is None:
            self._oracle = self._started()
        try:
            reply = self._reply(self._oracle, request, self._settings.case_timeout_s)
        except (WorkerLost, WorkerTimeout) as error:
            self._end(self._oracle)
            self._oracle = None
            status = Status.TIMEOUT
            if isinstance(error, WorkerLost):
                status = _status_of_loss(is_out_of_memory=error.is_out_of_memory)
            return status, f"computing the reference: {error}"
        if isinstance(reply, messages.Refused):
            return Status.SKIPPED, reply.reason
        if isinstance(reply, messages.Failed):
            status = _status_of_loss(is_out_of_memory=reply.is_out_of_memory)
            return status, f"computing the reference: {reply.reason}"
        return None

    def prepare(self, case: Case, entry: Entry) -> bool:
        """Prepare the case and call it once; whether that worked."""
        reply = self.ask(entry, self._prepare_request(case), "preparing")
        if isinstance(reply, messages.Declined):
            entry.fail(Status.UNSUPPORTED, reply.reason)
        elif isinstance(reply, messages.Refused):
            entry.fail(Status.SKIPPED, reply.reason)
        elif isinstance(reply, messages.Prepared):
            entry.prepared = reply
            called = self.ask(entry, messages.CallFirst(), "the first call")
            if isinstance(called, messages.Called):
                entry.called = called
                return True
        if entry.status is Status.CRASHED and not self._settings.is_timed:
            self._explainer.explain_crash(case, entry)
        return False

    def prepare_again(self, case: Case, entry: Entry) -> bool:
        """Prepare a case that was released, for another visit; the times of the first visit stand."""
        before = entry.prepared, entry.called
        is_done = self.prepare(case, entry)
        entry.prepared, entry.called = before
        return is_done

    def check(self, case: Case, entry: Entry, folder: str) -> None:
        """Check the prepared case against the references in a folder."""
        reply = self.ask(entry, messages.Check(probes=self._probes(case), folder=folder), "checking")
        if isinstance(reply, messages.Checked):
            entry.checked = reply
            if reply.outcome.status is not Status.OK:
                entry.fail(reply.outcome.status, reply.outcome.reason or "failed its check")
            if reply.outcome.status is Status.WRONG:
                self._explainer.explain_wrong(case, entry, reply)
        elif entry.status is Status.CRASHED and not self._settings.is_timed:
            self._explainer.explain_crash(case, entry)

    def recheck(self, entry: Entry, folder: str) -> None:
        """Check outputs of timed calls."""
        reply = self.ask(entry, messages.Recheck(folder=folder), "checking timed outputs")
        if isinstance(reply, messages.Rechecked) and reply.defect is not None:
            entry.fail(Status.WRONG, reply.defect)

    def measure_memory(self, entry: Entry) -> None:
        """Measure what one call needs besides what is there."""
        reply = self.ask(entry, messages.MeasureMemory(), "measuring memory")
        if isinstance(reply, messages.MemoryMeasured):
            entry.workspace_bytes = reply.workspace_bytes

    def start(self, case: Case, backend: str, variables: dict[str, str]) -> Start | None:
        """What a fresh process of a backend pays before its steady speed on a case; None where it fails."""
        limits = self._settings.prepare_timeout_s, self._settings.case_timeout_s
        prepare = messages.Prepare(
            problem=str(case.problem),
            data=case.data or _ORDINARY_DATA,
            seed=self._settings.seed,
            is_memory_measured=self._settings.is_timed,
        )
        with self.ledger.spending("start"):
            worker = self._started(variables)
            try:
                opened = worker.ask(self._open_request(backend), _OPEN_TIMEOUT_S)
                prepared = worker.ask(prepare, limits[0])
                called = worker.ask(messages.CallFirst(), limits[1])
            except (WorkerLost, WorkerTimeout):
                return None
            finally:
                self._end(worker)
        if not (
            isinstance(opened, messages.Opened)
            and isinstance(prepared, messages.Prepared)
            and isinstance(called, messages.Called)
        ):
            return None
        return Start(import_ns=opened.import_ns, prepare_ns=prepared.prepare_ns, first_call_ns=called.first_call_ns)

    def release(self, backend: str, problem: ConvProblem) -> None:
        """Let a backend forget its case; a small one may wait for the next to take its place."""
        is_worth_it = problem.bytes_compulsory > _SMALL_BYTES
        for lane in ((backend, False), (backend, True)):
            if is_worth_it and lane in self._workers:
                try:
                    self._reply(self._workers[lane], messages.Release(), self._settings.case_timeout_s)
                except (WorkerLost, WorkerTimeout):
                    self._drop(lane)

    def _probes(self, case: Case) -> tuple[str, ...]:
        """What a backend is examined by: what was asked for, or all; before timing by what sees most."""
        data = case.data or _ORDINARY_DATA
        if self._settings.is_timed:
            return ("exact", data)
        return tuple(dict.fromkeys([*(self._settings.probes or EVERY_PROBE), *([case.data] if case.data else [])]))

    def _worker(self, lane: _Lane) -> Worker:
        """The lane's worker, opened if there is none."""
        if lane in self._workers:
            return self._workers[lane]
        backend, _ = lane
        worker = self._started()
        try:
            reply = self._reply(worker, self._open_request(backend), _OPEN_TIMEOUT_S)
        except (WorkerLost, WorkerTimeout):
            self._end(worker)
            raise
        if isinstance(reply, messages.Failed):
            self._end(worker)
            raise UsageError(reply.reason if reply.is_usage else f"backend {backend!r} does not load: {reply.reason}")
        assert isinstance(reply, messages.Opened)  # noqa: S101  # the protocol
        self._opened.setdefault(lane, reply)
        self._workers[lane] = worker
        return worker

    def _prepare_request(self, case: Case) -> messages.Prepare:
        return messages.Prepare(problem=str(case.problem), data=case.data or _ORDINARY_DATA, seed=self._settings.seed)

    def _open_request(self, backend: str) -> messages.Open:
        return messages.Open(
            backend=backend,
            threads=self._settings.threads,
            memory_limit_bytes=self._memory_limit_bytes,
        )

    def _started(self, variables: Mapping[str, str] | None = None) -> Worker:
        worker = self._start_worker(self._settings, variables or {})
        with self._stopping:
            self._living.add(worker)
            if self._is_stopped:
                worker.kill()
        return worker

    def _reply(self, worker: Worker, request: messages.Request, timeout_s: float) -> messages.Reply:
        start, timed_s = self._clock(), 0.0
        try:
            reply = worker.ask(request, timeout_s)
        except (WorkerLost, WorkerTimeout):
            if self._is_stopped:
                raise SessionStopped from None
            raise
        else:
            timed_s = reply.wall_ns * 1e-9 if isinstance(reply, messages.Block) else 0.0
            self.ledger.add("time", timed_s)
            return reply
        finally:
            self.ledger.add(_ACCOUNTS[type(request)], self._clock() - start - timed_s)

    def _drop(self, lane: _Lane) -> None:
        """End a worker that failed: the next cell gets a new one."""
        worker = self._workers.pop(lane, None)
        if worker is not None:
            self._end(worker)

    def _end(self, worker: Worker) -> None:
        with self._stopping:
            self._living.discard(worker)
        worker.end()


def _status_of_loss(*, is_out_of_memory: bool) -> Status:
    return Status.OUT_OF_MEMORY if is_out_of_memory else Status.CRASHED
