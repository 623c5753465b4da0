"""Backends whose exceptions are as awkward as exceptions can be."""

from __future__ import annotations

import sys
import warnings

from backends import Array, ConvCall, ConvProblem
from faulty.control import Correct, Transformed


class ExitsPolitely(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        sys.exit("no licence found")


class ExitsPolitelyInCall(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        raise SystemExit(0)


class IsInterrupted(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        raise KeyboardInterrupt("in a kernel")


class RaisesABaseException(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        class OfItsOwn(BaseException):
            pass

        raise OfItsOwn("neither fish nor fowl")


class HasNoMessage(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        class MuteError(Exception):
            def __str__(self) -> str:
                raise SystemExit(3)

        raise MuteError


class SaysTooMuch(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        raise ValueError("the beginning " + "and so on " * 1_000_000 + "the end")


class SaysHalfCharacters(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        raise ValueError("half \ud800 a character and \x1b[2J a bell \a")


class TurnsWarningsIntoErrors(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        warnings.simplefilter("error")
        warnings.warn("the tile is small", RuntimeWarning, stacklevel=1)
        return y


class RecursesWithoutEnd(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return self.spoil(y, x, problem)
