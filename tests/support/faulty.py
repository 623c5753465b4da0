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
        return super().prepare(problem, weight, None if bias is None else np.zeros_like(bias))


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


class WrongAfterManyCalls(Correct):
    """Right for four hundred calls, zeros from then on."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        calls = [0]

        def call(x: Array) -> Array:
            calls[0] += 1
            return right(x) * (calls[0] <= 400)

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


class KernelTransposed(Correct):
    """Swaps the roles of the last two kernel axes where they are of one size."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        is_square = problem.ndim > 1 and problem.kernel[-1] == problem.kernel[-2]
        return super().prepare(problem, np.swapaxes(weight, -1, -2) if is_square else weight, bias)


class StridesSwapped(Correct):
    """Takes the stride of the first axis for the last and the other way round, then crops or repeats to the shape."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        swapped = problem.replace(stride=problem.stride[::-1])
        call = super().prepare(swapped, weight, bias)
        return lambda x: np.resize(call(x), problem.y_shape)


class PaddingMirrored(Correct):
    """Puts the begin padding at the end and the other way round."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        mirrored = problem.replace(padding=tuple((end, begin) for begin, end in problem.padding))
        return super().prepare(mirrored, weight, bias)


class PaddingRepeatsTheEdge(Correct):
    """Pads with the nearest pixel instead of zeros."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        sizes = tuple(a + n + b for n, (a, b) in zip(problem.spatial, problem.padding, strict=True))
        call = super().prepare(problem.replace(spatial=sizes, padding=0), weight, bias)
        return lambda x: call(np.pad(x, [(0, 0), (0, 0), *problem.padding], mode="edge"))


class DilationIgnored(Correct):
    """Computes the dense kernel at the positions of the dilated one's outputs."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        call = super().prepare(problem.replace(dilation=1), weight, bias)
        kept = tuple(slice(0, size) for size in problem.out)
        return lambda x: np.ascontiguousarray(call(x)[(..., *kept)])


class GroupsReadTheFirst(Correct):
    """Every group reads the channels of the first."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        call = super().prepare(problem, weight, bias)
        per_group = problem.C_in // problem.groups
        return lambda x: call(np.tile(x[:, :per_group], (1, problem.groups, *(1,) * problem.ndim)))


class LastInputChannelDropped(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        dropped = weight.copy()
        dropped[:, -1] = 0
        return super().prepare(problem, dropped, bias)


class ShiftedByOne(Transformed):
    """The right sums, one place to the right of where they belong."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.roll(y, 1, axis=-1)


class FirstRowWrong(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[:, :, 0] *= 2
        return y


class CornerUnwritten(Transformed):
    """One output keeps what was in the buffer: here a small number."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[(..., *(-1,) * problem.ndim)] = 1e-3
        return y


class SecondImageIsTheFirst(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[1:] = y[:1]
        return y


class BiasTwice(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        return super().prepare(problem, weight, None if bias is None else 2 * bias)


class AllZeros(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.zeros_like(y)


def shortened(array: Array, bits: int) -> Array:
    """The array rounded to a significand of so many bits: 11 like tf32 and float16, 8 like bfloat16."""
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.rint(mantissa * 2.0**bits) / 2.0**bits, exponent).astype(array.dtype)


class Tf32Inside(Correct):
    """Rounds inputs and weights to 11 bits."""

    bits = 11

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        call = super().prepare(problem, shortened(weight, self.bits), bias)
        return lambda x: call(shortened(x, self.bits))


class Bfloat16Inside(Tf32Inside):
    """Rounds inputs and weights to 8 bits."""

    bits = 8


class AccumulatesInFloat16(Correct):
    """Products are right, but their running sum is rounded to float16 after each tap."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        def call(x: Array) -> Array:
            total = np.zeros(problem.y_shape, np.float16)
            for tap in np.ndindex(problem.kernel):
                one = np.zeros_like(weight)
                one[(..., *tap)] = weight[(..., *tap)]
                total += Im2colBackend().prepare(problem.replace(bias=False), one)(x).astype(np.float16)
            y = total.astype(x.dtype)
            return y if bias is None else y + bias.reshape(-1, *(1,) * problem.ndim)

        return call


class TruncatesResults(Transformed):
    """Rounds outputs to 20 bits: closer than tf32, and still not float32."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return shortened(y, 14)


class FlushesFaintOutputs(Transformed):
    """Sets to zero what is small beside the largest output, as a method with one common scale would."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[np.abs(y) < 1e-4 * np.abs(y).max()] = 0
        return y


class SwallowsNan(Transformed):
    """Replaces NaN by 0, as a maximum with a comparison that ignores it does."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.nan_to_num(y)


class SpreadsNan(Transformed):
    """Any NaN in an image ruins all of it."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[np.isnan(y).any(axis=tuple(range(1, y.ndim)))] = np.nan
        return y


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
