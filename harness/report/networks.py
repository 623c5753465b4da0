"""Time of a whole network: the sum over its layers of count times median, with coverage stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats import Interval

if TYPE_CHECKING:
    from harness.report.cases import CaseGroup
    from harness.report.verdict import CaseVerdict

BEST_OF_EACH = "fastest per layer"


@dataclass(frozen=True, kw_only=True)
class NetworkTotal:
    """One backend over one network."""

    backend: str
    time_ns: Interval
    """Sum of count x median. The interval is the sum of the ends: it covers at least as often as theirs."""
    layers: int
    """Layers timed, each counted as often as it occurs."""
    layers_total: int

    @property
    def is_complete(self) -> bool:
        """Every layer was timed; otherwise the sum is only a lower bound."""
        return self.layers == self.layers_total


def is_network(group: CaseGroup) -> bool:
    """Whether the group's layers say how often they occur."""
    return any(case.count > 1 for case in group.cases)


def network_totals(verdicts: Sequence[CaseVerdict], backends: Sequence[str]) -> tuple[NetworkTotal, ...]:
    """Totals by backend, complete and fast ones first, and the total if every layer took its fastest backend."""
    total = sum(verdict.case.count for verdict in verdicts)
    parts = {
        backend: [
            (verdict.case.count, verdict.by_backend[backend].time_ns)
            for verdict in verdicts
            if backend in verdict.by_backend
        ]
        for backend in backends
    }
    parts[BEST_OF_EACH] = [
        (verdict.case.count, verdict.winner.time_ns) for verdict in verdicts if verdict.winner is not None
    ]
    totals = [
        NetworkTotal(
            backend=backend,
            time_ns=_weighted_sum(times),
            layers=sum(count for count, _ in times),
            layers_total=total,
        )
        for backend, times in parts.items()
        if times
    ]
    return tuple(sorted(totals, key=lambda item: (-item.layers, item.time_ns.estimate)))


def _weighted_sum(times: Sequence[tuple[int, Interval]]) -> Interval:
    lows = [count * time.low for count, time in times if time.low is not None]
    highs = [count * time.high for count, time in times if time.high is not None]
    has_interval = len(lows) == len(highs) == len(times)
    return Interval(
        estimate=sum(count * time.estimate for count, time in times),
        low=sum(lows) if has_interval else None,
        high=sum(highs) if has_interval else None,
    )
