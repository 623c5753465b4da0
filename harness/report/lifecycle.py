"""What a backend costs before its steady speed is reached, and for how many calls which backend is cheapest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.cases import is_timed
from harness.stats import median

if TYPE_CHECKING:
    from harness.records import Cell, Start

FROM_FIRST_CALL = 1
CALL_COUNTS = (1, 10, 100, 1_000, 10_000)
"""For so many calls reports say which backend is cheapest."""


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """One cell's costs in ns: once, at the first call, at every later call."""

    import_ns: float = 0.0
    """Loading the backend, where costs are counted from the start of a process."""
    prepare_ns: float
    first_call_ns: float
    steady_ns: float

    def total_ns(self, calls: int) -> float:
        """Time spent from nothing to the end of so many calls, at least one."""
        return self.import_ns + self.prepare_ns + self.first_call_ns + (calls - 1) * self.steady_ns


def lifecycle_of(cell: Cell) -> Lifecycle | None:
    """The cell's costs in a process that has loaded the backend; None unless all three were measured."""
    if not is_timed(cell) or cell.prepare_ns is None or cell.first_call_ns is None:
        return None
    return Lifecycle(prepare_ns=cell.prepare_ns, first_call_ns=cell.first_call_ns, steady_ns=median(cell.samples_ns))


def lifecycle_from(start: Start | None, cell: Cell) -> Lifecycle | None:
    """The cell's costs counted from the start of a fresh process; None where that or the steady call was not timed."""
    if start is None or not is_timed(cell):
        return None
    return Lifecycle(
        import_ns=start.import_ns,
        prepare_ns=start.prepare_ns,
        first_call_ns=start.first_call_ns,
        steady_ns=median(cell.samples_ns),
    )


def calls_to_pay_off(ours: Lifecycle, rival: Lifecycle) -> int | None:
    """The number of calls from which ours has cost less in total than the rival, and stays so; None if never.

    total(n) = once + (n - 1) * steady, so n - 1 >= (difference of the one-time costs) / (gain a call).
    """
    extra = ours.total_ns(1) - rival.total_ns(1)
    gain = rival.steady_ns - ours.steady_ns
    if gain <= 0:
        # Slower at every later call: a lead at the start is lost again, so it never pays off for good.
        return None
    return max(FROM_FIRST_CALL, math.ceil(extra / gain) + 1)


def cheapest(lives: Mapping[str, Lifecycle], calls: int, margin: float = 0.0) -> tuple[str, ...]:
    """The backends with the least total cost for so many calls, least first.

    Args:
        lives: By backend; none give none.
        calls: At least one.
        margin: Totals this fraction above the least count as equal to it.
    """
    totals = {backend: life.total_ns(calls) for backend, life in lives.items()}
    least = min(totals.values(), default=0.0)
    return tuple(
        sorted((name for name, total in totals.items() if total <= (1 + margin) * least), key=totals.__getitem__)
    )
