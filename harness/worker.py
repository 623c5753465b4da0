"""What a worker does: carries out the coordinator's requests for one backend, one at a time."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import backends
from backends import HOST, Algorithm, ConvBackend, ConvCall, ConvError, ConvProblem, threads
from backends.errors import BackendSpecError
from harness import (
    ceilings,
    examination,
    explanation,
    inputs,
    memory,
    memory_needs,
    memory_room,
    messages,
    reference,
    sampling,
    thread_audit,
)
from harness.exception_text import failed
from harness.inputs import ConvArrays
from harness.process_memory import limit_private_memory
from harness.records import Status
from harness.reference import Reference
from harness.timing import TimedCase

# Warming a case up takes several calls; one whose first call took this long is warm, and time is dear.
_LONG_CALL_NS = 100_000_000


@dataclass
class _Case:
    """The prepared case, and what is needed to time and re-check it."""

    problem: ConvProblem
    data: str
    seed: int
    call: ConvCall
    arrays: ConvArrays
    x: Any
    """The arrays' x on the device, as the first call got it."""
    x_checksum: int
    held_before: int | None
    """Memory of the process before preparing, where it is measured."""
    first_call_ns: int = 0
    first_output: Any = None
    timed: TimedCase | None = None
    """Once it is warm."""


class Worker:
    """State between requests: a backend, and at most one case."""

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock = clock
        self._timer_ns = sampling.timer_cost_ns(clock)
        self._backend: ConvBackend | None = None
        self._case: _Case | None = None
        self._memory_limit: int | None = None

    def answer(self, request: messages.Request) -> messages.Reply:
        """Carry out one request. Exceptions of any kind become `Failed`: foreign code may raise anything."""
        try:
            return self._dispatch(request)
        except BaseException as error:  # the boundary to foreign code: whatever it raises is the cell's reason
            self._case = None
            return failed(error, is_usage=isinstance(request, messages.Open) and isinstance(error, ConvError))

    def _dispatch(self, request: messages.Request) -> messages.Reply:  # noqa: PLR0911  # one return a request
        match request:
            case messages.Open():
                return self._open(request)
            case messages.Refer():
                return _refer(request, self._room())
            case messages.Prepare():
                return self._prepare(request)
            case messages.CallFirst():
                return self._call_first(self._prepared())
            case messages.Check():
                return self._check(self._prepared(), request)
            case messages.MeasureMemory():
                return self._measure_memory(self._prepared())
            case messages.MeasureCeilings():
                return messages.CeilingsMeasured(
                    ceilings=ceilings.measure(
                        request.dtype, request.threads, request.when, request.limit_s, self._clock
                    )
                )
            case messages.Warm():
                return self._warm(self._prepared(), request)
            case messages.TimeBlock():
                return self._timed().block(request)
            case messages.Recheck():
                return self._recheck(self._prepared(), request)
            case messages.Explain():
                return self._explain(request)
            case messages.Release():
                self._case = None
                memory.give_back()
                return messages.Done()

    def _prepared(self) -> _Case:
        if self._case is None:
            raise RuntimeError("no case is prepared; the coordinator must send Check first")
        return self._case

    def _timed(self) -> TimedCase:
        timed = self._prepared().timed
        if timed is None:
            raise RuntimeError("the case is not warm; the coordinator must send Warm first")
        return timed

    def _open(self, request: messages.Open) -> messages.Opened:
        threads.request(request.threads)
        start = self._clock()
        self._backend = backends.get(request.backend)
        import_ns = self._clock() - start
        _require_protocol(self._backend)
        # Libraries are made of a million objects that stay: left out of every later collection, which takes 0.1 s else.
        gc.collect()
        gc.freeze()
        if request.memory_limit_bytes is not None:
            limit_private_memory(request.memory_limit_bytes)
            self._memory_limit = request.memory_limit_bytes
        return messages.Opened(
            name=self._backend.name,
            device=self._backend.device.name,
            algorithm=self._backend.algorithm.value,
            import_ns=import_ns,
        )

    def _prepare(self, request: messages.Prepare) -> messages.Reply:
        backend = self._backend
        if backend is None:
            raise RuntimeError("no backend is open; the coordinator must send Open first")
        problem = ConvProblem.parse(request.problem)
        reason: object = backend.why_unsupported(problem)
        if reason is not None and not (isinstance(reason, str) and reason.strip()):
            raise TypeError(f"why_unsupported returned {reason!r}; expected None, or a reason in words")
        if reason is not None:
            return messages.Declined(reason=str(reason))
        predicted = memory_needs.predicted_bytes(backend, problem)
        if (excess := memory_needs.why_too_large(problem, backend, predicted, self._room())) is not None:
            return messages.Refused(reason=excess)
        arrays = inputs.data_set(problem, request.data, request.seed)
        checksum = examination.checksum(arrays.x)
        x = backend.device.put(arrays.x)
        held = memory.held_bytes() if request.is_memory_measured else None
        start = self._clock()
        call = backend.prepare(problem, arrays.weight, arrays.bias)
        backend.device.synchronize()
        prepare_ns = self._clock() - start
        self._case = _Case(
            problem=problem,
            data=request.data,
            seed=request.seed,
            call=call,
            arrays=arrays,
            x=x,
            x_checksum=checksum,
            held_before=held,
        )
        return messages.Prepared(prepare_ns=prepare_ns, predicted_bytes=predicted)

    def _call_first(self, case: _Case) -> messages.Called:
        backend = self._backend
        assert backend is not None  # noqa: S101  # a case implies a backend
        start = self._clock()
        first = case.call(case.x)
        backend.device.synchronize()
        case.first_call_ns = self._clock() - start
        case.first_output = examination.host_copy(backend, first)
        del first
        retained = memory.retained_bytes(case.held_before, case.first_output)
        return messages.Called(first_call_ns=case.first_call_ns, retained_bytes=retained)

    def _check(self, case: _Case, request: messages.Check) -> messages.Checked:
        backend = self._backend
        assert backend is not None  # noqa: S101  # a case implies a backend
        chosen, left_out = examination.probes_for(case.problem, request.probes)
        samples = examination.Samples(case.problem, case.seed, load=lambda name: _load_reference(request.folder, name))
        outcome = examination.examine(backend, case.problem, chosen, samples, known={case.data: case.first_output})
        if outcome.status is Status.OK and examination.checksum(backend.device.get(case.x)) != case.x_checksum:
            outcome = dataclasses.replace(outcome, status=Status.WRONG, reason="inputs: the first call modified x")
        case.x = case.first_output = None
        return messages.Checked(outcome=dataclasses.replace(outcome, left_out=left_out))

    def _measure_memory(self, case: _Case) -> messages.MemoryMeasured:
        assert self._backend is not None  # noqa: S101  # a case implies a backend
        if self._backend.device is not HOST:
            return messages.MemoryMeasured(workspace_bytes=None)
        return messages.MemoryMeasured(workspace_bytes=memory.workspace_bytes(lambda: case.call(case.arrays.x)))

    def _room(self) -> memory_needs.Room:
        return memory_needs.Room(limit_bytes=self._memory_limit, available_bytes=memory_room.available_bytes())

    def _explain(self, request: messages.Explain) -> messages.Explained:
        assert self._backend is not None  # noqa: S101  # only what was checked is explained
        problem = ConvProblem.parse(request.problem)
        found = explanation.explain(self._backend, problem, request.probe, request.seed, limit_s=request.limit_s)
        return messages.Explained(explanation=found)

    def _warm(self, case: _Case, request: messages.Warm) -> messages.Warmed:
        assert self._backend is not None  # noqa: S101  # a case implies a backend
        case.timed = TimedCase(self._backend, case.problem, case.data, case.call, case.arrays, self._clock)
        if request.may_skip and case.first_call_ns > _LONG_CALL_NS:
            return messages.Warmed(
                call_ns=case.first_call_ns, timer_ns=self._timer_ns, thread_pools=thread_audit.pools()
            )
        call_ns, overhead_ns = case.timed.warm(request.cache)
        return messages.Warmed(
            call_ns=call_ns,
            timer_ns=self._timer_ns,
            block_overhead_ns=overhead_ns,
            thread_pools=thread_audit.pools(),
        )

    def _recheck(self, case: _Case, request: messages.Recheck) -> messages.Rechecked:
        return messages.Rechecked(defect=self._timed().defect(lambda: _load_reference(request.folder, case.data)))


