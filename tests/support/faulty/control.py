"""The backend without a fault, from which those with one differ in nothing else."""

from __future__ import annotations

from backends import Algorithm, Array, ConvCall, ConvProblem
from backends.im2col_gemm import Im2colBackend


class Correct:
    """No fault: the control."""

    algorithm = Algorithm.GEMM

    def __init__(self) -> None:
        self._right = Im2colBackend()
        self.name = f"faulty:{type(self).__name__}"
        self.device = self._right.device

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        return self._right.why_unsupported(problem)

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        return self._right.prepare(problem, weight, bias)


class Transformed(Correct):
    """Applies `spoil` to each correct output."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        raise NotImplementedError

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        return lambda x: self.spoil(right(x), x, problem)
