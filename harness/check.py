"""Judges one output against the oracle, for one kind of data, under the error model of the backend's algorithm.

Data sets see different mistakes. Small integers make every correct sum exact, so a wrong tap, border or channel shows
as a plain inequality; but they cannot see operands rounded to a shorter type. Real data can, under a bound. A NaN must
reach the outputs that read it and, where outputs are sums of products, no others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from backends import Algorithm, Array, ConvProblem
from backends.dtypes import numpy_dtype
from backends.winograd_transforms import WinogradTransform
from harness import error_model
from harness.inputs import LEAST_EXPONENT, SIGNIFICAND_BITS, ConvArrays
from harness.records import ProbeOutcome
from harness.reference import Reference

MIXES_POSITIONS = (Algorithm.FFT, Algorithm.WINOGRAD)
# At least half of the outputs of non-zero integers are not 0, whatever the kernel: two products cancel with a
# probability of 1/2 at most, longer sums less often. Samples of K outputs stay within three standard deviations.
_LEAST_NONZERO, _DEVIATIONS = 0.5, 3.0
# Bits by which errors on normal data may be larger than the worst order of summation leaves them: a factor of 8 in root
# mean square, far beyond chance even for a single output.
_BITS_OF_CHANCE = 3.0
# Errors nearly as large as the results are no matter of rounding: something else is wrong.
_LEAST_BITS = 4.0
# Transforms leave rounding errors of one size everywhere, which are large beside outputs at borders that sum few taps.
_BITS_OF_TRANSFORMS = 8.0
# Data on which each output is as large as its terms let it be. Elsewhere bits lost in one output may be another's.
_EXTRAORDINARY = ("wide range", "one-hot", "denormal", "nan", "infinity")


def judge(
    name: str,
    y: object,
    arrays: ConvArrays,
    reference: Reference,
    problem: ConvProblem,
    algorithm: Algorithm,
    transforms: Sequence[WinogradTransform | None] | None = None,
) -> ProbeOutcome:
    """Whether one output is right, and by how much it is off.

    Args:
        name: The data set: one of `inputs.DATA_SETS`, or a picture.
        y: What the backend returned, whatever that is.
        arrays: What it was given.
        reference: The truth, at all positions or some.
        problem: What is computed.
        algorithm: Which error model applies.
        transforms: Of a Winograd backend.
    """
    total = math.prod(problem.y_shape)
    defect = form_defect(y, problem, may_be_special=name in ("nan", "infinity"))
    if defect is not None:
        return ProbeOutcome(
            name=name,
            passed=False,
            error=None,
            error_bound=None,
            effective_bits=None,
            outputs_checked=0,
            outputs_total=total,
            detail=defect,
        )
    assert isinstance(y, np.ndarray)  # noqa: S101  # form_defect said so; this tells the type checker
    sampled = y.reshape(problem.N, problem.C_out, -1)[:, :, reference.positions].astype(reference.y.dtype)
    if name == "exact":
        return _judge_exact(sampled, reference, problem, algorithm, total)
    tolerance = error_model.tolerance(problem, algorithm, arrays, reference, transforms)
    return _judge_real(name, sampled, reference, problem, algorithm, tolerance, has_transforms=transforms is not None)


def form_defect(y: object, problem: ConvProblem, *, may_be_special: bool = False) -> str | None:
    """What is wrong with an output before its values are compared: kind, shape, dtype, NaN or infinity; or None."""
    if not isinstance(y, np.ndarray):
        return f"returned a {type(y).__name__}, expected a NumPy array"
    if y.shape != problem.y_shape:
        return f"returned shape {y.shape}, expected {problem.y_shape}"
    if y.dtype != numpy_dtype(problem.dtype):
        order = "" if y.dtype.isnative else " of the other byte order"
        return f"returned dtype {y.dtype.name}{order}, expected {problem.dtype}"
    if not may_be_special and not (is_finite := np.isfinite(y)).all():
        where = np.unravel_index(int(np.argmin(is_finite)), y.shape)
        return f"{_at(where)} is {y[where]}, though inputs are finite"
    return None


def zero_trust(reference: Reference) -> str | None:
    """Why equality with this reference would prove little, or None: too many outputs are zero.

    The least share is what the data keep at worst, less three standard deviations of a sample of this size.
    """
    relevant = reference.y[:, :, reference.has_input]
    if relevant.size == 0:
        return "no output reads any real input, so every implementation agrees; use less padding or a larger input"
    nonzero = int(np.count_nonzero(relevant))
    least = _LEAST_NONZERO - _DEVIATIONS * math.sqrt(_LEAST_NONZERO * (1 - _LEAST_NONZERO) / relevant.size)
    if nonzero >= max(1.0, least * relevant.size):
        return None
    return (
        f"only {nonzero} of the {relevant.size} outputs that read input are non-zero ({nonzero / relevant.size:.0%},"
        f" expected {max(0.0, least):.0%}); a wrong result could pass unseen"
    )


def _judge_exact(
    y: Array, reference: Reference, problem: ConvProblem, algorithm: Algorithm, total: int
) -> ProbeOutcome:
    """Integers must come out equal; transforms are rounded first, as their intermediate values are no integers."""
    got = np.rint(y) if algorithm in MIXES_POSITIONS else y
    is_wrong = got != reference.y
    wrong = int(np.count_nonzero(is_wrong))
    detail = None
    if wrong:
        index = np.unravel_index(int(np.argmax(is_wrong)), y.shape)
        where = _position(index, reference, problem)
        got_text, true_text = _told_apart(float(y[index]), float(reference.y[index]))
        differ = f"{wrong} of {y.size} outputs checked differ"
        detail = f"{differ}; first at {_at(where)}: got {got_text}, expected {true_text}"
    return ProbeOutcome(
        name="exact",
        passed=not wrong,
        error=float(np.abs(y - reference.y).astype(np.float64).max()),
        error_bound=0.5 if algorithm in MIXES_POSITIONS else 0.0,
        effective_bits=None,
        outputs_checked=y.size,
        outputs_total=total,
        detail=detail,
    )


def _judge_real(
    name: str,
    y: Array,
    reference: Reference,
    problem: ConvProblem,
    algorithm: Algorithm,
    tolerance: error_model.Tolerance,
    *,
    has_transforms: bool,
) -> ProbeOutcome:
    detail, note = _poison_defect(y, reference, problem, algorithm)
    # A poisoned output has been judged already; so has one that a transform spread the poison to.
    is_judged = ~(reference.is_poisoned | ~np.isfinite(y))
    difference = np.where(is_judged, np.abs(np.where(is_judged, y, 0) - reference.y), 0).astype(np.float64)
    slack = difference / tolerance.allowed
    worst = np.unravel_index(int(np.argmax(slack)), y.shape)
    if detail is None and slack[worst] > 1:
        if name == "denormal" and _is_flushed(y, reference, problem, tolerance):
            note = "numbers below the normal range come out as 0: denormals are flushed"
        else:
            detail = _excess(y, reference, problem, algorithm, difference, tolerance, worst)
    elif detail is None and note is None and name not in _EXTRAORDINARY:
        note = _unusual(difference, tolerance, algorithm)
    operand_bits = error_model.operand_bits(difference, reference.energy) if name == "normal" else None
    # What the arithmetic inside is like says more than by how much it misses a bound.
    detail = narrowness(operand_bits, problem, algorithm) or detail
    if detail is not None and algorithm is Algorithm.WINOGRAD and not has_transforms:
        detail += "; it names no transforms, so those of F(4, k) were assumed: see backends/winograd_transforms.py"
    return ProbeOutcome(
        name=name,
        passed=detail is None,
        error=_in_units(difference, tolerance, worst),
        error_bound=_in_units(tolerance.allowed, tolerance, worst),
        usual_error=_in_units(tolerance.usual, tolerance, worst),
        effective_bits=None
        if name in _EXTRAORDINARY
        else _effective_bits(difference, reference.magnitude, problem.dtype),
        operand_bits=operand_bits,
        outputs_checked=y.size,
        outputs_total=math.prod(problem.y_shape),
        detail=detail,
        note=note,
    )


def _excess(
    y: Array,
    reference: Reference,
    problem: ConvProblem,
    algorithm: Algorithm,
    difference: Array,
    tolerance: error_model.Tolerance,
    worst: tuple[np.intp, ...],
) -> str:
    """By how much the worst output is off, and where."""
    where = _at(_position(worst, reference, problem))
    if reference.magnitude[worst] == 0:
        return f"{where} is {y[worst]:.9g}, where every product is 0"
    return (
        f"error {_in_units(difference, tolerance, worst):.3g} u|x||w| exceeds the bound"
        f" {_in_units(tolerance.allowed, tolerance, worst):.3g} for {algorithm.value}; worst at {where}:"
        f" got {y[worst]:.9g}, expected {reference.y[worst]:.9g}"
    )


def narrowness(operand_bits: float | None, problem: ConvProblem, algorithm: Algorithm) -> str | None:
    """Why errors on normal data cannot come from arithmetic in the problem's own type, in plain words; or None."""
    if operand_bits is None or operand_bits < _LEAST_BITS:
        return None
    usual = error_model.usual_operand_bits(problem)
    allowed = usual - (_BITS_OF_TRANSFORMS if algorithm in MIXES_POSITIONS else _BITS_OF_CHANCE)
    if operand_bits >= allowed:
        return None
    return (
        f"labelled {problem.dtype}, computes like {_type_of(operand_bits)}: errors are those of operands rounded to"
        f" {operand_bits:.1f} bits, where {problem.dtype} keeps {usual:.1f} or more here"
    )


