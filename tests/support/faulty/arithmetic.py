"""Backends that round more than their dtype does, or treat special numbers in their own way."""

from __future__ import annotations

import numpy as np

from backends import Array, ConvCall, ConvProblem
from backends.im2col_gemm import Im2colBackend
from faulty.control import Correct, Transformed


class OneNan(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[(-1,) * y.ndim] = np.nan
        return y


class HalfPrecisionInside(Correct):
    """Rounds inputs and weights to float16: exact on small integers, wrong on real data."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight.astype(np.float16).astype(weight.dtype), bias)
        return lambda x: right(x.astype(np.float16).astype(x.dtype))


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


class TruncatesResults(Transformed):
    """Rounds outputs to 20 bits: closer than tf32, and still not float32."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return shortened(y, 14)


class FlushesFaintOutputs(Transformed):
    """Sets to zero what is small beside the largest output, as a method with one common scale would."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[np.abs(y) < 1e-4 * np.abs(y).max()] = 0
        return y


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


class SwallowsNan(Transformed):
    """Replaces NaN by 0, as a maximum with a comparison that ignores it does."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.nan_to_num(y)


class SpreadsNan(Transformed):
    """Any NaN in an image ruins all of it."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[np.isnan(y).any(axis=tuple(range(1, y.ndim)))] = np.nan
        return y


class LastImageLosesNan(Transformed):
    """Replaces NaN by 0 in all images but the first."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[1:] = np.nan_to_num(y[1:])
        return y


class InfinityWithoutSign(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.where(np.isinf(y), np.inf, y).astype(y.dtype)


class SaturatesInfinity(Transformed):
    """Returns the largest finite number where the sum is infinite."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.nan_to_num(y, nan=np.nan, posinf=np.finfo(y.dtype).max, neginf=np.finfo(y.dtype).min)
