"""Compares outputs with the oracle under the error model of the backend's algorithm.

Data sets see different mistakes. Small integers make every correct sum exact, so a wrong tap, border or channel shows
as a plain inequality; but they cannot see inputs rounded to a shorter type. Real data can, under a bound. A NaN must
reach the outputs that read it and, where outputs are sums of products, no others.

Units: errors are in multiples of u * magnitude, where u is the dtype's unit roundoff. `magnitude` is |x| * |w| + |b|
per element for sums of products, and sum over channels of |x_c| * |w_c| (2-norms) for transforms, which mix positions.

Sources: Higham (2002), "Accuracy and Stability of Numerical Algorithms", chapter 3 (gamma_n) and 24 (FFT).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from backends import Algorithm, Array, ConvProblem
from harness import reference as oracle
from harness.inputs import SIGNIFICAND_BITS, ConvArrays
from harness.records import CheckOutcome, DataOutcome, Status
from harness.reference import Reference

# |error| <= c * u * log2(L) * norms: c was observed between 0.003 and 0.24 over thousands of problems; 4 leaves room
# for other transform libraries and still catches a type one step shorter, whose errors are 2**11 times larger.
_TRANSFORM_CONSTANT = 4.0
_MIXES_POSITIONS = (Algorithm.FFT, Algorithm.WINOGRAD)
# Sums of n independent zero-mean terms: partial sums grow as sqrt(i), so recursive summation, the worst order, errs by
# u * sqrt(sum of i) = 0.7 n u against |x| * |w| = 0.64 n: a standard deviation of 1.1, 29 of which are allowed.
_MOST_ON_NORMAL_DATA = 32.0
# Of outputs that read real input, this fraction must be non-zero for equality to mean anything. Non-zero integers
# cancel to exactly 0 in at most half of the sums (n = 2 with entries of +-1) and far less often in others.
_LEAST_NONZERO = 0.3
# Data on which each output is as large as its terms let it be. Elsewhere bits lost in one output may be another's.
_EXTRAORDINARY = ("wide range", "one-hot", "nan")


def check(
    compute: Callable[[ConvArrays], Array],
    data_sets: dict[str, tuple[ConvArrays, Reference]],
    problem: ConvProblem,
    algorithm: Algorithm,
) -> CheckOutcome:
    """The verdict over all data sets; stops at the first that fails.

    Args:
        compute: Host arrays to host output, by the backend under test.
        data_sets: Arrays and reference by name, a name of `inputs.DATA_SETS` or of a picture.
        problem: What is computed.
        algorithm: Which error model applies.
    """
    outcomes: list[DataOutcome] = []
    mistrust: str | None = None
    for name, (arrays, reference) in data_sets.items():
        if name == "exact" and (doubt := zero_trust(reference)) is not None:
            mistrust = doubt
            continue
        outcome = judge(name, compute(arrays), arrays, reference, problem, algorithm)
        outcomes.append(outcome)
        if not outcome.passed:
            reason = f"{name} data: {outcome.detail}"
            return CheckOutcome(status=Status.WRONG, outcomes=tuple(outcomes), reason=reason)
    if mistrust is not None:
        return CheckOutcome(status=Status.MISTRUSTED, outcomes=tuple(outcomes), reason=mistrust)
    return CheckOutcome(status=Status.OK, outcomes=tuple(outcomes))


def judge(
    name: str,
    y: object,
    arrays: ConvArrays,
    reference: Reference,
    problem: ConvProblem,
    algorithm: Algorithm,
) -> DataOutcome:
    """Whether one output is right, and by how much it is off."""
    total = math.prod(problem.y_shape)
    defect = _defect_of_form(y, problem, may_be_nan=name == "nan")
    if defect is not None:
        return DataOutcome(
            name=name,
            passed=False,
            error=None,
            error_bound=None,
            effective_bits=None,
            outputs_checked=0,
            outputs_total=total,
            detail=defect,
        )
    assert isinstance(y, np.ndarray)  # noqa: S101  # _defect_of_form said so; this tells the type checker
    sampled = y.reshape(problem.N, problem.C_out, -1)[:, :, reference.positions].astype(reference.y.dtype)
    if name == "exact":
        return _judge_exact(sampled, reference, problem, algorithm, total)
    return _judge_real(name, sampled, arrays, reference, problem, algorithm, total)


def error_bound(problem: ConvProblem, algorithm: Algorithm) -> float:
    """What the error may be at most, in units of u times the magnitude.

    Sums of n products in any order: gamma_n / u = n / (1 - n*u), n counting the bias as a term. Transforms of L points:
    4 * log2(L). The oracle's own rounding is added: nothing to speak of, unless its type is the backend's.
    """
    u = unit_roundoff(problem.dtype)
    n = problem.accumulation_length + problem.bias
    if n * u >= 1:
        return math.inf
    sums = n / (1 - n * u)
    oracle_sums = sums * oracle.unit_roundoff(problem.dtype) / u
    if algorithm not in _MIXES_POSITIONS:
        return sums + oracle_sums
    points = math.prod(size + begin + end for size, (begin, end) in zip(problem.spatial, problem.padding, strict=True))
    return _TRANSFORM_CONSTANT * math.log2(max(2, points)) + oracle_sums


def unit_roundoff(dtype: str) -> float:
    """Largest relative error of one rounding to nearest: 2**-24 for float32."""
    return 2.0 ** -SIGNIFICAND_BITS[dtype]


def zero_trust(reference: Reference) -> str | None:
    """Why equality with this reference would prove little, or None: too many outputs are zero."""
    relevant = reference.y[:, :, reference.has_input]
    if relevant.size == 0:
        return "no output reads any real input, so every implementation agrees; use less padding or a larger input"
    nonzero = np.count_nonzero(relevant) / relevant.size
    if nonzero >= _LEAST_NONZERO:
        return None
    return f"only {nonzero:.0%} of the outputs that read input are non-zero; a wrong result could pass unseen"


def _defect_of_form(y: object, problem: ConvProblem, *, may_be_nan: bool) -> str | None:
    if not isinstance(y, np.ndarray):
        return f"returned a {type(y).__name__}, expected a NumPy array"
    if y.shape != problem.y_shape:
        return f"returned shape {y.shape}, expected {problem.y_shape}"
    if y.dtype.name != problem.dtype:
        return f"returned dtype {y.dtype.name}, expected {problem.dtype}"
    if not may_be_nan and not np.isfinite(y).all():
        where = np.unravel_index(int(np.argmin(np.isfinite(y))), y.shape)
        return f"{_at(where)} is {y[where]}, though inputs are finite"
    return None


def _judge_exact(y: Array, reference: Reference, problem: ConvProblem, algorithm: Algorithm, total: int) -> DataOutcome:
    """Integers must come out equal; transforms are rounded first, as their intermediate values are no integers."""
    got = np.rint(y) if algorithm in _MIXES_POSITIONS else y
    is_wrong = got != reference.y
    wrong = int(np.count_nonzero(is_wrong))
    detail = None
    if wrong:
        index = np.unravel_index(int(np.argmax(is_wrong)), y.shape)
        where = _position(index, reference, problem)
        detail = (
            f"{wrong} of {y.size} outputs checked differ; first at {_at(where)}:"
            f" got {y[index]:.6g}, expected {reference.y[index]:.6g}"
        )
    return DataOutcome(
        name="exact",
        passed=not wrong,
        error=float(np.abs(y - reference.y).astype(np.float64).max()),
        error_bound=0.5 if algorithm in _MIXES_POSITIONS else 0.0,
        effective_bits=None,
        outputs_checked=y.size,
        outputs_total=total,
        detail=detail,
    )


def _judge_real(
    name: str,
    y: Array,
    arrays: ConvArrays,
    reference: Reference,
    problem: ConvProblem,
    algorithm: Algorithm,
    total: int,
) -> DataOutcome:
    u = unit_roundoff(problem.dtype)
    defect, note = _nan_defect(y, reference, problem, algorithm)
    # A poisoned output has been judged by its NaN alone; so has one that a transform spread the NaN to.
    difference = np.where(reference.is_poisoned | np.isnan(y), 0, np.abs(y - reference.y)).astype(np.float64)
    if algorithm in _MIXES_POSITIONS:
        magnitude = np.broadcast_to(_norms(arrays, problem)[:, :, None], y.shape)
    else:
        magnitude = reference.magnitude
    # Half the smallest subnormal is what one operation may lose to underflow. Where the magnitude is 0, as where only
    # padding is read, it also makes anything but 0 an error.
    underflow = float(np.finfo(problem.dtype).smallest_subnormal)
    scaled = difference / (u * magnitude + underflow)
    error, bound = float(scaled.max()), error_bound(problem, algorithm)
    detail = defect or _narrowness(name, error, problem, algorithm)
    if defect is None and error > bound:
        index = np.unravel_index(int(np.argmax(scaled)), y.shape)
        where = _position(index, reference, problem)
        detail = (
            f"error {error:.3g} u|x||w| exceeds the bound {bound:.3g} for {algorithm.value}; worst at {_at(where)}:"
            f" got {y[index]:.9g}, expected {reference.y[index]:.9g}"
        )
    return DataOutcome(
        name=name,
        passed=detail is None,
        error=error,
        error_bound=bound,
        effective_bits=None
        if name in _EXTRAORDINARY
        else _effective_bits(difference, reference.magnitude, problem.dtype),
        outputs_checked=y.size,
        outputs_total=total,
        detail=detail,
        note=note,
    )


def _narrowness(name: str, error: float, problem: ConvProblem, algorithm: Algorithm) -> str | None:
    """Why results on normal data cannot come from arithmetic in the problem's own type, or None.

    The rigorous bound grows with n, but on independent zero-mean data rounding errors cancel like the terms do: in any
    order they leave about 1 u|x||w|, while inputs rounded to 11 bits leave 2**12 / sqrt(n).
    """
    if name != "normal" or algorithm in _MIXES_POSITIONS or error <= _MOST_ON_NORMAL_DATA:
        return None
    return (
        f"error {error:.3g} u|x||w| where {problem.dtype} sums of independent terms leave about 1:"
        f" the arithmetic inside is narrower than {problem.dtype}, like tf32, float16 or bfloat16"
    )


def _nan_defect(
    y: Array, reference: Reference, problem: ConvProblem, algorithm: Algorithm
) -> tuple[str | None, str | None]:
    """What is wrong with where NaN is, and what to know about it: each or neither None."""
    is_nan = np.isnan(y)
    lost = reference.is_poisoned & ~is_nan
    spread = is_nan & ~reference.is_poisoned
    if lost.any():
        where = _position(np.unravel_index(int(np.argmax(lost)), y.shape), reference, problem)
        return f"{np.count_nonzero(lost)} outputs read a NaN and are none; first at {_at(where)}", None
    if not spread.any():
        return None, None
    clean = y.size - int(np.count_nonzero(reference.is_poisoned))
    share = f"a NaN spread to {int(np.count_nonzero(spread)) / clean:.0%}"
    if algorithm in _MIXES_POSITIONS:
        return None, f"{share} of the outputs that do not read it, as {algorithm.value} does"
    where = _position(np.unravel_index(int(np.argmax(spread)), y.shape), reference, problem)
    return f"{share} of the outputs that do not read it; first at {_at(where)}", None


def _effective_bits(difference: Array, magnitude: Array, dtype: str) -> float | None:
    """-log2(max |error| / (|x| * |w|)): bits of the sum that are right. Errorless results have the dtype's own bits."""
    is_sum = magnitude > 0
    if not is_sum.any():
        return None
    worst = float((difference[is_sum] / magnitude[is_sum]).max())
    return -math.log2(worst) if worst > 0 else float(SIGNIFICAND_BITS[dtype])


def _norms(arrays: ConvArrays, problem: ConvProblem) -> Array:
    """Sum over a group's channels of |x_c| * |w_c| (2-norms), plus |b|: shape (N, C_out)."""
    channels = problem.C_in // problem.groups
    x = arrays.x.astype(np.float64).reshape(problem.N, problem.groups, channels, -1)
    weight = arrays.weight.astype(np.float64).reshape(problem.groups, -1, channels, math.prod(problem.kernel))
    x_norms, weight_norms = np.linalg.norm(x, axis=-1), np.linalg.norm(weight, axis=-1)
    norms: Array = np.einsum("ngc,goc->ngo", x_norms, weight_norms).reshape(problem.N, problem.C_out)
    return norms if arrays.bias is None else norms + np.abs(arrays.bias.astype(np.float64))


def _position(index: tuple[np.intp, ...], reference: Reference, problem: ConvProblem) -> tuple[np.intp, ...]:
    n, o, p = index
    return (n, o, *np.unravel_index(int(reference.positions[p]), problem.out))


def _at(where: tuple[np.intp, ...]) -> str:
    return f"y[{', '.join(str(int(i)) for i in where)}]"
