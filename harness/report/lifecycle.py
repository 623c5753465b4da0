"""What a backend costs before its steady speed is reached, and after how many calls that has paid off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.cases import is_timed
from harness.stats import median

if TYPE_CHECKING:
    from harness.records import Cell

FROM_FIRST_CALL = 1


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """One cell's costs in ns: once, at the first call, at every later call."""

    prepare_ns: float
    first_call_ns: float
    steady_ns: float

    def total_ns(self, calls: int) -> float:
        """Time spent from nothing to the end of so many calls, at least one."""
        return self.prepare_ns + self.first_call_ns + (calls - 1) * self.steady_ns


def lifecycle_of(cell: Cell) -> Lifecycle | None:
    """The cell's costs; None unless all three were measured."""
    if not is_timed(cell) or cell.prepare_ns is None or cell.first_call_ns is None:
        return None
    return Lifecycle(prepare_ns=cell.prepare_ns, first_call_ns=cell.first_call_ns, steady_ns=median(cell.samples_ns))


def calls_to_pay_off(ours: Lifecycle, rival: Lifecycle) -> int | None:
    """The number of calls from which ours has cost less in total than the rival, and stays so; None if never.

    total(n) = prepare + first_call + (n - 1) * steady, so n - 1 >= (difference of the one-time costs) / (gain a call).
    """
    extra = ours.total_ns(1) - rival.total_ns(1)
    gain = rival.steady_ns - ours.steady_ns
    if gain <= 0:
        # Slower at every later call: a lead at the start is lost again, so it never pays off for good.
        return None
    return max(FROM_FIRST_CALL, math.ceil(extra / gain) + 1)
