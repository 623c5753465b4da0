"""What a worker does: carries out the coordinator's requests for one backend, one at a time."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import backends
from backends import HOST, Algorithm, Array, ConvBackend, ConvCall, ConvError, ConvProblem, threads
from backends.errors import BackendSpecError
from harness import check, examination, explanation, inputs, messages, reference, sampling
from harness.exception_text import failed
from harness.inputs import ConvArrays
from harness.process_memory import limit_private_memory
from harness.records import Status
from harness.reference import Reference

# Timed inputs are the checked one times these: distinct buffers and contents whose outputs follow exactly from the
# same reference, since signs and doubling commute with every rounding (halving does not where numbers are subnormal).
# None is 1: the answer to the checked input itself must not do for a timed one.
_INPUT_FACTORS = (-1.0, 2.0, -2.0)
_WARM_NS = 15_000_000
# A worker hands the machine over only when its threads stopped spinning. Pools spin for up to about 30 ms.
_NAP_S = 0.001
_LONGEST_WAIT_S = 0.25


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
    first_output: Any
    timed_inputs: list[Any] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)
    blocks: int = 0
    kept: list[tuple[float, Array]] = field(default_factory=list)
    last: tuple[float, Array] | None = None


class Worker:
    """State between requests: a backend, and at most one case."""

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock = clock
        self._timer_ns = sampling.timer_cost_ns(clock)
        self._backend: ConvBackend | None = None
        self._case: _Case | None = None

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
                return _refer(request)
            case messages.Prepare():
                return self._prepare(request)
            case messages.Check():
                return self._check(self._prepared(), request)
            case messages.MeasureMemory():
                return messages.MemoryMeasured(workspace_bytes=None)
            case messages.MeasureCeilings():
                raise NotImplementedError
            case messages.Warm():
                return self._warm(self._prepared())
            case messages.TimeBlock():
                return self._time_block(self._prepared(), request)
            case messages.Recheck():
                return self._recheck(self._prepared(), request)
            case messages.Explain():
                return self._explain(request)
            case messages.Release():
                self._case = None
                _give_back_memory()
                return messages.Done()

    def _prepared(self) -> _Case:
        if self._case is None:
            raise RuntimeError("no case is prepared; the coordinator must send Check first")
        return self._case

    def _open(self, request: messages.Open) -> messages.Opened:
        threads.request(request.threads)
        start = self._clock()
        self._backend = backends.get(request.backend)
        import_ns = self._clock() - start
        _require_protocol(self._backend)
        if request.memory_limit_bytes is not None:
            limit_private_memory(request.memory_limit_bytes)
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
        arrays = inputs.data_set(problem, request.data, request.seed)
        checksum = examination.checksum(arrays.x)
        x = backend.device.put(arrays.x)
        start = self._clock()
        call = backend.prepare(problem, arrays.weight, arrays.bias)
        backend.device.synchronize()
        prepared = self._clock()
        first = call(x)
        backend.device.synchronize()
        called = self._clock()
        self._case = _Case(
            problem=problem,
            data=request.data,
            seed=request.seed,
            call=call,
            arrays=arrays,
            x=x,
            x_checksum=checksum,
            first_output=examination.host_copy(backend, first),
        )
        return messages.Prepared(prepare_ns=prepared - start, first_call_ns=called - prepared)

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

    def _explain(self, request: messages.Explain) -> messages.Explained:
        assert self._backend is not None  # noqa: S101  # only what was checked is explained
        problem = ConvProblem.parse(request.problem)
        found = explanation.explain(self._backend, problem, request.probe, request.seed, limit_s=request.limit_s)
        return messages.Explained(explanation=found)

    def _warm(self, case: _Case) -> messages.Warmed:
        assert self._backend is not None  # noqa: S101  # a case implies a backend
        scaled = [case.arrays.x * case.arrays.x.dtype.type(factor) for factor in _INPUT_FACTORS]
        case.checksums = [examination.checksum(x) for x in scaled]
        case.timed_inputs = [self._backend.device.put(x) for x in scaled]
        fastest, spent, calls = float("inf"), 0, 0
        while spent < _WARM_NS:
            taken = self._run([case.timed_inputs[calls % len(case.timed_inputs)]], case)[0]
            fastest, spent, calls = min(fastest, taken), spent + taken, calls + 1
        _wait_until_idle()
        return messages.Warmed(call_ns=fastest, timer_ns=self._timer_ns)

    def _run(self, sequence: list[Any], case: _Case) -> tuple[int, Any]:
        """Wall time of calling on each input in turn, and the last output."""
        assert self._backend is not None  # noqa: S101  # a case implies a backend
        call, synchronize = case.call, self._backend.device.synchronize
        y = None
        start = self._clock()
        for x in sequence:
            y = call(x)
        synchronize()
        return self._clock() - start, y

    def _time_block(self, case: _Case, request: messages.TimeBlock) -> messages.Block:
        assert self._backend is not None  # noqa: S101  # a case implies a backend
        count = len(case.timed_inputs)
        examination.poison_memory(case.problem)
        factors = self._refill(case)
        # Each kept output answers another input, so that replaying any one answer is found out.
        last = len(case.kept) % count
        sequence = [case.timed_inputs[(last - i) % count] for i in reversed(range(request.calls))]
        if request.is_primed:
            self._run(sequence[:1], case)
        cpu_start = time.process_time_ns()
        wall_ns, y = self._run(sequence, case)
        cpu_ns = time.process_time_ns() - cpu_start
        case.last = (factors[last], examination.host_copy(self._backend, y))
        if request.keep_output:
            case.kept.append(case.last)
        del y
        _wait_until_idle()
        return messages.Block(wall_ns=wall_ns, cpu_ns=cpu_ns)

    def _refill(self, case: _Case) -> tuple[float, ...]:
        """Move the contents of the timed inputs to other buffers, and return the factor that each now holds.

        After the first block none holds what it held at first, so who remembers answers by the address of their input
        is wrong from the second block on.
        """
        assert self._backend is not None  # noqa: S101  # a case implies a backend
        shift = 0 if case.blocks == 0 else 1 + case.blocks % (len(_INPUT_FACTORS) - 1)
        factors = _INPUT_FACTORS[shift:] + _INPUT_FACTORS[:shift]
        case.blocks += 1
        if self._backend.device is HOST:
            for buffer, factor in zip(case.timed_inputs, factors, strict=True):
                np.multiply(case.arrays.x, buffer.dtype.type(factor), out=buffer)
        else:
            scaled = (case.arrays.x * case.arrays.x.dtype.type(factor) for factor in factors)
            case.timed_inputs = [self._backend.device.put(x) for x in scaled]
        return factors

    def _recheck(self, case: _Case, request: messages.Recheck) -> messages.Rechecked:
        assert self._backend is not None  # noqa: S101  # a case implies a backend
        found = sorted(examination.checksum(self._backend.device.get(x)) for x in case.timed_inputs)
        if found != sorted(case.checksums):
            return messages.Rechecked(defect="a timed call modified its input")
        base = _load_reference(request.folder, case.data)
        for factor, y in [*case.kept, *([case.last] if case.last else [])]:
            arrays, expected = _scaled(case.arrays, base, factor)
            transforms = examination.transforms_of(self._backend, case.problem)
            outcome = check.judge(case.data, y, arrays, expected, case.problem, self._backend.algorithm, transforms)
            if not outcome.passed:
                return messages.Rechecked(defect=f"output of a timed call: {outcome.detail}")
        return messages.Rechecked(defect=None)


def _require_protocol(backend: ConvBackend) -> None:
    """Refuse a backend whose name or algorithm is of the wrong type: nothing could be said about it."""
    for attribute, wanted in (("name", str), ("algorithm", Algorithm)):
        value = getattr(backend, attribute)
        if not isinstance(value, wanted):
            raise BackendSpecError(
                f"{type(backend).__name__}.{attribute} is {value!r}; give a {wanted.__name__}"
                + (", such as Algorithm.DIRECT" if wanted is Algorithm else "")
            )


def _refer(request: messages.Refer) -> messages.Done:
    problem = ConvProblem.parse(request.problem)
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
    _give_back_memory()
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


def _scaled(arrays: ConvArrays, base: Reference, factor: float) -> tuple[ConvArrays, Reference]:
    """The reference for x * factor: the bias alone does not scale."""
    bias = 0.0 if arrays.bias is None else arrays.bias.astype(np.float64)[:, None]
    scaled = Reference(
        positions=base.positions,
        y=(base.y - bias) * factor + bias,
        magnitude=(base.magnitude - np.abs(bias)) * abs(factor) + np.abs(bias),
        energy=(base.energy - np.square(bias)) * factor**2 + np.square(bias),
        has_input=base.has_input,
        poison=base.poison * np.sign(factor),
    )
    x = arrays.x * arrays.x.dtype.type(factor)
    return ConvArrays(x=x, weight=arrays.weight, bias=arrays.bias), scaled


def _wait_until_idle() -> None:
    """Sleep until no other thread of this process runs: OpenMP and BLAS pools spin for a while after a parallel region.

    The process's CPU time cannot tell: the kernel brings that of other running threads up to date at its ticks only,
    every 4 to 10 ms.
    """
    waited = 0.0
    while waited < _LONGEST_WAIT_S:
        time.sleep(_NAP_S)
        waited += _NAP_S
        if not _other_threads_run():
            return


def _other_threads_run() -> bool:
    own = threading.get_native_id()
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) == own:
            continue
        try:
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue  # it has just ended
        if state == "R":
            return True
    return False


def _give_back_memory() -> None:
    """Return freed memory to the system between cases: told to keep it, each worker would hoard its peak."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; elsewhere there is nothing to undo
    if trim is not None:
        trim(0)
