"""Predicts how long a backend's call will take from the cells it has finished.

The model is time per output plus time per multiply-add: interpreted loops pay the former, compiled ones the latter, and
non-negative least squares finds out which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from backends import ConvProblem

# A line through fewer points than this says nothing about its slopes.
_ENOUGH = 3


@dataclass
class CostModel:
    """What one backend's calls have cost so far."""

    outputs: list[float] = field(default_factory=list)
    macs: list[float] = field(default_factory=list)
    call_ns: list[float] = field(default_factory=list)

    def learn(self, problem: ConvProblem, call_ns: float) -> None:
        """Add a measured call."""
        self.outputs.append(math.prod(problem.y_shape))
        self.macs.append(problem.macs_nominal)
        self.call_ns.append(call_ns)

    def predict_ns(self, problem: ConvProblem) -> float | None:
        """Nanoseconds that a call is expected to take; None before anything was measured."""
        if not self.call_ns:
            return None
        outputs, macs = math.prod(problem.y_shape), problem.macs_nominal
        if len(self.call_ns) < _ENOUGH:
            # Either may be what it pays for, and they may differ a hundredfold: halfway between them.
            return math.sqrt(self._per(self.outputs) * outputs * self._per(self.macs) * macs)
        per_output, per_mac = _nonnegative_fit(self.outputs, self.macs, self.call_ns)
        return per_output * outputs + per_mac * macs

    def _per(self, amounts: list[float]) -> float:
        """Time per unit of one amount alone."""
        return math.fsum(self.call_ns) / math.fsum(amounts)


def _nonnegative_fit(a: list[float], b: list[float], t: list[float]) -> tuple[float, float]:
    """(p, q) >= 0 that minimise the sum of squared relative errors of p*a + q*b against t."""
    a = [value / time for value, time in zip(a, t, strict=True)]
    b = [value / time for value, time in zip(b, t, strict=True)]
    aa, bb = math.fsum(v * v for v in a), math.fsum(v * v for v in b)
    ab = math.fsum(v * w for v, w in zip(a, b, strict=True))
    sum_a, sum_b = math.fsum(a), math.fsum(b)
    determinant = aa * bb - ab * ab
    if determinant > 1e-9 * aa * bb:
        p, q = (sum_a * bb - sum_b * ab) / determinant, (sum_b * aa - sum_a * ab) / determinant
        if p >= 0 and q >= 0:
            return p, q
    # The optimum lies on an edge: one of the two alone, whichever leaves the smaller error.
    only_a, only_b = sum_a / aa, sum_b / bb
    error_a = math.fsum((only_a * v - 1) ** 2 for v in a)
    error_b = math.fsum((only_b * v - 1) ** 2 for v in b)
    return (only_a, 0.0) if error_a <= error_b else (0.0, only_b)
