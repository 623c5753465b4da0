"""The oracle: convolution in float64, independent of every backend, at all or at well-chosen output positions.

It gathers the inputs of each output by explicit indices and sums them by one matrix product. Products of two float32
numbers are exact in float64, so against float32 results its own error is 2**-29 of theirs. A float64 backend is held
against 80-bit sums where the machine has them, whose error is 2**-11 of its own.

The oracle is not trusted blindly either: `verify` recomputes a few of its outputs another way, without any rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Array, ConvProblem
from harness.inputs import ConvArrays, middle_pixel

# Multiply-adds that one oracle result may cost: about a tenth of a second on one core.
MAX_MACS = 400_000_000
# Sums in 80-bit arithmetic have no BLAS and run at a fifteenth of the speed.
_EXTENDED_COST = 15
_HAS_EXTENDED = np.finfo(np.longdouble).nmant >= 63
# Elements that may be gathered in all, as costly as the products where channels are few.
_MAX_GATHERED = 40_000_000
# Elements gathered at a time, 64 MiB of float64.
_CHUNK_ELEMENTS = 8 << 20
# Blocked kernels change tiles at multiples of these; the positions on both sides of such a seam are looked at.
_SEAM_EVERY = 16
# Outputs that `verify` recomputes, and the longest sums it takes on: summing without rounding runs in plain Python.
_VERIFIED = 3
_LONGEST_VERIFIED = 200_000
# Splits a float64 into two halves whose products are exact: 2**27 + 1 (Dekker 1971).
_SPLITTER = 134217729.0


class OracleDefect(Exception):
    """The oracle contradicts exact arithmetic: nothing can be checked, and a bug of ours must be mended."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """True results at some output positions.

    Attributes:
        positions: Flat indices into prod(out), ascending, shape (P,).
        y: Shape (N, C_out, P), float64 or longer. NaN and infinite inputs count as 0.
        magnitude: The same sums of absolute values, |x| * |w| + |b|: what rounding errors are measured against.
        energy: The same sums of squares: the variance that independent relative errors of the products add up to.
        has_input: Shape (P,): whether any tap of the position reads real input.
        poison: Shape of y: NaN or an infinity where a tap of the output reads one, else 0.
    """

    positions: Array
    y: Array
    magnitude: Array
    energy: Array
    has_input: Array
    poison: Array

    @property
    def is_poisoned(self) -> Array:
        """Shape of y: whether a tap of the output reads a NaN or an infinity."""
        return np.asarray(self.poison != 0)


def compute(problem: ConvProblem, arrays: ConvArrays, seed: int, max_macs: int = MAX_MACS) -> Reference:
    """The reference at every output position if that costs at most max_macs, else where faults show and at random.

    Raises:
        OracleDefect: Outputs recomputed without rounding disagree.
    """
    long_type = accumulator(problem.dtype)
    cost = 1 if long_type is np.float64 else _EXTENDED_COST
    positions = output_positions(problem, seed, max_macs // cost)
    terms = _Terms(problem, arrays, long_type)
    y = np.empty((problem.N, problem.C_out, positions.size), long_type)
    magnitude, energy, poison = np.empty(y.shape), np.empty(y.shape), np.zeros(y.shape)
    has_input = np.empty(positions.size, dtype=bool)
    step = max(1, _CHUNK_ELEMENTS // (problem.N * problem.C_in * math.prod(problem.kernel)))
    for first in range(0, positions.size, step):
        part = slice(first, first + step)
        sums = terms.sums(positions[part])
        y[:, :, part], magnitude[:, :, part], energy[:, :, part] = sums.y, sums.magnitude, sums.energy
        poison[:, :, part], has_input[part] = sums.poison, sums.has_input
    if arrays.bias is not None:
        bias = arrays.bias.astype(np.float64)[:, None]
        y += bias
        magnitude += np.abs(bias)
        energy += np.square(bias)
    found = Reference(positions=positions, y=y, magnitude=magnitude, energy=energy, has_input=has_input, poison=poison)
    verify(problem, arrays, found, seed)
    return found


def verify(problem: ConvProblem, arrays: ConvArrays, reference: Reference, seed: int) -> None:
    """Recompute a few outputs by windows cut from the input and sums without any rounding.

    Every product of two float64 numbers is the exact sum of two others, and `math.fsum` rounds the sum of all of them
    once, so what it is held against is the true value, rounded to float64.

    Raises:
        OracleDefect: An output differs by more than the oracle's own rounding allows.
    """
    n = problem.accumulation_length + problem.bias
    if n > _LONGEST_VERIFIED:
        return
    rng = np.random.default_rng([seed, n])
    allowance = (n + 2) * (unit_roundoff(problem.dtype) + 2.0**-53)
    # Products of subnormal float64 numbers are not split exactly.
    underflow = n * 2.0**-1073
    for _ in range(_VERIFIED):
        image, channel, place = (int(rng.integers(size)) for size in reference.y.shape)
        if reference.poison[image, channel, place] != 0:
            continue
        position = np.unravel_index(int(reference.positions[place]), problem.out)
        true = _exact_sum(problem, arrays, image, channel, tuple(map(int, position)))
        got, magnitude = float(reference.y[image, channel, place]), float(reference.magnitude[image, channel, place])
        if not abs(got - true) <= allowance * magnitude + underflow:
            raise OracleDefect(
                f"the reference says {got!r} for y[{image}, {channel}, {', '.join(map(str, position))}] of {problem},"
                f" exact arithmetic {true!r}; please report this line"
            )


def _exact_sum(problem: ConvProblem, arrays: ConvArrays, image: int, channel: int, position: tuple[int, ...]) -> float:
    """One output, correctly rounded, from the window of the input that it reads."""
    read, used = [], []
    for axis, at in enumerate(position):
        start = at * problem.stride[axis] - problem.padding[axis][0]
        indices = range(start, start + problem.kernel[axis] * problem.dilation[axis], problem.dilation[axis])
        taps = [tap for tap, index in enumerate(indices) if 0 <= index < problem.spatial[axis]]
        used.append(taps)
        read.append([indices[tap] for tap in taps])
    per_group = problem.C_in // problem.groups
    first = channel // (problem.C_out // problem.groups) * per_group
    window = arrays.x[image, first : first + per_group][np.ix_(range(per_group), *read)].astype(np.float64)
    weight = arrays.weight[channel][np.ix_(range(per_group), *used)].astype(np.float64)
    high = window * weight
    terms = np.concatenate([high.ravel(), _product_errors(window, weight, high).ravel()])
    bias = 0.0 if arrays.bias is None else float(arrays.bias[channel])
    return math.fsum([*terms.tolist(), bias])


def _product_errors(a: Array, b: Array, product: Array) -> Array:
    """What the rounded products lack, exactly (Dekker 1971, "A floating-point technique for extending precision")."""
    scaled_a, scaled_b = _SPLITTER * a, _SPLITTER * b
    a_high = scaled_a - (scaled_a - a)
    b_high = scaled_b - (scaled_b - b)
    a_low, b_low = a - a_high, b - b_high
    return np.asarray(((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)


def accumulator(dtype: str) -> type[np.floating[Any]]:
    """What sums for a problem of this dtype are accumulated in."""
    return np.longdouble if dtype == "float64" and _HAS_EXTENDED else np.float64


def unit_roundoff(dtype: str) -> float:
    """Largest relative error of one rounding in the oracle's sums for a problem of this dtype."""
    return float(np.finfo(accumulator(dtype)).eps) / 2


