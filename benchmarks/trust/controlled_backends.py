"""Backends whose time, or whose ratio of times, is known beforehand. All of them answer rightly.

They are named by spec, such as `benchmarks.trust.controlled_backends:Lasts[microseconds=2000]`.
"""

from __future__ import annotations

import time

from backends import Algorithm, Array, ConvBackend, ConvCall, ConvProblem
from backends.im2col_gemm import Im2colBackend

_MODULE = "benchmarks.trust.controlled_backends"

TINY = "ic1ih8oc1kh3ph1"
"""A problem that takes a few microseconds, little beside what a controlled backend lasts."""


class Lasts:
    """Answers at once, then waits until its call has lasted exactly so long.

    Args:
        microseconds: How long a call lasts, the answer included.
    """

    algorithm = Algorithm.GEMM

    def __init__(self, *, microseconds: int) -> None:
        self._right = Im2colBackend()
        self._wanted_ns = 1000 * microseconds
        self.name = lasts(microseconds)
        self.device = self._right.device

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        """What im2col declines."""
        return self._right.why_unsupported(problem)

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        """An im2col call, and a wait on the same clock that blocks are timed by."""
        answer = self._right.prepare(problem, weight, bias)
        clock, wanted_ns = time.perf_counter_ns, self._wanted_ns

        def call(x: Array) -> Array:
            end = clock() + wanted_ns
            y: Array = answer(x)
            while clock() < end:
                pass
            return y

        return call


class Repeats:
    """Computes the same convolution so many times over: twice the repetitions are twice the work, whatever the clock.

    Args:
        times: Repetitions in one call.
        twin: Does nothing; gives a second backend that does the same under another name.
    """

    algorithm = Algorithm.GEMM

    def __init__(self, *, times: int, twin: bool = False) -> None:
        self._right = Im2colBackend()
        self._times = times
        self.name = repeats(times, twin=twin)
        self.device = self._right.device

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        """What im2col declines."""
        return self._right.why_unsupported(problem)

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        """So many calls of im2col, of which the last answers."""
        answer = self._right.prepare(problem, weight, bias)
        others = range(self._times - 1)

        def call(x: Array) -> Array:
            for _ in others:
                answer(x)
            y: Array = answer(x)
            return y

        return call


def lasts(microseconds: int) -> str:
    """The spec of a backend whose calls last so long."""
    return f"{_MODULE}:Lasts[microseconds={microseconds}]"


def repeats(times: int, *, twin: bool = False) -> str:
    """The spec of a backend that does its work so many times over."""
    return f"{_MODULE}:Repeats[times={times}{',twin=on' if twin else ''}]"


_: type[ConvBackend] = Lasts
