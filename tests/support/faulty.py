"""Backends with one known fault each, named for it. All but the fault comes from the im2col backend.

Loaded by spec, `faulty:Class`, in workers and in-process alike.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import ClassVar

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


class ImageTransposed(Correct):
    """Swaps the last two axes of images where they are of one size."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        call = super().prepare(problem, weight, bias)
        is_square = problem.ndim > 1 and problem.spatial[-1] == problem.spatial[-2]
        return lambda x: call(np.ascontiguousarray(np.swapaxes(x, -1, -2)) if is_square else x)


class StrideClippedToKernel(Correct):
    """Steps no further than the kernel is long."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        shorter = tuple(min(s, k) for s, k in zip(problem.stride, problem.kernel, strict=True))
        call = super().prepare(problem.replace(stride=shorter), weight, bias)
        kept = tuple(slice(0, size) for size in problem.out)
        return lambda x: np.ascontiguousarray(call(x)[(..., *kept)])


class SecondTileLost(Transformed):
    """Forgets what lies beyond the first tile of 16 channels by 16 columns."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[:, 16:, ..., 16:] = 0
        return y


class DilationOffByOne(Correct):
    """Takes 0-based dilation for 1-based: what is said to be dense is, and anything wider is one tap closer."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        closer = problem.replace(dilation=tuple(max(1, d - 1) for d in problem.dilation))
        call = super().prepare(closer, weight, bias)
        kept = tuple(slice(0, size) for size in problem.out)
        return lambda x: np.ascontiguousarray(call(x)[(..., *kept)])


class DilationsSwapped(Correct):
    """Takes the dilation of the first axis for the last and the other way round, and fills the shape with what it has."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        try:
            call = super().prepare(problem.replace(dilation=problem.dilation[::-1]), weight, bias)
        except ValueError:
            return lambda x: np.zeros(problem.y_shape, problem.dtype)
        return lambda x: np.resize(call(x), problem.y_shape)


class BorderLost(Transformed):
    """Leaves out the outputs at one end of one axis: they keep what was in memory."""

    axis, end = -1, 0

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        fresh = np.empty_like(y)
        kept = [slice(None)] * y.ndim
        kept[self.axis] = slice(1, None) if self.end == 0 else slice(None, -1)
        fresh[tuple(kept)] = y[tuple(kept)]
        return fresh


class FirstColumnLost(BorderLost):
    axis, end = -1, 0


class LastColumnLost(BorderLost):
    axis, end = -1, 1


class LastRowLost(BorderLost):
    axis, end = 2, 1


class TailColumnsDropped(Transformed):
    """Computes whole vectors of 8 columns and forgets the rest of a row."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[..., y.shape[-1] // 8 * 8 :] = 0
        return y


class TailOutputChannelsDropped(Transformed):
    """Computes whole blocks of 4 output channels and forgets the rest."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[:, y.shape[1] // 4 * 4 :] = 0
        return y


class TailInputChannelsDropped(Correct):
    """Sums whole blocks of 8 input channels and, beyond the first, forgets the rest."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        dropped = weight.copy()
        if weight.shape[1] > 8:
            dropped[:, weight.shape[1] // 8 * 8 :] = 0
        return super().prepare(problem, dropped, bias)


class ChannelsPermuted(Transformed):
    """The right planes in another order."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.ascontiguousarray(y[:, ::-1])


class GroupsInterleaved(Correct):
    """Gives output channel o the inputs of group o % groups."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        per_group = problem.C_out // problem.groups
        order = np.arange(problem.C_out).reshape(per_group, problem.groups).T.ravel()
        call = super().prepare(problem, weight[order], None if bias is None else bias[order])
        return lambda x: np.ascontiguousarray(call(x)[:, np.argsort(order)])


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


class MutatesWeight(Correct):
    """Scales the caller's weights while it packs them."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        call = super().prepare(problem, weight.copy(), bias)
        weight *= 2
        return call


class ReadsBeyondView(Correct):
    """Takes any x for C-contiguous and reads the memory from its first element on."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            base = x if x.base is None or min(x.strides) < 0 else np.asarray(x.base)
            if x.flags.c_contiguous or base.size < x.size:
                return right(x)
            start = (x.ctypes.data - base.ctypes.data) // x.itemsize
            flat = base.ravel(order="K")
            return right(np.resize(flat[start:], x.shape))

        return call


class ReadsWeightMemory(Correct):
    """Takes any weights for C-contiguous and reads their memory from its lowest address on."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        if weight.flags.c_contiguous or weight.base is None:
            return super().prepare(problem, weight, bias)
        flat = np.asarray(weight.base).ravel(order="K")
        return super().prepare(problem, np.nan_to_num(np.resize(flat, weight.shape), nan=3), bias)


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


