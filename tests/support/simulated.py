"""A machine that only exists as a clock: workers that answer as real ones do, and take simulated time for it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from backends import ConvProblem
from harness import messages
from harness.plan import RunSettings
from harness.records import CheckOutcome, Status
from harness.worker_process import WorkerLost

Noise = Callable[[random.Random, float], float]
"""The factor by which a block at some time of the clock is slower than it should be."""


def quiet(_: random.Random, __: float) -> float:
    return 1.0


@dataclass
class Model:
    """How a simulated backend behaves."""

    call_s: Callable[[ConvProblem], float]
    import_s: float = 0.2
    prepare_s: float = 0.002
    noise: Noise = quiet
    dies_in_block: int | None = None
    """It dies in its so many-th timed block, counted over the life of a process."""
    dies_from_process: int = 1
    """The first of its processes that do so."""


@dataclass
class Machine:
    """The clock, the backends by spec, and what has been asked."""

    models: dict[str, Model]
    seed: int = 0
    now_s: float = 1000.0
    asked: list[tuple[str, messages.Request]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.opened: Counter[str] = Counter()
        self.started_with: list[dict[str, str]] = []

    def clock(self) -> float:
        return self.now_s

    def start_worker(self, _: RunSettings, variables: Mapping[str, str]) -> Worker:
        self.started_with.append(dict(variables))
        return Worker(self)


class Worker:
    """One simulated process: a backend, once it is opened, and at most one case."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._backend = "oracle"
        self._problem: ConvProblem | None = None
        self._number = 0
        self._blocks = 0
        self._first_s = 0.0
        self.is_ended = False

    def ask(self, request: messages.Request, timeout_s: float) -> messages.Reply:
        assert not self.is_ended
        self._machine.asked.append((self._backend, request))
        return self._answer(request)

    def end(self) -> None:
        self.is_ended = True

    def kill(self) -> None:
        self.is_ended = True

    def _takes(self, seconds: float) -> None:
        self._machine.now_s += seconds

    def _answer(self, request: messages.Request) -> messages.Reply:
        match request:
            case messages.Open():
                self._backend = request.backend
                self._machine.opened[self._backend] += 1
                self._number = self._machine.opened[self._backend]
                self._takes(self._model.import_s)
                import_ns = round(self._model.import_s * 1e9)
                return messages.Opened(name=request.backend, device="host", algorithm="direct", import_ns=import_ns)
            case messages.Prepare():
                self._problem = ConvProblem.parse(request.problem)
                self._takes(self._model.prepare_s)
                return messages.Prepared(prepare_ns=round(self._model.prepare_s * 1e9))
            case messages.CallFirst():
                first_s = self._call_s
                self._first_s = first_s
                self._takes(first_s)
                return messages.Called(first_call_ns=round(first_s * 1e9))
            case messages.Check():
                self._takes(0.01 + 2 * self._call_s)
                return messages.Checked(outcome=CheckOutcome(status=Status.OK, outcomes=()))
            case messages.Warm():
                if request.may_skip and self._first_s > 0.1:
                    return messages.Warmed(call_ns=self._first_s * 1e9, timer_ns=30.0)
                self._takes(max(0.015, self._call_s))
                return messages.Warmed(call_ns=self._call_s * 1e9, timer_ns=30.0, block_overhead_ns=100_000.0)
            case messages.TimeBlock():
                return self._block(request)
            case messages.Recheck():
                return messages.Rechecked(defect=None)
            case messages.MeasureMemory():
                self._takes(self._call_s)
                return messages.MemoryMeasured(workspace_bytes=0)
            case messages.Refer():
                self._takes(0.02)
                return messages.Done()
            case messages.MeasureCeilings():
                return messages.Failed(reason="a clock has no ceilings", is_out_of_memory=False, is_usage=False)
            case _:
                return messages.Done()

    def _block(self, request: messages.TimeBlock) -> messages.Block:
        self._blocks += 1
        if self._blocks == self._model.dies_in_block and self._number >= self._model.dies_from_process:
            raise WorkerLost("it was time")
        calls = request.calls + request.is_primed
        wall_s = request.calls * self._call_s * self._model.noise(self._machine.chance, self._machine.now_s)
        self._takes(wall_s + 0.0001 + (calls - request.calls) * self._call_s)
        return messages.Block(wall_ns=round(wall_s * 1e9), calls=request.calls, cpu_ns=round(wall_s * 1e9))

    @property
    def _model(self) -> Model:
        return self._machine.models[self._backend]

    @property
    def _call_s(self) -> float:
        assert self._problem is not None
        return self._model.call_s(self._problem)
