"""A cell in the making: what is known so far of one backend on one problem, and the record that comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness import messages, stats
from harness.cases import Case
from harness.plan import RunSettings, key_of
from harness.records import Cell, Status, StopReason

# Half-width of a median's interval beyond which a cell is called noisy.
_NOISY_HALF_WIDTH = 0.10


@dataclass
class Entry:
    """What is known so far of one backend on one problem."""

    backend: str
    opened: messages.Opened | None = None
    status: Status = Status.OK
    reason: str | None = None
    prepared: messages.Prepared | None = None
    checked: messages.Checked | None = None
    calls: int = 1
    samples_ns: list[float] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    wall_ns: int = 0
    cpu_ns: int = 0
    stop: StopReason | None = None
    spent_s: float = 0.0

    @property
    def is_right(self) -> bool:
        """Nothing has failed so far."""
        return self.status is Status.OK

    @property
    def call_ns(self) -> float | None:
        """The quickest call seen, as the first one may have included warming up; None before any."""
        return min([self.prepared.first_call_ns, *self.samples_ns]) if self.prepared is not None else None

    def fail(self, status: Status, reason: str) -> None:
        """End the cell; what was measured before is withdrawn."""
        self.status, self.reason = status, reason
        self.samples_ns, self.rounds, self.stop = [], [], None

    def cell(self, case: Case, settings: RunSettings) -> Cell:
        """The record, in the place of one of the problem's cases."""
        status, reason = self.status, self.reason
        if status is Status.OK and self.samples_ns:
            width = stats.median_interval(self.samples_ns).half_width_fraction
            if width is not None and width > _NOISY_HALF_WIDTH:
                status = Status.NOISY
                reason = f"the median's 95 % interval is ±{width:.0%} after {len(self.samples_ns)} samples"
        lifecycle = self.prepared if status is not Status.WRONG else None
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
            threads_seen=self.cpu_ns / self.wall_ns if self.wall_ns else None,
            check=self.checked.outcome if self.checked else None,
            prepare_ns=lifecycle.prepare_ns if lifecycle else None,
            first_call_ns=lifecycle.first_call_ns if lifecycle else None,
            calls_per_block=self.calls if self.samples_ns else None,
            samples_ns=tuple(self.samples_ns),
            rounds=tuple(self.rounds),
            stop=self.stop,
            spent_ns=round(self.spent_s * 1e9),
        )
