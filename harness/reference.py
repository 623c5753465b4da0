"""The oracle: convolution in float64, independent of every backend, at all or at well-chosen output positions.

It gathers the inputs of each output by explicit indices and sums them by one matrix product. Products of two float32
numbers are exact in float64, so against float32 results its own error is 2**-29 of theirs. A float64 backend is held
against 80-bit sums where the machine has them, whose error is 2**-11 of its own.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Array, ConvProblem
from harness.inputs import ConvArrays

# Multiply-adds that one oracle result may cost: about a tenth of a second on one core.
MAX_MACS = 400_000_000
# Sums in 80-bit arithmetic have no BLAS and run at a fifteenth of the speed.
_EXTENDED_COST = 15
_HAS_EXTENDED = np.finfo(np.longdouble).nmant >= 63
# Elements that may be gathered in all, as costly as the products where channels are few.
_MAX_GATHERED = 40_000_000
# Elements gathered at a time, 64 MiB of float64.
_CHUNK_ELEMENTS = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Reference:
    """True results at some output positions.

    Attributes:
        positions: Flat indices into prod(out), ascending, shape (P,).
        y: Shape (N, C_out, P), float64 or longer. NaN inputs count as 0.
        magnitude: The same sums of absolute values, |x| * |w| + |b|: what rounding errors are measured against.
        has_input: Shape (P,): whether any tap of the position reads real input.
        is_poisoned: Shape of y: whether a tap of the output reads a NaN.
    """

    positions: Array
    y: Array
    magnitude: Array
    has_input: Array
    is_poisoned: Array


def compute(problem: ConvProblem, arrays: ConvArrays, seed: int, max_macs: int = MAX_MACS) -> Reference:
    """The reference at every output position if that costs at most max_macs, else at borders, corners and a sample."""
    long_type = accumulator(problem.dtype)
    cost = 1 if long_type is np.float64 else _EXTENDED_COST
    positions = output_positions(problem, seed, max_macs // cost)
    terms = _Terms(problem, arrays, long_type)
    y = np.empty((problem.N, problem.C_out, positions.size), long_type)
    magnitude = np.empty(y.shape)
    is_poisoned = np.zeros(y.shape, dtype=bool)
    has_input = np.empty(positions.size, dtype=bool)
    step = max(1, _CHUNK_ELEMENTS // (problem.N * problem.C_in * math.prod(problem.kernel)))
    for first in range(0, positions.size, step):
        part = slice(first, first + step)
        y[:, :, part], magnitude[:, :, part], is_poisoned[:, :, part], has_input[part] = terms.sums(positions[part])
    if arrays.bias is not None:
        bias = arrays.bias.astype(np.float64)
        y += bias[:, None]
        magnitude += np.abs(bias)[:, None]
    return Reference(positions=positions, y=y, magnitude=magnitude, has_input=has_input, is_poisoned=is_poisoned)


def accumulator(dtype: str) -> type[np.floating[Any]]:
    """What sums for a problem of this dtype are accumulated in."""
    return np.longdouble if dtype == "float64" and _HAS_EXTENDED else np.float64


def unit_roundoff(dtype: str) -> float:
    """Largest relative error of one rounding in the oracle's sums for a problem of this dtype."""
    return float(np.finfo(accumulator(dtype)).eps) / 2


def convolve(problem: ConvProblem, arrays: ConvArrays) -> Array:
    """The whole float64 result, shape (N, C_out, *out), whatever it costs."""
    unlimited = MAX_MACS * problem.macs_nominal * _EXTENDED_COST
    return compute(problem, arrays, seed=0, max_macs=unlimited).y.reshape(problem.y_shape).astype(np.float64)


def output_positions(problem: ConvProblem, seed: int, max_macs: int) -> Array:
    """Flat output positions to check: all, or every corner, the borders, and a random sample of the rest.

    A position costs N * C_out * accumulation_length multiply-adds. Where not even the border fits, it is sampled with
    the same care as the interior: half of the allowance each. The corners always stay.
    """
    total = math.prod(problem.out)
    by_products = max_macs // (problem.N * problem.C_out * problem.accumulation_length)
    by_gathering = _MAX_GATHERED * max_macs // (MAX_MACS * problem.N * problem.C_in * math.prod(problem.kernel))
    allowance = max(2**problem.ndim, min(by_products, by_gathering))
    if total <= allowance:
        return np.arange(total)
    rng = np.random.default_rng([seed, total])
    ends = [sorted({0, size - 1}) for size in problem.out]
    corners = np.ravel_multi_index(np.array(list(itertools.product(*ends))).T, problem.out)
    border = _border_positions(problem)
    if border.size > allowance // 2:
        border = rng.choice(border, allowance // 2, replace=False)
    interior = rng.integers(0, total, max(0, allowance - border.size))
    return np.unique(np.concatenate([corners, border, interior]))


def _border_positions(problem: ConvProblem) -> Array:
    """Positions first or last along some axis."""
    border = []
    for axis, size in enumerate(problem.out):
        for end in sorted({0, size - 1}):
            axes = [np.array([end]) if a == axis else np.arange(n) for a, n in enumerate(problem.out)]
            grid = np.meshgrid(*axes, indexing="ij")
            border.append(np.ravel_multi_index(tuple(g.ravel() for g in grid), problem.out))
    return np.unique(np.concatenate(border))


class _Terms:
    """The terms of each output's sum: a problem's arrays with the channels of each group on an axis of their own."""

    def __init__(self, problem: ConvProblem, arrays: ConvArrays, long_type: type[np.floating[Any]]) -> None:
        self._problem = problem
        self._long_type = long_type
        self._channels = problem.C_in // problem.groups
        grouped = (problem.N, problem.groups, self._channels, -1)
        is_nan = np.isnan(arrays.x)
        self._x = np.where(is_nan, 0, arrays.x).astype(np.float64).reshape(grouped)
        self._is_nan = is_nan.astype(np.float64).reshape(grouped) if is_nan.any() else None
        self._weight = arrays.weight.astype(np.float64).reshape(
            problem.groups, -1, self._channels, math.prod(problem.kernel)
        )

    def sums(self, positions: Array) -> tuple[Array, Array, Array, Array]:
        """Sum, sum of magnitudes and whether a NaN is read, (N, C_out, P) each; and has_input, (P,).

        Channels are taken in blocks, so that one position of a very large kernel fits as well.
        """
        problem = self._problem
        flat, is_inside = _input_indices(problem, positions)
        shape = (problem.N, problem.C_out, positions.size)
        y, magnitude, nans = np.zeros(shape, self._long_type), np.zeros(shape), np.zeros(shape)
        block = max(1, _CHUNK_ELEMENTS // (problem.N * problem.groups * flat.size))
        for first in range(0, self._channels, block):
            some = slice(first, first + block)
            fields = self._x[:, :, some, flat]
            fields *= is_inside
            weight = self._weight[:, :, some]
            y += _products(fields.astype(self._long_type), weight.astype(self._long_type)).reshape(shape)
            magnitude += _products(np.abs(fields, out=fields), np.abs(weight)).reshape(shape)
            if self._is_nan is not None:
                nans += _products(self._is_nan[:, :, some, flat] * is_inside, np.ones_like(weight)).reshape(shape)
        return y, magnitude, nans > 0, np.asarray(is_inside.any(axis=1))


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
