"""How exact a cell's results were: error against its bound, effective bits, and arithmetic narrower than its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.records import Cell

# Significand bits of each dtype, the implicit one included.
SIGNIFICAND_BITS = {"float64": 53, "float32": 24, "bfloat16": 8, "float16": 11}
# An element-wise right float32 result keeps 21 bits and more; tf32 and float16 inputs leave 15 or fewer.
_BITS_LOST_AT_MOST = 6
# These are right only norm-wise: small outputs beside large ones lose bits without any narrow arithmetic.
_NORM_WISE = ("fft", "winograd")


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The worst over a cell's data sets; the exact integers are left out, they have no rounding to measure."""

    error: float | None = None
    error_bound: float | None = None
    effective_bits: float | None = None

    @property
    def error_over_bound(self) -> float | None:
        """The share of the allowed error that was used; above 1 is wrong."""
        if self.error is None or not self.error_bound:
            return None
        return self.error / self.error_bound


def accuracy_of(cell: Cell) -> Accuracy:
    """Error and bound of the data set that came closest to its bound, and the fewest effective bits."""
    outcomes = [] if cell.check is None else [item for item in cell.check.outcomes if item.name != "exact"]
    bits = [item.effective_bits for item in outcomes if item.effective_bits is not None]
    rated = [Accuracy(error=item.error, error_bound=item.error_bound) for item in outcomes]
    rated = [item for item in rated if item.error_over_bound is not None]
    worst = max(rated, key=lambda item: item.error_over_bound or 0.0, default=Accuracy())
    return Accuracy(error=worst.error, error_bound=worst.error_bound, effective_bits=min(bits) if bits else None)


def looks_narrower(cell: Cell) -> bool:
    """Whether ordinary data lost so many bits that the arithmetic inside must be narrower than the dtype says."""
    if cell.check is None or (cell.algorithm or "").lower() in _NORM_WISE:
        return False
    outcome, bits = cell.check.outcome("normal"), SIGNIFICAND_BITS.get(cell.dtype)
    if outcome is None or outcome.effective_bits is None or bits is None:
        return False
    # float16 and bfloat16 results are rounded to few bits on output: there is nothing narrower to find.
    return bits >= SIGNIFICAND_BITS["float32"] and outcome.effective_bits < bits - _BITS_LOST_AT_MOST