def _require_protocol(backend: ConvBackend) -> None:
    """Refuse a backend whose name or algorithm is of the wrong type: nothing could be said about it."""
    for attribute, wanted in (("name", str), ("algorithm", Algorithm)):
        value = getattr(backend, attribute)
        if not isinstance(value, wanted):
            raise BackendSpecError(
                f"{type(backend).__name__}.{attribute} is {value!r}; give a {wanted.__name__}"
                + (", such as Algorithm.DIRECT" if wanted is Algorithm else "")
            )


def _refer(request: messages.Refer, room: memory_needs.Room) -> messages.Done | messages.Refused:
    problem = ConvProblem.parse(request.problem)
    if (excess := memory_needs.why_no_reference(problem, room)) is not None:
        return messages.Refused(reason=f"the reference is {excess}")
    for name in examination.data_of(examination.probes_for(problem, request.probes)[0]):
        found = reference.compute(problem, inputs.data_set(problem, name, request.seed), request.seed)
        np.savez(
            Path(request.folder) / f"{name}.npz",
            positions=found.positions,
            y=found.y,
            magnitude=found.magnitude,
            energy=found.energy,
            has_input=found.has_input,
            poison=found.poison,
        )
        del found
    memory.give_back()
    return messages.Done()


def _load_reference(folder: str, name: str) -> Reference:
    with np.load(Path(folder) / f"{name}.npz", allow_pickle=False) as stored:
        return Reference(
            positions=stored["positions"],
            y=stored["y"],
            magnitude=stored["magnitude"],
            energy=stored["energy"],
            has_input=stored["has_input"],
            poison=stored["poison"],
        )