def _type_of(operand_bits: float) -> str:
    """The type whose significand is nearest to so many bits."""
    known = {"bfloat16": 8.0, "tf32 or float16": 11.0, "float32": 24.0}
    name, bits = min(known.items(), key=lambda item: abs(item[1] - operand_bits))
    return name if abs(bits - operand_bits) <= 1.5 else f"a type of {operand_bits:.0f} bits"


def _unusual(difference: Array, tolerance: error_model.Tolerance, algorithm: Algorithm) -> str | None:
    """A note where errors exceed what independent roundings leave, or None."""
    excess = difference / tolerance.usual
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape)
    if excess[worst] <= 1:
        return None
    return (
        f"error {_in_units(difference, tolerance, worst):.3g} u|x||w| is more than independent roundings leave"
        f" ({_in_units(tolerance.usual, tolerance, worst):.3g}), though within the bound for {algorithm.value}"
    )


def _in_units(values: Array, tolerance: error_model.Tolerance, where: tuple[np.intp, ...]) -> float:
    return float(values[where] / tolerance.unit[where])


def _is_flushed(y: Array, reference: Reference, problem: ConvProblem, tolerance: error_model.Tolerance) -> bool:
    """Whether all that is wrong is that subnormal operands or results were taken for 0."""
    smallest_normal = 2.0 ** (LEAST_EXPONENT[problem.dtype] + SIGNIFICAND_BITS[problem.dtype] - 1)
    lost = error_model.terms(problem) * smallest_normal
    is_kept = np.abs(y - reference.y) <= tolerance.allowed
    return bool((is_kept | ((np.abs(reference.y) <= lost) & (y == 0))).all())


