"""Winograd convolution in NumPy, as plain as it gets, and the same with one known fault each.

Loaded by spec: `winograd:WinogradBackend`, `winograd:WinogradBackend[m=4]`. All arithmetic is in the problem's dtype.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from backends import HOST, Algorithm, Array, ConvCall, ConvProblem
from backends.errors import BackendSpecError
from backends.lowering import pad_spatial, require_weights
from backends.protocol import dtype_reason
from backends.spec import spec_text
from backends.winograd_transforms import F2, F4, WinogradTransform

TRANSFORMS = {2: F2, 4: F4}


class Matrices(NamedTuple):
    """What one axis is computed by: a transform's matrices in the arithmetic's own dtype."""

    A_T: Array
    G: Array
    B_T: Array


class WinogradBackend:
    """F(m, 3) on the last one or two axes; a third axis before them is summed directly.

    Args:
        m: Outputs a tile along each transformed axis, 2 or 4.
    """

    algorithm = Algorithm.WINOGRAD
    device = HOST

    def __init__(self, *, m: int = 2) -> None:
        if m not in TRANSFORMS:
            raise BackendSpecError(f"{type(self).__name__}: m={m!r}; use 2 or 4")
        self._transform = TRANSFORMS[m]
        self.name = spec_text(f"winograd:{type(self).__name__}", **({} if m == 2 else {"m": m}))

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        for what, sizes, only in (
            ("kernel", problem.kernel, 3),
            ("stride", problem.stride, 1),
            ("dilation", problem.dilation, 1),
        ):
            if set(sizes[-2:]) != {only}:
                return f"{what}={sizes[-2:]} on the last axes is not implemented; it computes {only}"
        return dtype_reason(problem)

    def transforms(self, problem: ConvProblem) -> tuple[WinogradTransform | None, ...]:
        return (*[None] * (problem.ndim - 2), *[self._transform] * min(2, problem.ndim))

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        require_weights(weight, bias, problem)
        matrices = self.matrices(problem)

        def call(x: Array) -> Array:
            y = self.convolve(problem, x, weight, matrices)
            return y if bias is None else y + bias.reshape(-1, *(1,) * problem.ndim)

        return call

    # ---- What a fault replaces

    def matrices(self, problem: ConvProblem) -> list[Matrices]:
        """Of the transformed axes."""
        chosen = [transform for transform in self.transforms(problem) if transform is not None]
        return [Matrices(*(matrix.astype(problem.dtype) for matrix in (t.A_T, t.G, t.B_T))) for t in chosen]

    def along(self, matrix: Array, array: Array, axis: int) -> Array:
        """The matrix applied along one axis."""
        return np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)

    def tile_count(self, out: int, m: int) -> int:
        """How many tiles of m outputs are computed along one axis."""
        return math.ceil(out / m)

    # ---- The algorithm

    def convolve(self, problem: ConvProblem, x: Array, weight: Array, matrices: Sequence[Matrices]) -> Array:
        """The outputs without bias."""
        axes = range(-len(matrices), 0)
        m, n = [len(axis.A_T) for axis in matrices], [len(axis.B_T) for axis in matrices]
        counts = [self.tile_count(out, size) for out, size in zip(problem.out[-len(matrices) :], m, strict=True)]
        tiles = cut(direct_taps(pad_spatial(x, problem), problem, len(matrices)), m, n, counts)
        factors = weight
        for axis, (_, taps, inputs) in zip(axes, matrices, strict=True):
            factors, tiles = self.along(taps, factors, axis), self.along(inputs, tiles, axis)
        # Channels and direct taps are summed by one matrix product for each of the prod(n) places in a tile.
        points = math.prod(n)
        left = factors.reshape(problem.groups, problem.C_out // problem.groups, -1, points)
        right = tiles.reshape(problem.N, problem.groups, left.shape[2], -1, points)
        products = np.moveaxis(left, -1, 0)[:, None] @ np.moveaxis(right, -1, 0)
        direct = problem.out[: -len(matrices)]
        y = np.moveaxis(products, 0, -1).reshape(problem.N, problem.C_out, *direct, *counts, *n)
        for axis, (back, _, _) in zip(axes, matrices, strict=True):
            y = self.along(back, y, axis)
        return joined(y, problem, len(matrices))


def direct_taps(padded: Array, problem: ConvProblem, transformed: int) -> Array:
    """Each tap along a direct axis as a channel of its own: (N, C_in * taps, *direct out, *transformed sizes)."""
    if transformed == problem.ndim:
        return padded
    (k, *_), (stride, *_), (dilation, *_), (out, *_) = problem.kernel, problem.stride, problem.dilation, problem.out
    slices = [padded[:, :, t * dilation : t * dilation + (out - 1) * stride + 1 : stride] for t in range(k)]
    stacked = np.stack(slices, axis=2)
    return stacked.reshape(problem.N, problem.C_in * k, *stacked.shape[3:])


def cut(fields: Array, m: Sequence[int], n: Sequence[int], counts: Sequence[int]) -> Array:
    """Overlapping tiles of the last axes, zeros after their ends: (..., *counts, *n)."""
    reach = [(count - 1) * step + size for count, step, size in zip(counts, m, n, strict=True)]
    missing = [(0, max(0, r - size)) for r, size in zip(reach, fields.shape[-len(m) :], strict=True)]
    padded = np.pad(fields, [*[(0, 0)] * (fields.ndim - len(m)), *missing])
    windows = sliding_window_view(padded, tuple(n), axis=tuple(range(-len(m), 0)))
    firsts = (slice(0, count * step, step) for count, step in zip(counts, m, strict=True))
    return windows[(..., *firsts, *[slice(None)] * len(m))]


def joined(y: Array, problem: ConvProblem, transformed: int) -> Array:
    """Tiles side by side, cropped to the outputs; zeros where there is no tile."""
    lead = y.ndim - 2 * transformed
    side_by_side = itertools.chain(*((lead + axis, lead + transformed + axis) for axis in range(transformed)))
    sizes = [a * b for a, b in zip(y.shape[lead : lead + transformed], y.shape[lead + transformed :], strict=True)]
    whole = y.transpose(*range(lead), *side_by_side).reshape(*y.shape[:lead], *sizes)
    covered = tuple(slice(0, min(size, out)) for size, out in zip(sizes, problem.out[-transformed:], strict=True))
    result = np.zeros(problem.y_shape, y.dtype)
    result[(..., *covered)] = whole[(..., *covered)]
    return result


class WrongEntry(WinogradBackend):
    """One entry of B_T is off by one, along the last axis only."""

    def matrices(self, problem: ConvProblem) -> list[Matrices]:
        *others, last = super().matrices(problem)
        last.B_T[0, 2] += 1
        return [*others, last]


class Float16Transforms(WinogradBackend):
    """Applies its matrices in float16; products and sums over channels are in the problem's dtype."""

    def along(self, matrix: Array, array: Array, axis: int) -> Array:
        return super().along(matrix.astype(np.float16), array.astype(np.float16), axis).astype(array.dtype)


class TailDropped(WinogradBackend):
    """Computes whole tiles only: outputs after the last are left at zero."""

    def tile_count(self, out: int, m: int) -> int:
        return out // m
