"""How far a right result may be from the truth, output by output, for each algorithm and dtype.

Three levels are told apart. `allowed` holds for every right implementation whatever the order of its sums: more is
wrong. `usual` is what independent roundings hardly ever exceed: more is noted. `unit` is u times the magnitude, in
which errors are counted.

Sources: Higham (2002), "Accuracy and Stability of Numerical Algorithms", chapter 3 (gamma_n) and 24 (FFT); Higham and
Mary (2019), "A new approach to probabilistic rounding error analysis" (the square root of n).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backends import Algorithm, Array, ConvProblem
from backends.geometry import kernel_extent
from backends.winograd_transforms import WinogradTransform, toom_cook
from harness import reference as oracle
from harness import winograd_bound
from harness.inputs import LEAST_EXPONENT, SIGNIFICAND_BITS, ConvArrays
from harness.reference import Reference

# |error| <= c * u * log2(L) * norms: c was observed between 0.003 and 0.24 over thousands of problems. 4 leaves room
# for other transform libraries and still catches a type one step shorter, whose errors are 2**11 times larger.
_TRANSFORM_CONSTANT = 4.0
_USUAL_TRANSFORM_CONSTANT = 1.0
# Independent zero-mean roundings of a sum of n terms stay within lambda * sqrt(n) * u with a probability of
# 1 - 2 exp(-lambda**2 / 2) per output: 0.9993 at 4, and next to certainty at 16.
_USUAL_LAMBDA = 4.0
_CERTAIN_LAMBDA = 16.0
# From here on gamma_n allows errors as large as the sum itself, so that only statistics can tell.
_BLIND_FROM = 0.5
# Results stored in these are accumulated in float32 and rounded once: what every processor with them does.
STORAGE_ONLY = ("float16", "bfloat16")
# Rounding to nearest leaves errors uniform within half a unit in the last place, of which numbers with evenly
# distributed logarithms see sqrt(3/8/ln 2 / 3) = 0.425 u as root mean square relative to themselves.
_RMS_OF_ROUNDING = 0.425


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What errors are held against: absolute values, each of the shape of the reference's y, (N, C_out, P).

    Attributes:
        unit: u * magnitude, never 0: at least what one operation may lose to underflow.
        allowed: What no right implementation exceeds.
        usual: What independent roundings hardly ever exceed.
    """

    unit: Array
    allowed: Array
    usual: Array


def tolerance(
    problem: ConvProblem,
    algorithm: Algorithm,
    arrays: ConvArrays,
    reference: Reference,
    transforms: Sequence[WinogradTransform | None] | None = None,
) -> Tolerance:
    """What errors of this algorithm are held against on these arrays.

    Args:
        problem: What is computed.
        algorithm: Sums of products, FFT or Winograd.
        arrays: Its data; non-finite entries count as 0.
        reference: Whose outputs are judged.
        transforms: Of a Winograd backend, one entry a spatial axis; the customary ones where it names none.
    """
    u, tiny = unit_roundoff(problem.dtype), _smallest_subnormal(problem.dtype)
    n = terms(problem)
    of_oracle = gamma(n, oracle.unit_roundoff(problem.dtype)) * reference.magnitude
    if algorithm is Algorithm.FFT:
        norms = np.broadcast_to(_norms(arrays, problem)[:, :, None], reference.magnitude.shape)
        # Each of the transforms' stages rounds subnormal numbers by up to half of the smallest.
        lost = tiny * math.log2(_points(problem)) * (1 + _weight_norm(arrays, problem))
        # Beside its stages a transform has the products, which are summed over the channels, in any order.
        stages, channels = 1 + math.log2(_points(problem)), problem.C_in // problem.groups
        certain = _TRANSFORM_CONSTANT * stages + channels
        usual = _USUAL_TRANSFORM_CONSTANT * stages + min(channels, _USUAL_LAMBDA * math.sqrt(channels))
        floor = _TRANSFORM_CONSTANT * lost + of_oracle
        return Tolerance(unit=u * norms + tiny, allowed=certain * u * norms + floor, usual=usual * u * norms + floor)
    # A product may lose up to half the smallest subnormal, a sum of subnormals is exact.
    magnitude, roundings, underflow = reference.magnitude, float(n), np.full((1, 1, 1), n + 1.0)
    if algorithm is Algorithm.WINOGRAD:
        chosen = customary_transforms(problem) if transforms is None else tuple(transforms)
        magnitude = winograd_bound.magnitude(problem, arrays, chosen, reference.positions)
        roundings = winograd_bound.roundings(problem, chosen)
        underflow = winograd_bound.underflow(problem, arrays, chosen)[None, :, None]
    u_sum = unit_roundoff(accumulation_dtype(problem.dtype))
    underflow = underflow * _smallest_subnormal(accumulation_dtype(problem.dtype))
    certainly, usually = (level * magnitude + underflow for level in sum_error(roundings, u_sum))
    if problem.dtype in STORAGE_ONLY:
        stored = u * np.abs(reference.y).astype(np.float64) + tiny
        certainly, usually = certainly * (1 + u) + stored, usually * (1 + u) + stored
    # A transform may err where only padding is read and |x| * |w| is 0, beside outputs that read more.
    in_units_of = np.where(reference.magnitude > 0, reference.magnitude, magnitude)
    return Tolerance(
        unit=u * in_units_of + tiny,
        allowed=certainly + of_oracle,
        usual=np.minimum(usually, certainly) + of_oracle,
    )


