"""What wrong outputs have in common, read off their values and how these differ from the true ones.

A symptom is a function from a wrong result to a sentence, or None. Of each table, the first that fits is to be stated:
`TELLING` ones leave no mistake to look for; `LOST` ones say that sums were replaced by something else; `OTHERS` are
what can be said where no known mistake explains the result.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from backends import Array
from harness.diagnosis.misreadings import AXES, NARROW_TYPES, with_shortened
from harness.diagnosis.mistakes import convolve
from harness.diagnosis.wrong_result import WrongResult, is_close, is_integer
from harness.inputs import LEAST_EXPONENT, SIGNIFICAND_BITS

# One value fits any free parameter and two may by accident, so a claim that has one needs this many wrong outputs.
MIN_EVIDENCE = 3
# Outputs whose last bits, so many in all, are zero do not have them so by accident.
_LOST_BITS = 20
# No type that convolutions are summed in has fewer significant bits than bfloat16.
_SHORTEST_TYPE = 8
# A mistake in counting terms may double a sum or multiply it by the taps; what is larger by this never was a sum.
_HUGE = 1000
# Lists longer than this are cut off.
_MOST_LISTED = 8
_FOREIGN = "never written, or computed from memory outside the inputs"
# A ratio this near to a fraction is meant to be it; denominators are counts of taps or channels.
_RATIO_TOLERANCE = 1e-5
_LARGEST_DENOMINATOR = 100


def _not_finite(result: WrongResult) -> str | None:
    found = ~np.isfinite(result.got)
    if not found.any() or not np.isfinite(result.arrays.x).all():
        return None
    count, is_nan = int(np.count_nonzero(found)), bool(np.isnan(result.got[found]).any())
    are = f"{'is' if count == 1 else 'are'} {'NaN' if is_nan else 'infinite'}"
    overflow = "" if is_nan else ", or too large for a type in between"
    return f"{count} of {found.size} outputs {are} though every input is finite: {_FOREIGN}{overflow}"


def _nothing_but_zero(result: WrongResult) -> str | None:
    return None if result.got.any() else _zero(result)


def _nothing_but_bias(result: WrongResult) -> str | None:
    return _bias_alone(result) if result.agrees(np.broadcast_to(result.bias, result.got.shape)).all() else None


def _flushed(result: WrongResult) -> str | None:
    is_zero = result.got == 0
    lost, kept = (np.abs(result.truth[where]) for where in (is_zero, ~is_zero))
    is_flush = min(result.wrong, kept.size) >= MIN_EVIDENCE and is_zero[result.is_wrong].all()
    if not is_flush or not lost.max() < kept.min():
        return None
    return f"small results come out as zero: all that are up to {lost.max():.2g} in magnitude, and no others"


def _clipped(result: WrongResult) -> str | None:
    is_zero = result.got == 0
    is_clip = is_zero[result.is_wrong].all() and (result.truth[result.is_wrong] < 0).all() and (result.got >= 0).all()
    if not is_clip or result.wrong < MIN_EVIDENCE or is_zero.all():
        return None
    return "negative results come out as zero, as after a fused ReLU"


def _zero(result: WrongResult) -> str | None:
    if result.got[result.is_wrong].any():
        return None
    is_denormal = np.abs(result.truth[result.is_wrong]).max() < _smallest_normal(result)
    return f"{_subject(result, result.got == 0)} zero{', for numbers below the normal range' if is_denormal else ''}"


def _bias_alone(result: WrongResult) -> str | None:
    is_bias = result.agrees(np.broadcast_to(result.bias, result.got.shape))
    if result.arrays.bias is None or result.wrong < MIN_EVIDENCE or not is_bias[result.is_wrong].all():
        return None
    return f"{_subject(result, is_bias)} the bias alone, as for an input of zeros"


def _special_lost(result: WrongResult) -> str | None:
    lost = result.is_wrong & ~np.isfinite(result.truth)
    if not lost.any():
        return None
    is_negative = (result.got[lost] == -result.truth[lost]).all()
    what = "have its sign wrong" if is_negative else "do not show it"
    return f"{int(np.count_nonzero(lost))} of the outputs that read {_special(result)} {what}"


def _special_spread(result: WrongResult) -> str | None:
    spread = int(np.count_nonzero(result.is_wrong & ~np.isfinite(result.got)))
    return f"{_special(result)} spreads to {spread} of the outputs that do not read it" if spread else None


def _short(result: WrongResult) -> str | None:
    for but, base in _bases(result).items():
        got, truth = result.got - base, result.truth - base
        bits = _significant_bits(got)
        is_short = _SHORTEST_TYPE <= bits < _significant_bits(truth)
        if not is_short or _lost_bits(result, got, bits) < _LOST_BITS:
            continue
        words = f"{bits} significant bits" + (f", {NARROW_TYPES[bits]}" if bits in NARROW_TYPES else "") + but
        half_unit = np.ldexp(0.5, np.frexp(got)[1] - bits) + result.tolerance
        error = np.abs(got - truth)
        if (error <= half_unit).all():
            return f"every output is the right one rounded to {words}"
        short = with_shortened(result.arrays, bits)
        if not but and (np.abs(got - convolve(result.problem, short)) <= half_unit).all():
            return f"every output is the right one for rounded inputs, rounded again: each to {words}"
        # Each of n partial sums loses up to half a unit of the largest.
        if (error <= result.problem.accumulation_length * 2.0**-bits * result.largest).all():
            return f"every output has only {words}, and the last of them wrong: sums are accumulated in such a type"
    return None


def _lost_bits(result: WrongResult, got: Array, bits: int) -> float:
    """How many bits the outputs could have, and do not have, beyond so many; integers have none below 1."""
    could_have = np.full(got.shape, SIGNIFICAND_BITS[result.problem.dtype])
    if is_integer(result.truth).all():
        could_have = np.minimum(np.frexp(got)[1], could_have)
    return float(np.maximum(could_have - bits, 0).sum())


def _in_other_order(result: WrongResult) -> str | None:
    bases = _bases(result)
    for axis, noun, but in ((0, "image", ""), *((1, "output channel", but) for but in bases)):
        got, truth = (np.moveaxis(array - bases[but], axis, 0) for array in (result.got, result.truth))
        sources = [_source(index, got, truth, result.tolerance) for index in range(len(got))]
        moved = [index for index, source in enumerate(sources) if source != index]
        if None in sources or not moved or result.wrong < MIN_EVIDENCE:
            continue
        if len(moved) == 1:
            return f"{noun} {moved[0]} holds what belongs to {noun} {sources[moved[0]]}{but}"
        listed = ", ".join(map(str, sources[:_MOST_LISTED])) + (", ..." if len(sources) > _MOST_LISTED else "")
        return f"the {noun}s hold, in turn, what belongs to {noun}s {listed}{but}"
    return None


def _source(index: int, got: Array, truth: Array, tolerance: float) -> int | None:
    """Which true slice one slice of the result is, itself if it can be; None if it is none."""
    agrees = np.array([is_close(got[index], other, tolerance).all() for other in truth])
    return index if agrees[index] else int(np.argmax(agrees)) if agrees.any() else None


def _shifted(result: WrongResult) -> str | None:
    arrays = (result.got, result.truth, result.is_wrong)
    directions = {f"along the {name}": axis for axis, name in enumerate(AXES[result.problem.ndim], start=2)}
    # What is shifted in memory is so along the last axis too, but for its ends.
    rows = {"in memory": None} if result.got[..., 0].size > 1 else {}
    for direction, axis in (rows | directions).items():
        got, truth, is_wrong = (a.reshape(-1) if axis is None else np.moveaxis(a, axis, 0) for a in arrays)
        for side, ours, theirs in (("before", slice(1, None), slice(-1)), ("behind", slice(-1), slice(1, None))):
            is_moved = is_close(got[ours], truth[theirs], result.tolerance).all()
            if is_moved and np.count_nonzero(is_wrong[ours]) >= MIN_EVIDENCE:
                return f"each output holds what belongs one place {side} it {direction}"
    return None


def _scaled(result: WrongResult) -> str | None:
    for but, base in _bases(result).items():
        got, truth = ((array - base)[result.is_wrong] for array in (result.got, result.truth))
        if result.wrong < MIN_EVIDENCE or np.unique(np.abs(truth)).size < 2:
            continue
        largest = int(np.argmax(np.abs(truth)))
        ratio = float(got[largest] / truth[largest])
        if is_close(got, ratio * truth, result.tolerance * max(1, abs(ratio))).all():
            text = "the negative of" if ratio == -1 else f"{_ratio_text(ratio)} times"
            return f"{_subject(result)} {text} what they should be{but}"
    return None


def _offset(result: WrongResult) -> str | None:
    offset = _common_value((result.got - result.truth)[result.is_wrong], 2 * result.tolerance)
    if offset is None or result.wrong < MIN_EVIDENCE:
        return None
    return f"{_subject(result)} too {'large' if offset > 0 else 'small'} by {abs(offset):.6g}"


def _offset_by_channel(result: WrongResult) -> str | None:
    offsets = []
    for channel in range(result.problem.C_out):
        is_wrong = result.is_wrong[:, channel]
        differences = (result.got - result.truth)[:, channel][is_wrong]
        offset = _common_value(differences, 2 * result.tolerance) if differences.size else 0.0
        # An offset is the same in all of a channel.
        if offset is None or differences.size not in (0, is_wrong.size) or is_wrong.size < MIN_EVIDENCE:
            return None
        offsets.append(f"{offset:.6g}")
    listed = ", ".join(offsets[:_MOST_LISTED]) + (", ..." if len(offsets) > _MOST_LISTED else "")
    return f"each output channel is off by a number of its own ({listed}), as with another bias"


def _one_value(result: WrongResult) -> str | None:
    value = _common_value(result.got[result.is_wrong], 0.0)
    if value is None or result.wrong < MIN_EVIDENCE:
        return None
    return f"{_subject(result, result.got == value)} {value:.6g}"


def _out_of_range(result: WrongResult) -> str | None:
    got, magnitude = result.got[result.is_wrong], np.abs(result.got[result.is_wrong])
    kinds = {
        "far larger than any sum of these products": (magnitude > _HUGE * result.largest) & (result.largest > 0),
        "below the normal range": (got != 0) & (magnitude < _smallest_normal(result)) & (result.largest >= 1),
    }
    for kind, found in kinds.items():
        if found.any() and not result.is_wrong.all():
            return f"{got[found][0]:.6g} among the wrong outputs is {kind}: {_FOREIGN}"
    return None


def _no_integer(result: WrongResult) -> str | None:
    found = result.is_wrong & ~is_integer(result.got)
    if result.tolerance > 0 or not found.any():
        return None
    return f"{result.got[found][0]:.6g} among the wrong outputs is no sum of integers: {_FOREIGN}"


def _bases(result: WrongResult) -> dict[str, Array]:
    """What may have been added last to what has the symptom, with the words for it."""
    nothing = {"": np.zeros_like(result.bias)}
    return nothing | ({} if result.arrays.bias is None else {", but for the bias": result.bias})


def _special(result: WrongResult) -> str:
    return "the NaN in the input" if np.isnan(result.arrays.x).any() else "the infinity in the input"


def _smallest_normal(result: WrongResult) -> float:
    dtype = result.problem.dtype
    return 2.0 ** (LEAST_EXPONENT[dtype] + SIGNIFICAND_BITS[dtype] - 1)


def _subject(result: WrongResult, alike: Array | None = None) -> str:
    """Who has the symptom, up to the verb; all outputs if even the right ones have it."""
    if result.is_wrong.all() or (alike is not None and alike.all()):
        return "all outputs are" if result.got.size > 1 else "the only output is"
    return f"all {result.wrong} wrong outputs are" if result.wrong > 1 else "the wrong output is"


def _significant_bits(values: Array) -> int:
    """The least number of bits that all finite values fit into."""
    mantissa = np.frexp(values[np.isfinite(values) & (values != 0)])[0]
    units = np.ldexp(mantissa, 53).astype(np.int64)
    return int(53 - np.log2((units & -units).astype(np.float64)).min()) if units.size else 0


def _common_value(values: Array, tolerance: float) -> float | None:
    middle = float(np.median(values))
    return middle if np.isfinite(middle) and (np.abs(values - middle) <= tolerance).all() else None


def _ratio_text(ratio: float) -> str:
    """The fraction of least denominator that the ratio is near to, or its digits."""
    fractions = (Fraction(round(ratio * below), below) for below in range(1, _LARGEST_DENOMINATOR))
    near = (str(fraction) for fraction in fractions if abs(fraction - ratio) <= _RATIO_TOLERANCE * abs(ratio))
    return next(near, f"{ratio:.6g}")


Symptom = Callable[[WrongResult], str | None]
TELLING: tuple[Symptom, ...] = (_not_finite, _nothing_but_zero, _nothing_but_bias)
LOST: tuple[Symptom, ...] = (_special_lost, _special_spread, _flushed, _clipped, _zero, _bias_alone)
OTHERS: tuple[Symptom, ...] = (
    _out_of_range,
    _short,
    _in_other_order,
    _shifted,
    _scaled,
    _offset,
    _offset_by_channel,
    _no_integer,
    _one_value,
)