def _poison_defect(
    y: Array, reference: Reference, problem: ConvProblem, algorithm: Algorithm
) -> tuple[str | None, str | None]:
    """What is wrong with where NaN and infinities are, and what to know about it: each or neither None."""
    is_poisoned = reference.is_poisoned
    spread = ~np.isfinite(y) & ~is_poisoned
    kind = "a NaN" if np.isnan(reference.poison).any() else "an infinity"
    pairs = problem.dtype in error_model.STORAGE_ONLY
    # NaN shows as well that an infinity was read: compensated sums make that of it. Transforms and pairs of products
    # mix it with others, which leaves not even the sign.
    is_mixed = algorithm in MIXES_POSITIONS or pairs
    lost = is_poisoned & (np.isfinite(y) if is_mixed else ~((y == reference.poison) | np.isnan(y)))
    if lost.any():
        index = np.unravel_index(int(np.argmax(lost)), y.shape)
        first = _at(_position(index, reference, problem))
        return (
            f"{np.count_nonzero(lost)} outputs read {kind} and do not show it; first at {first}:"
            f" got {y[index]:.6g}, expected {reference.poison[index]:g}"
        ), None
    if not spread.any():
        became_nan = is_poisoned & np.isnan(y) & ~np.isnan(reference.poison)
        return None, "an infinity comes out as NaN where it is read" if became_nan.any() else None
    clean = y.size - int(np.count_nonzero(is_poisoned))
    share = f"{kind} spread to {_percent(int(np.count_nonzero(spread)) / clean)} of the outputs that do not read it"
    if algorithm in MIXES_POSITIONS:
        return None, f"{share}, as {algorithm.value} does"
    if pairs:
        # Processors multiply these types in pairs, and an odd one out is paired with a zero weight: 0 * NaN is NaN.
        return None, f"{share}, as instructions do that multiply {problem.dtype} in pairs"
    where = _position(np.unravel_index(int(np.argmax(spread)), y.shape), reference, problem)
    return f"{share}; first at {_at(where)}", None


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers with as few digits, six at least, as tell them apart."""
    for digits in range(6, 18):
        texts = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts


def _percent(part: float) -> str:
    return f"{part:.0%}" if part >= 0.01 else "less than 1%"


def _effective_bits(difference: Array, magnitude: Array, dtype: str) -> float | None:
    """-log2(max |error| / (|x| * |w|)): bits of the sum that are right. Errorless results have the dtype's own bits."""
    is_sum = magnitude > 0
    if not is_sum.any():
        return None
    worst = float((difference[is_sum] / magnitude[is_sum]).max())
    return -math.log2(worst) if worst > 0 else float(SIGNIFICAND_BITS[dtype])


def _position(index: tuple[np.intp, ...], reference: Reference, problem: ConvProblem) -> tuple[np.intp, ...]:
    n, o, p = index
    return (n, o, *np.unravel_index(int(reference.positions[p]), problem.out))


def _at(where: tuple[np.intp, ...]) -> str:
    return f"y[{', '.join(str(int(i)) for i in where)}]"
