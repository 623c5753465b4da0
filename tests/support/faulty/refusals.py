"""Backends that decline or raise."""

from __future__ import annotations

from backends import Array, ConvCall, ConvProblem
from faulty.control import Correct, Transformed


class Declines(Correct):
    def why_unsupported(self, problem: ConvProblem) -> str | None:
        return "it is Sunday"


class DeclinesWithoutAReason(Correct):
    def why_unsupported(self, problem: ConvProblem) -> str | None:
        return "" if problem.ndim == 3 else None


class RaisesWhenAsked(Correct):
    def why_unsupported(self, problem: ConvProblem) -> str | None:
        if problem.groups > 1:
            raise NotImplementedError("groups")
        return None


class RefusesToLoad(Correct):
    def __init__(self) -> None:
        raise OSError("its shared library is missing")


class Raises(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        raise ArithmeticError("prepare fell over")


class RaisesInCall(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        raise ArithmeticError("the call fell over")


class RaisesOnDilation(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        if max(problem.dilation) > 1:
            raise IndexError("list index out of range")
        return super().prepare(problem, weight, bias)


class Unpicklable(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        class LocalError(Exception):
            def __reduce__(self) -> str:
                raise TypeError("cannot be pickled")

        raise LocalError(lambda: None)