class LayoutOfTheFirstCall(Correct):
    """Remembers whether its first input was reversed, and takes all others to be like it."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        first: list[bool] = []

        def call(x: Array) -> Array:
            first.append(min(x.strides) < 0)
            return right(x if first[0] == (min(x.strides) < 0) else np.flip(x))

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


class LastImageLosesNan(Transformed):
    """Replaces NaN by 0 in all images but the first."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[1:] = np.nan_to_num(y[1:])
        return y


class GroupsWithDilation(Transformed):
    """Wrong only where groups and dilation meet."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return -y if problem.groups > 1 and max(problem.dilation) > 1 else y


class BatchWithStride(Transformed):
    """Forgets all images but the first where a stride is taken."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        if max(problem.stride) > 1:
            y[1:] = 0
        return y


class OtherByteOrder(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return y.astype(y.dtype.newbyteorder())


class RefusesViews(Correct):
    """Says so instead of reading what is not C-contiguous: no fault."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            if not x.flags.c_contiguous:
                raise TypeError("x is not C-contiguous")
            return right(x)

        return call


class FlushesDenormals(Correct):
    """Takes numbers below the normal range for 0, as a processor in that mode does."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        smallest = np.finfo(problem.dtype).smallest_normal

        def flushed(array: Array) -> Array:
            return np.where(np.abs(array) < smallest, 0, array).astype(array.dtype)

        return lambda x: flushed(right(flushed(x)))


class DenormalsGarbled(FlushesDenormals):
    """Makes the smallest normal number of anything smaller."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = Correct.prepare(self, problem, weight, bias)
        smallest = np.finfo(problem.dtype).smallest_normal

        def call(x: Array) -> Array:
            y = right(x)
            return np.where((y != 0) & (np.abs(y) < smallest), smallest * 16, y).astype(y.dtype)

        return call


class InfinityWithoutSign(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.where(np.isinf(y), np.inf, y).astype(y.dtype)


class SaturatesInfinity(Transformed):
    """Returns the largest finite number where the sum is infinite."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.nan_to_num(y, nan=np.nan, posinf=np.finfo(y.dtype).max, neginf=np.finfo(y.dtype).min)


class RunningSumInBfloat16(Correct):
    """Sums the taps one after the other and keeps 8 bits of each partial sum."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        def call(x: Array) -> Array:
            total = np.zeros(problem.y_shape, x.dtype)
            for tap in np.ndindex(problem.kernel):
                one = np.zeros_like(weight)
                one[(..., *tap)] = weight[(..., *tap)]
                total = shortened(total + Im2colBackend().prepare(problem.replace(bias=False), one)(x), 8)
            return total if bias is None else total + bias.reshape(-1, *(1,) * problem.ndim)

        return call


class NarrowOutputsInStridedVolumes(Transformed):
    """Garbage in 3-D where the output is one column wide and the stride is not 1, as a matrix unit's kernel once was."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        if problem.ndim == 3 and problem.out[-1] == 1 and problem.stride[-1] > 1:
            y[:, :, ::2] *= -3
        return y


class DeclinesWithoutAReason(Correct):
    def why_unsupported(self, problem: ConvProblem) -> str | None:
        return "" if problem.ndim == 3 else None


class RaisesWhenAsked(Correct):
    def why_unsupported(self, problem: ConvProblem) -> str | None:
        if problem.groups > 1:
            raise NotImplementedError("groups")
        return None


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


class SegfaultsOnGroups(Correct):
    """Reads a null pointer wherever there is more than one group."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        if problem.groups > 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().prepare(problem, weight, bias)


class RaisesOnDilation(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        if max(problem.dilation) > 1:
            raise IndexError("list index out of range")
        return super().prepare(problem, weight, bias)


class DiesWhenShrunk(FlippedKernel):
    """Wrong, and gone as soon as a problem has a single input channel."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        if problem.C_in == 1:
            os._exit(5)
        return super().prepare(problem, weight, bias)


class DiesWhileLoading(Correct):
    def __init__(self) -> None:
        os._exit(7)
