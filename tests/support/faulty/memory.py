"""Backends that remember what they should not, share what is not theirs, or are right only at times."""

from __future__ import annotations

import threading
from typing import ClassVar

import numpy as np

from backends import Array, ConvCall, ConvProblem
from faulty.control import Correct, Transformed


class MutatesInput(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        x[(0,) * x.ndim] += 1
        return y


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


class MutatesWeight(Correct):
    """Scales the caller's weights while it packs them."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        call = super().prepare(problem, weight.copy(), bias)
        weight *= 2
        return call


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


class CachesByAddress(Correct):
    """Remembers answers by where their input lies: wrong as soon as a buffer is filled anew."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        answers: dict[int, Array] = {}

        def call(x: Array) -> Array:
            if x.ctypes.data not in answers:
                answers[x.ctypes.data] = right(x)
            return answers[x.ctypes.data]

        return call


class WeightsByAddress(Correct):
    """Packs the weights of an address once, whatever lies there later."""

    _packed: ClassVar[dict[tuple[object, ...], ConvCall]] = {}

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        key = (weight.ctypes.data, weight.strides, str(problem), None if bias is None else bias.tobytes())
        if key not in self._packed:
            kept = weight.copy()
            self._packed[key] = super().prepare(problem, kept, bias)
        return self._packed[key]


class PreviousAnswer(Correct):
    """Returns what the call before was asked for: right as long as the question stays the same."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        last: list[Array] = []

        def call(x: Array) -> Array:
            y = right(x)
            last.append(y)
            return last.pop(0) if len(last) > 1 else y.copy()

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


class WrongAfterManyCalls(Correct):
    """Right for four hundred calls, zeros from then on."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        calls = [0]

        def call(x: Array) -> Array:
            calls[0] += 1
            return right(x) * (calls[0] <= 400)

        return call


class RacesNowAndThen(Correct):
    """Wrong in one call of fifty."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        calls = [0]

        def call(x: Array) -> Array:
            y = right(x)
            calls[0] += 1
            if calls[0] % 50 == 0:
                y[(-1,) * y.ndim] += 1
            return y

        return call


class WritesLate(Correct):
    """Returns before another thread has written the last output."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            y = right(x)
            last, y.flat[-1] = y.flat[-1], 0

            def finish() -> None:
                y.flat[-1] = last

            threading.Timer(0.0005, finish).start()
            return y

        return call


class SharedOutputBuffer(Correct):
    """All convolutions of one shape write their outputs to one place."""

    _buffers: ClassVar[dict[tuple[int, ...], Array]] = {}

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            y = right(x)
            buffer = self._buffers.setdefault((*y.shape, y.itemsize), np.empty_like(y))
            buffer[...] = y
            return buffer

        return call


class SharedWeights(Correct):
    """Keeps the packed weights of the last convolution prepared, for all of them."""

    _packed: ClassVar[dict[str, ConvCall]] = {}

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        self._packed[str(problem)] = super().prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            return self._packed[str(problem)](x)

        return call


class SharedHalo(Correct):
    """One padded workspace for each padded shape of the process, whose border is zeroed when it is made only."""

    _workspaces: ClassVar[dict[tuple[object, ...], Array]] = {}

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        sizes = tuple(a + n + b for n, (a, b) in zip(problem.spatial, problem.padding, strict=True))
        inner = tuple(slice(a, a + n) for n, (a, _) in zip(problem.spatial, problem.padding, strict=True))
        right = super().prepare(problem.replace(spatial=sizes, padding=0), weight, bias)
        key = (problem.N, problem.C_in, sizes, problem.dtype)
        workspace = self._workspaces.setdefault(key, np.zeros((problem.N, problem.C_in, *sizes), problem.dtype))
        if any(map(any, problem.padding)):
            workspace[...] = 0

        def call(x: Array) -> Array:
            workspace[(..., *inner)] = x
            return right(workspace)

        return call


class AddsToOldOutput(Correct):
    """Multiplies its buffer by 0 before it adds to it, which NaN survives."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        buffer = np.zeros(problem.y_shape, problem.dtype)

        def call(x: Array) -> Array:
            with np.errstate(invalid="ignore"):
                buffer[...] = 0 * buffer + right(x)
            return buffer

        return call