def sum_error(n: float, u: float) -> tuple[float, float]:
    """Relative errors of a sum of n terms, as parts of the sum of magnitudes: what is certain, and what is usual.

    gamma_n holds in any order. Where it exceeds all sense (n above 2**23 in float32), errors are held to what
    independent roundings cannot leave instead: a running sum in a short type stagnates there and is worthless.
    """
    usual = _USUAL_LAMBDA * math.sqrt(n) * u
    certain = gamma(n, u) if n * u < _BLIND_FROM else _CERTAIN_LAMBDA * math.sqrt(n) * u
    return certain, min(certain, usual)


def gamma(n: float, u: float) -> float:
    """n*u / (1 - n*u): the relative error of any n roundings, infinite from n*u = 1 on."""
    return n * u / (1 - n * u) if n * u < 1 else math.inf


def terms(problem: ConvProblem) -> int:
    """Terms of one output's sum, the bias included."""
    return problem.accumulation_length + problem.bias


def unit_roundoff(dtype: str) -> float:
    """Largest relative error of one rounding to nearest: 2**-24 for float32."""
    return float(2.0 ** -SIGNIFICAND_BITS[dtype])


def accumulation_dtype(dtype: str) -> str:
    """The type in which a right implementation sums: float32 for results that are only stored in fewer bits."""
    return "float32" if dtype in STORAGE_ONLY else dtype


def customary_transforms(problem: ConvProblem) -> tuple[WinogradTransform | None, ...]:
    """F(4, k) on the last two axes where a dense step meets more than one tap, direct sums on the others."""
    is_transformed = (
        axis >= problem.ndim - 2 and taps > 1 and stride == 1
        for axis, (taps, stride) in enumerate(zip(problem.kernel, problem.stride, strict=True))
    )
    return tuple(
        toom_cook(4, taps) if chosen else None for chosen, taps in zip(is_transformed, problem.kernel, strict=True)
    )


def operand_bits(error: Array, energy: Array) -> float | None:
    """Significand bits to which both operands of every product would be rounded to leave errors as large as these.

    Rounding operands to p bits changes each product by 0.425 * sqrt(2) * 2**-p of itself, independently, so the error's
    square is that factor squared times the energy, the sum of squared products, however long the sum is.

    Returns:
        None without any error, or where every product is 0.
    """
    squares, total = float(np.sum(np.square(error))), float(np.sum(energy))
    if squares == 0 or total == 0:
        return None
    return -math.log2(math.sqrt(squares / total) / (_RMS_OF_ROUNDING * math.sqrt(2)))


def usual_operand_bits(problem: ConvProblem) -> float:
    """The fewest `operand_bits` that arithmetic in the problem's own type leaves on independent zero-mean data.

    The worst order that does not look at the data is one running sum: its i-th partial sum has the size sqrt(i), so
    that the errors' squares add up to 0.425**2 * u**2 * n**2 / 2, with the products' own to n**2 / 2 + n, against an
    energy of n. Rounding to a storage type adds one more rounding of the whole.
    """
    n = terms(problem)
    of_sum = (unit_roundoff(accumulation_dtype(problem.dtype)) ** 2) * (n / 2 + 1)
    of_storage = unit_roundoff(problem.dtype) ** 2
    return -0.5 * math.log2((of_sum + of_storage) / 2)


def _points(problem: ConvProblem) -> int:
    """Length of a transform over the whole padded input and the kernel beside it; 2 at least, for one stage."""
    return max(
        2,
        math.prod(
            size + begin + end + kernel_extent(kernel, dilation) - 1
            for size, (begin, end), kernel, dilation in zip(
                problem.spatial, problem.padding, problem.kernel, problem.dilation, strict=True
            )
        ),
    )


def _norms(arrays: ConvArrays, problem: ConvProblem) -> Array:
    """Sum over a group's channels of |x_c| * |w_c| (2-norms), plus |b|: shape (N, C_out)."""
    channels = problem.C_in // problem.groups
    finite = arrays.x if np.isfinite(arrays.x).all() else np.where(np.isfinite(arrays.x), arrays.x, 0)
    x_norms = _norm(finite.reshape(problem.N, problem.groups, channels, -1))
    weight_norms = _norm(arrays.weight.reshape(problem.groups, -1, channels, math.prod(problem.kernel)))
    norms: Array = np.einsum("ngc,goc->ngo", x_norms, weight_norms).reshape(problem.N, problem.C_out)
    return norms if arrays.bias is None else norms + np.abs(arrays.bias.astype(np.float64))


def _weight_norm(arrays: ConvArrays, problem: ConvProblem) -> float:
    """The largest sum over channels of |w_c| (2-norm) of any output channel."""
    weight = arrays.weight.reshape(problem.C_out, problem.C_in // problem.groups, -1)
    return float(_norm(weight).sum(axis=-1).max())


def _norm(values: Array) -> Array:
    """2-norms along the last axis in float64, without a long copy of what may be gigabytes."""
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", values, values, dtype=np.float64)))


def _smallest_subnormal(dtype: str) -> float:
    """What one operation on subnormal numbers may lose, and a half more: 2**-149 for float32."""
    return float(2.0 ** LEAST_EXPONENT[dtype])