def convolve(problem: ConvProblem, arrays: ConvArrays) -> Array:
    """The whole float64 result, shape (N, C_out, *out), NaN and infinities included, whatever it costs."""
    unlimited = MAX_MACS * problem.macs_nominal * _EXTENDED_COST
    found = compute(problem, arrays, seed=0, max_macs=unlimited)
    return np.where(found.is_poisoned, found.poison, found.y).astype(np.float64).reshape(problem.y_shape)


def output_positions(problem: ConvProblem, seed: int, max_macs: int) -> Array:
    """Flat output positions to check: all, or those where faults show and a random sample of the rest.

    A position costs N * C_out * accumulation_length multiply-adds. First come the corners, which always stay, then what
    reads the middle pixel (where data sets put a NaN or an infinity), the crossings of tile seams and the border; each
    of these may take up to a quarter of the allowance, at random where it has more, and the sample takes what is left.
    """
    total, allowance = math.prod(problem.out), most_positions(problem, max_macs)
    if total <= allowance:
        return np.arange(total)
    rng = np.random.default_rng([seed, total])
    corners = _crossings(problem, [np.array(sorted({0, size - 1})) for size in problem.out])
    seams = _crossings(problem, [_seams(size) for size in problem.out])
    kinds = (_middle_readers(problem), seams, _border_positions(problem))
    chosen = [corners, *(_at_most(allowance // 4, positions, rng) for positions in kinds)]
    chosen.append(rng.integers(0, total, max(0, allowance - sum(map(len, chosen)))))
    return np.unique(np.concatenate(chosen))


def most_positions(problem: ConvProblem, max_macs: int) -> int:
    """How many output positions are checked at most by what they cost, and no more than there are."""
    by_products = max_macs // (problem.N * problem.C_out * problem.accumulation_length)
    by_gathering = _MAX_GATHERED * max_macs // (MAX_MACS * problem.N * problem.C_in * math.prod(problem.kernel))
    allowed: int = max(2**problem.ndim, min(by_products, by_gathering))
    return min(math.prod(problem.out), allowed)


def numbers_kept(problem: ConvProblem) -> int:
    """How many outputs a reference of this problem has, at most: each of its fields holds so many numbers."""
    cost = 1 if accumulator(problem.dtype) is np.float64 else _EXTENDED_COST
    return problem.N * problem.C_out * most_positions(problem, MAX_MACS // cost)


def _at_most(count: int, positions: Array, rng: np.random.Generator) -> Array:
    return positions if positions.size <= count else np.asarray(rng.choice(positions, count, replace=False))


def _crossings(problem: ConvProblem, along: list[Array]) -> Array:
    """Flat positions whose coordinate on every axis is one of those given for it."""
    grid = np.meshgrid(*along, indexing="ij")
    return np.ravel_multi_index(tuple(g.ravel() for g in grid), problem.out)


def _seams(size: int) -> Array:
    """The ends of an axis, and both sides of where tiles may meet."""
    starts = np.arange(0, size, _SEAM_EVERY)
    return np.unique(np.concatenate([[0, size - 1], starts, starts[1:] - 1]).astype(np.int64))


def _middle_readers(problem: ConvProblem) -> Array:
    """Positions some tap of which reads the middle pixel."""
    along = []
    for axis, pixel in enumerate(middle_pixel(problem)):
        first = pixel + problem.padding[axis][0] - np.arange(problem.kernel[axis]) * problem.dilation[axis]
        at, remainder = np.divmod(first, problem.stride[axis])
        along.append(np.unique(at[(remainder == 0) & (at >= 0) & (at < problem.out[axis])]))
    return _crossings(problem, along)


def _border_positions(problem: ConvProblem) -> Array:
    """Positions first or last along some axis."""
    border = []
    for axis, size in enumerate(problem.out):
        for end in sorted({0, size - 1}):
            axes = [np.array([end]) if a == axis else np.arange(n) for a, n in enumerate(problem.out)]
            grid = np.meshgrid(*axes, indexing="ij")
            border.append(np.ravel_multi_index(tuple(g.ravel() for g in grid), problem.out))
    return np.unique(np.concatenate(border))


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """The fields of a Reference for some positions, without the bias."""

    y: Array
    magnitude: Array
    energy: Array
    poison: Array
    has_input: Array


class _Terms:
    """The terms of each output's sum: a problem's arrays with the channels of each group on an axis of their own."""

    def __init__(self, problem: ConvProblem, arrays: ConvArrays, long_type: type[np.floating[Any]]) -> None:
        self._problem = problem
        self._long_type = long_type
        self._channels = problem.C_in // problem.groups
        # In their own type: what is gathered is made long, and whole arrays may be gigabytes.
        self._x = arrays.x.reshape(problem.N, problem.groups, self._channels, -1)
        self._weight = arrays.weight.reshape(problem.groups, -1, self._channels, math.prod(problem.kernel))
        self._is_poisoned = not np.isfinite(arrays.x).all()

    def sums(self, positions: Array) -> _Sums:
        """All sums at these positions.

        Channels are taken in blocks, so that one position of a very large kernel fits as well.
        """
        problem = self._problem
        flat, is_inside = _input_indices(problem, positions)
        shape = (problem.N, problem.C_out, positions.size)
        y, magnitude, energy, poison = np.zeros(shape, self._long_type), *(np.zeros(shape) for _ in range(3))
        block = max(1, _CHUNK_ELEMENTS // (problem.N * problem.groups * flat.size))
        for first in range(0, self._channels, block):
            some = slice(first, first + block)
            fields = self._x[:, :, some, flat].astype(np.float64)
            weight = self._weight[:, :, some].astype(np.float64)
            if self._is_poisoned:
                is_finite = np.isfinite(fields)
                spoilt = np.where(is_finite | ~is_inside, 0, fields)
                poison += _poison_sums(spoilt, weight).reshape(shape)
                fields = np.where(is_finite, fields, 0)
            fields *= is_inside
            y += _products(fields.astype(self._long_type), weight.astype(self._long_type)).reshape(shape)
            magnitude += _products(np.abs(fields, out=fields), np.abs(weight)).reshape(shape)
            energy += _products(np.square(fields, out=fields), np.square(weight)).reshape(shape)
        return _Sums(
            y=y, magnitude=magnitude, energy=energy, poison=poison, has_input=np.asarray(is_inside.any(axis=1))
        )


def _input_indices(problem: ConvProblem, positions: Array) -> tuple[Array, Array]:
    """Flat input index that each position's each tap reads, (P, taps), and whether it is real input, not padding."""
    output = np.unravel_index(positions, problem.out)
    tap = np.unravel_index(np.arange(math.prod(problem.kernel)), problem.kernel)
    is_inside = np.ones((positions.size, tap[0].size), dtype=bool)
    flat = np.zeros_like(is_inside, dtype=np.int64)
    for axis, size in enumerate(problem.spatial):
        index = (
            output[axis][:, None] * problem.stride[axis]
            - problem.padding[axis][0]
            + tap[axis][None, :] * problem.dilation[axis]
        )
        is_inside &= (index >= 0) & (index < size)
        flat = flat * size + np.clip(index, 0, size - 1)
    return flat, is_inside


def _products(fields: Array, weight: Array) -> Array:
    """Fields (N, groups, channels, P, taps) times weight (groups, C_out / groups, channels, taps), summed over both."""
    N, groups, channels, P, taps = fields.shape
    columns = fields.transpose(0, 1, 2, 4, 3).reshape(N, groups, channels * taps, P)
    sums: Array = np.matmul(weight.reshape(groups, -1, channels * taps), columns)
    return sums


def _poison_sums(fields: Array, weight: Array) -> Array:
    """What NaN and infinities among the fields make of each sum, 0 where none is read."""
    reads_nan = _products(np.isnan(fields).astype(np.float64), np.ones_like(weight)) > 0
    upward, downward = (np.isposinf(fields).astype(np.float64), np.isneginf(fields).astype(np.float64))
    # An infinity times a positive weight keeps its sign, times a negative one changes it, times 0 is NaN.
    plus = _products(upward, (weight > 0) * 1.0) + _products(downward, (weight < 0) * 1.0)
    minus = _products(upward, (weight < 0) * 1.0) + _products(downward, (weight > 0) * 1.0)
    zeroed = _products(upward + downward, (weight == 0) * 1.0)
    is_nan = reads_nan | (zeroed > 0) | ((plus > 0) & (minus > 0))
    sums: Array = np.where(is_nan, np.nan, np.where(plus > 0, np.inf, np.where(minus > 0, -np.inf, 0)))
    return sums
