"""A cell in the making: what is known so far of one backend on one problem, and the record that comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness import messages, stats
from harness.cases import Case
from harness.plan import RunSettings, key_of
from harness.records import Cell, Start, Status, StopReason

# Half-width of a median's interval beyond which a cell is called noisy.
_NOISY_HALF_WIDTH = 0.10


@dataclass
class Samples:
    """Timed blocks, in the order measured, and what the machine did during each."""

    ns: list[float] = field(default_factory=list)
    """Nanoseconds per call."""
    rounds: list[int] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    preemptions: list[int] = field(default_factory=list)
    stolen: list[float] = field(default_factory=list)
    wall_ns: int = 0
    cpu_ns: int = 0

    def add(self, block: messages.Block, round_number: int) -> None:
        """Append a block."""
        self.ns.append(block.wall_ns / block.calls)
        self.rounds.append(round_number)
        self.cores.append(round(block.cpu_ns / block.wall_ns, 3) if block.wall_ns else 0.0)
        self.preemptions.append(block.preemptions)
        self.stolen.append(round(block.stolen, 4))
        self.wall_ns += block.wall_ns
        self.cpu_ns += block.cpu_ns

    @property
    def by_round(self) -> dict[int, float]:
        """Nanoseconds per call by round."""
        return dict(zip(self.rounds, self.ns, strict=True))


@dataclass
class Entry:
    """What is known so far of one backend on one problem.

    A twin is the same backend in a process of its own; it becomes no cell but belongs to its original's.
    """

    backend: str
    is_twin: bool = False
    opened: messages.Opened | None = None
    status: Status = Status.OK
    reason: str | None = None
    prepared: messages.Prepared | None = None
    called: messages.Called | None = None
    checked: messages.Checked | None = None
    planned_ns: float = 0.0
    """The warm call's time by which blocks were planned."""
    calls: int = 1
    is_primed: bool = False
    samples: Samples = field(default_factory=Samples)
    visits: list[int] = field(default_factory=list)
    stop: StopReason | None = None
    twin: Entry | None = None
    thread_pools: dict[str, int] = field(default_factory=dict)
    workspace_bytes: int | None = None
    cold_start: Start | None = None
    warm_start: Start | None = None
    spent_s: float = 0.0
    """All that was asked of the backend for this cell."""
    timing_s: float = 0.0
    """The part of it that went to timed blocks, with what each costs besides."""

    @property
    def is_right(self) -> bool:
        """Nothing has failed so far."""
        return self.status is Status.OK

    @property
    def call_ns(self) -> float | None:
        """The quickest call seen, as the first one may have included warming up; None before any."""
        return min([self.called.first_call_ns, *self.samples.ns]) if self.called is not None else None

    def fail(self, status: Status, reason: str) -> None:
        """End the cell; what was measured before is withdrawn."""
        self.status, self.reason = status, reason
        self.samples, self.visits, self.stop, self.twin = Samples(), [], None, None

    def cell(self, case: Case, settings: RunSettings) -> Cell:
        """The record, in the place of one of the problem's cases."""
        status, reason, samples = self.status, self.reason, self.samples
        if status is Status.OK and samples.ns:
            width = stats.median_interval(samples.ns).half_width_fraction
            if width is not None and width > _NOISY_HALF_WIDTH:
                status = Status.NOISY
                reason = f"the median's 95 % interval is ±{width:.0%} after {len(samples.ns)} samples"
        prepared, called = (self.prepared, self.called) if status is not Status.WRONG else (None, None)
        twin = self.twin.samples if self.twin is not None and self.twin.is_right else Samples()
        return Cell(
            key=key_of(case, self.backend),
            status=status,
            reason=reason,
            label=case.problem.label,
            count=case.problem.count,
            suite=case.suite,
            group=case.group,
            axis=case.axis,
            axis_value=case.axis_value,
            device=self.opened.device if self.opened else None,
            algorithm=self.opened.algorithm if self.opened else None,
            dtype=case.problem.dtype,
            threads_asked=settings.threads,
            threads_seen=samples.cpu_ns / samples.wall_ns if samples.wall_ns else None,
            thread_pools=self.thread_pools,
            check=self.checked.outcome if self.checked else None,
            import_ns=self.opened.import_ns if self.opened else None,
            prepare_ns=prepared.prepare_ns if prepared else None,
            first_call_ns=called.first_call_ns if called else None,
            cold_start=self.cold_start,
            warm_start=self.warm_start,
            calls_per_block=self.calls if samples.ns else None,
            samples_ns=tuple(samples.ns),
            rounds=tuple(samples.rounds),
            visits=tuple(self.visits),
            cores=tuple(samples.cores),
            preemptions=tuple(samples.preemptions),
            stolen=tuple(samples.stolen),
            twin_ns=tuple(twin.ns),
            twin_rounds=tuple(twin.rounds),
            stop=self.stop,
            workspace_bytes=self.workspace_bytes,
            retained_bytes=self.called.retained_bytes if self.called else None,
            predicted_bytes=self.prepared.predicted_bytes if self.prepared else None,
            spent_ns=round(self.spent_s * 1e9),
        )
