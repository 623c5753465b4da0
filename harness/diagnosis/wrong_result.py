"""A wrong result beside the truth, and how far apart two numbers may be that still count as one."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from backends import Array, ConvProblem
from harness import reference
from harness.inputs import LEAST_EXPONENT, SIGNIFICAND_BITS, ConvArrays

# Right results on real data are off by a few u * max(|x| * |w|), those of transforms by ten; inputs of 11 bits leave
# 2**13 / sqrt(n).
_TOLERATED_UNITS = 16
# A method whose results on integers are integers to this share rounds nowhere, so each error is a mistake.
_INTEGER_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class WrongResult:
    """What a backend returned, or returned right after all.

    Attributes:
        problem: What was to be computed.
        arrays: On what, in float64.
        truth: The right outputs in float64, NaN or infinite where such an input is read, shape (N, C_out, *out).
        got: What the backend returned, in float64.
        largest: No sum of these terms is larger in magnitude.
        tolerance: What rounding may explain; 0 where results are exact integers.
        is_wrong: Where got differs from the truth by more.
    """

    problem: ConvProblem
    arrays: ConvArrays
    truth: Array
    got: Array
    largest: float
    tolerance: float
    is_wrong: Array

    @property
    def wrong(self) -> int:
        """How many outputs are wrong."""
        return int(np.count_nonzero(self.is_wrong))

    @property
    def bias(self) -> Array:
        """The bias, 0 where there is none; broadcasts with outputs."""
        bias = np.zeros(self.problem.C_out) if self.arrays.bias is None else self.arrays.bias
        return bias.reshape(-1, *(1,) * self.problem.ndim)

    def agrees(self, guess: Array) -> Array:
        """Where the result is the guess; one of larger numbers than the truth has larger roundings as well."""
        size, true_size = (float(np.abs(array[np.isfinite(array)]).max(initial=0)) for array in (guess, self.truth))
        return is_close(self.got, guess, self.tolerance * (size / true_size if size > true_size > 0 else 1))


def beside_truth(problem: ConvProblem, arrays: ConvArrays, expected: Array, got: Array) -> WrongResult:
    """The result with what its symptoms and mistakes are read from.

    Args:
        problem: What was to be computed.
        arrays: On what, in any dtype.
        expected: The oracle's result, in which non-finite inputs count as 0.
        got: The backend's, of the same shape.
    """
    bias = None if arrays.bias is None else arrays.bias.astype(np.float64)
    arrays = ConvArrays(x=arrays.x.astype(np.float64), weight=arrays.weight.astype(np.float64), bias=bias)
    found = reference.compute(problem, arrays, seed=0, max_macs=sys.maxsize)
    poison = found.poison.reshape(problem.y_shape)
    truth, result = np.where(poison != 0, poison, expected), got.astype(np.float64)
    largest = float(found.magnitude.max())
    tolerance = _tolerance(problem, arrays, truth, result, largest)
    return WrongResult(
        problem=problem,
        arrays=arrays,
        truth=truth,
        got=result,
        largest=largest,
        tolerance=tolerance,
        is_wrong=~is_close(result, truth, tolerance),
    )


def is_close(a: Array, b: Array, tolerance: float) -> Array:
    """Where two results differ by the tolerance at most; NaN equals NaN, and an infinity itself."""
    return np.asarray((a == b) | (np.abs(a - b) <= tolerance) | (np.isnan(a) & np.isnan(b)))


def is_integer(array: Array) -> Array:
    """Which numbers are integers; NaN and infinities are not."""
    return np.asarray(np.isfinite(array) & (array == np.rint(array)))


def _tolerance(problem: ConvProblem, arrays: ConvArrays, truth: Array, got: Array, largest: float) -> float:
    finite = got[np.isfinite(got)]
    are_integers = all(is_integer(array).all() for array in (arrays.x, arrays.weight, truth))
    if are_integers and np.count_nonzero(is_integer(finite)) >= _INTEGER_SHARE * finite.size:
        return 0.0
    bits = SIGNIFICAND_BITS[problem.dtype]
    # Results in a type shorter than float32 are summed in float32 and rounded once.
    of_sums = _TOLERATED_UNITS * 2.0 ** -max(bits, 24) * largest
    of_storage = 0.0 if bits >= 24 else 2 * 2.0**-bits * float(np.abs(truth[np.isfinite(truth)]).max(initial=0))
    underflow = problem.accumulation_length * 2.0 ** LEAST_EXPONENT[problem.dtype]
    return of_sums + of_storage + underflow
