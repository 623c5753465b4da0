"""Backends with one known fault each, named for it. All but the fault comes from the im2col backend.

Loaded by spec, `faulty:Class`, in workers and in-process alike.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np

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


class FlippedKernel(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        return super().prepare(problem, np.flip(weight, tuple(range(2, weight.ndim))), bias)


class BiasMissing(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        return super().prepare(problem, weight, None)


class LastChannelDropped(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[:, -1] = 0
        return y


class LastColumnWrong(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[..., -1] = y[..., 0] + 1
        return y


class OneNan(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[(-1,) * y.ndim] = np.nan
        return y


class WrongDtype(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return y.astype(np.float64 if y.dtype == np.float32 else np.float32)


class WrongShape(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return y.reshape(-1)


class ReturnsAList(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return y.tolist()


class HalfPrecisionInside(Correct):
    """Rounds inputs and weights to float16: exact on small integers, wrong on real data."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight.astype(np.float16).astype(weight.dtype), bias)
        return lambda x: right(x.astype(np.float16).astype(x.dtype))


class MutatesInput(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        x[(0,) * x.ndim] += 1
        return y


class CachesFirstAnswer(Correct):
    """Computes once per prepared problem and replays the answer: very fast, and right on the first input only."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        answers: list[Array] = []

        def call(x: Array) -> Array:
            if not answers:
                answers.append(right(x))
            return answers[0]

        return call


class WrongLater(Correct):
    """Right for the first call after `prepare`, off by one from the second."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        calls = [0]

        def call(x: Array) -> Array:
            calls[0] += 1
            return right(x) + (1 if calls[0] > 1 else 0)

        return call


class MutatesLater(Correct):
    """Leaves the first input alone and spoils later ones."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        calls = [0]

        def call(x: Array) -> Array:
            y = right(x)
            calls[0] += 1
            if calls[0] > 1:
                x[(-1,) * x.ndim] += 1
            return y

        return call


class Declines(Correct):
    def why_unsupported(self, problem: ConvProblem) -> str | None:
        return "it is Sunday"


class Raises(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        raise ArithmeticError("prepare fell over")


class RaisesInCall(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        raise ArithmeticError("the call fell over")


class Unpicklable(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        class LocalError(Exception):
            def __reduce__(self) -> str:
                raise TypeError("cannot be pickled")

        raise LocalError(lambda: None)


class Segfaults(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os.kill(os.getpid(), signal.SIGSEGV)
        return y


class ExitsQuietly(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os._exit(0)


class Hangs(Transformed):
    """Ignores polite signals, and leaves a grandchild behind."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        if path := os.environ.get("FAULTY_CHILD_PID_FILE"):
            with open(path, "w") as file:  # noqa: PTH123  # as short as a fault should be
                file.write(str(child.pid))
        time.sleep(600)
        return y


class FloodsOutput(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        for _ in range(64):
            sys.stdout.write('{"type":"Done"}\n' * 4096)
            sys.stderr.write("noise " * 4096)
        sys.stdout.flush()
        return y


class EatsMemory(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        hoard = [np.ones(1 << 24) for _ in range(64)]
        return y + 0 * hoard[0][0]


class RefusesToLoad(Correct):
    def __init__(self) -> None:
        raise OSError("its shared library is missing")


class DiesWhileLoading(Correct):
    def __init__(self) -> None:
        os._exit(7)
