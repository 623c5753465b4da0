"""How exact a cell's results were: error against its bound, effective bits, and arithmetic narrower than its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.records import Cell, ProbeOutcome

# Significand bits of each dtype, the implicit one included.
SIGNIFICAND_BITS = {"float64": 53, "float32": 24, "bfloat16": 8, "float16": 11}
# Sums of small integers have no rounding to measure.
EXACT = "exact"


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The worst over a cell's probes, each number for itself; the exact integers are left out."""

    error: float | None = None
    error_bound: float | None = None
    probe: str | None = None
    """The one whose error came closest to its bound, or went furthest beyond."""
    effective_bits: float | None = None
    operand_bits: float | None = None

    @property
    def error_over_bound(self) -> float | None:
        """The share of the allowed error that was used; above 1 is wrong."""
        if self.error is None or not self.error_bound:
            return None
        return self.error / self.error_bound


def accuracy_of(cell: Cell) -> Accuracy:
    """Error and bound of the probe that came closest to its bound, and the fewest effective and operand bits.

    A probe may pass beyond its bound, for which a note gives the reason (denormals that are flushed); it is left out.
    """
    outcomes = () if cell.check is None else cell.check.outcomes
    worst: ProbeOutcome | None = None
    worst_share = -1.0
    for outcome in outcomes:
        share = error_share(outcome)
        if share is not None and share > worst_share and not (outcome.passed and share > 1):
            worst, worst_share = outcome, share
    effective = [outcome.effective_bits for outcome in outcomes if outcome.effective_bits is not None]
    operand = [outcome.operand_bits for outcome in outcomes if outcome.operand_bits is not None]
    return Accuracy(
        error=worst.error if worst else None,
        error_bound=worst.error_bound if worst else None,
        probe=worst.name if worst else None,
        effective_bits=min(effective, default=None),
        operand_bits=min(operand, default=None),
    )


def error_share(outcome: ProbeOutcome) -> float | None:
    """The error over its bound; None where the probe has no such number."""
    if outcome.name == EXACT or outcome.error is None or not outcome.error_bound:
        return None
    return outcome.error / outcome.error_bound


def looks_narrower(cell: Cell) -> bool:
    """Whether the check found arithmetic that is narrower than the dtype on the label."""
    return likeness_of(cell) is not None


def likeness_of(cell: Cell) -> str | None:
    """Whose arithmetic the errors on normal data are those of, "computes like tf32 or float16", or None if its own.

    Where integers come out wrong too, a mistake made the errors and no rounding, whatever their size.
    """
    normal, exact = (cell.check.outcome(name) if cell.check else None for name in ("normal", EXACT))
    if normal is None or normal.passed or normal.operand_bits is None or cell.algorithm is None:
        return None
    if exact is not None and not exact.passed:
        return None
    # NumPy comes with the rule, and cells without a failure need neither.
    from backends import Algorithm, ConvProblem
    from harness.check import narrowness

    found = narrowness(normal.operand_bits, ConvProblem.parse(cell.key.problem), Algorithm(cell.algorithm))
    # "labelled float32, computes like tf32 or float16: errors are those of ..."
    return None if found is None else found.partition(":")[0].partition(", ")[2]
