"""How large the rounding errors of a Winograd convolution may be: its transforms, run on absolute values.

A right implementation in arithmetic of unit roundoff u is off, element by element and underflow apart, by at most
k*u / (1 - k*u) * magnitude, k being `roundings`.

Each computed output is a sum of terms A_T[t, i] * G[i, k] * w[k] * B_T[i, j] * x[j] over i, j, k and channels, each
multiplied by a factor 1 + d, |d| <= u, for every rounding that it passes through. If that is k at most, each term is
off by no more than k*u / (1 - k*u) of its size, and the output by that part of the sum of all sizes. Terms cancel when
tiles are transformed back, sizes do not: that is the price of saving products, and it is what `magnitude` adds up.
Where nothing is transformed it is |x| * |w| + |b|, and the bound that of plain sums.

Sources: Higham (2002), "Accuracy and Stability of Numerical Algorithms", lemma 3.1; Barabasz et al. (2020), "Error
Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", who bound norms.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from backends import Array, ConvError, ConvProblem
from backends.winograd_transforms import WinogradTransform
from harness.inputs import ConvArrays

Transforms: TypeAlias = Sequence[WinogradTransform | None]

# Elements of kernels, or of gathered inputs, at a time: 4 MiB of float64. They are passed over several times, so what
# stays in a cache is up to 4 times as fast as 64 MiB.
_CHUNK_ELEMENTS = 1 << 19


def magnitude(problem: ConvProblem, arrays: ConvArrays, transforms: Transforms, positions: Array) -> Array:
    """At least the sum that the algorithm forms on absolute values, wherever its tiles start.

    An output at place t of its tile sums |x| under a kernel of m + r - 1 taps along each axis, in which input j has the
    factor sum over i and k of |A_T[t, i]| |G[i, k]| |w[k]| |B_T[i, j]|. Where tiles start is the backend's affair, so
    these kernels are laid over each other as the places shift them, and the largest factor of each input is taken:
    2*m + r - 2 taps along an axis. On normal data that is 1.4 (F4) and 1.8 (F2) times the worst single place, for a
    seventh and less than half of the products.

    Args:
        problem: What is computed.
        arrays: Its data; non-finite inputs count as 0.
        transforms: One entry a spatial axis, None where taps are summed directly.
        positions: Flat indices into prod(out), shape (P,).

    Returns:
        Shape (N, C_out, P), float64, |bias| included.

    Raises:
        ConvError: The transforms do not fit the problem.
    """
    axes = _every_axis(problem, transforms)
    channels = problem.C_in // problem.groups
    x = np.abs(arrays.x.astype(np.float64)).reshape(problem.N, problem.groups, channels, -1)
    x[~np.isfinite(x)] = 0
    weight = _grouped(problem, arrays.weight)
    factors = functools.reduce(np.kron, [_factors(axis) for axis in axes])
    taps = factors.shape[1]
    sums = np.zeros((problem.N, problem.groups, weight.shape[1], positions.size))
    block = max(1, _CHUNK_ELEMENTS // (problem.C_out * taps))
    for first_channel in range(0, channels, block):
        some = slice(first_channel, first_channel + block)
        kernels = _largest_kernels(weight[:, :, some], factors)
        step = max(1, _CHUNK_ELEMENTS // (problem.N * problem.groups * min(block, channels) * taps))
        for first in range(0, positions.size, step):
            part = slice(first, first + step)
            flat, is_inside = _input_indices(problem, axes, positions[part])
            fields = np.take(x[:, :, some], flat, axis=-1)
            fields *= is_inside
            sums[..., part] += kernels @ fields.reshape(problem.N, problem.groups, kernels.shape[-1], -1)
    sums = sums.reshape(problem.N, problem.C_out, -1)
    return sums if arrays.bias is None else sums + np.abs(arrays.bias.astype(np.float64))[:, None]


def roundings(problem: ConvProblem, transforms: Transforms) -> float:
    """How many roundings the most rounded term passes through, in any order of sums, fused or not.

    A matrix with up to z non-zeros a row rounds a term z + 1 times: its entry to the dtype, their product, and z - 1
    sums. Several axes do so one after the other, or at once by the Kronecker product of their matrices, whose rows have
    as many non-zeros as the product of theirs and whose entries are products of rounded ones: whichever is more counts.
    That holds for B_T, G and A_T. Between them lie a product and the sum over channels and direct taps, n roundings for
    n products; a bias adds one.

    One more makes up for the rounding of `magnitude` itself, which in float64 is about k * 2**-53 of it: k + 1 exceeds
    k * (1 + k * 2**-53) up to k = 9e7.

    Raises:
        ConvError: The transforms do not fit the problem.
    """
    _require_fit(problem, transforms)
    chosen = [transform for transform in transforms if transform is not None]
    direct = [k for k, transform in zip(problem.kernel, transforms, strict=True) if transform is None]
    n = problem.C_in // problem.groups * math.prod(direct)
    kinds = [t.B_T for t in chosen], [t.G for t in chosen], [t.A_T for t in chosen]
    inside = sum(_passed([int(_nonzeros(matrix).max()) for matrix in matrices]) for matrices in kinds)
    return float(inside + n + problem.bias + 1)


def underflow(problem: ConvProblem, arrays: ConvArrays, transforms: Transforms) -> Array:
    """By how many of the dtype's smallest subnormal numbers outputs may be off besides, where numbers are that small.

    A product in the subnormal range is off by half such a number, unless one factor is an integer; sums are exact. The
    back transform enlarges what was lost before, the weights what B_T lost. Twice as much is allowed, for the roundings
    that follow. Transformed weights are taken to be normal numbers.

    Returns:
        Per output channel, shape (C_out,).

    Raises:
        ConvError: The transforms do not fit the problem.
    """
    axes = _every_axis(problem, transforms)
    back, taps = _nested(axis.A_T for axis in axes), _nested(axis.G for axis in axes)
    weight = _grouped(problem, arrays.weight)
    enlarging = weight.sum(axis=2).reshape(problem.C_out, -1) @ taps.T
    lost = weight.shape[2] + enlarging * _inexact_products([axis.B_T for axis in axes])
    return np.asarray((lost @ back.T + _inexact_products([axis.A_T for axis in axes])).max(axis=1))


def _require_fit(problem: ConvProblem, transforms: Transforms) -> None:
    if len(transforms) != problem.ndim:
        raise ConvError(f"{len(transforms)} transforms for {problem.ndim} spatial axes; give one, or None, for each")
    for axis, (transform, k, stride) in enumerate(zip(transforms, problem.kernel, problem.stride, strict=True)):
        if transform is not None and (transform.r != k or stride != 1):
            raise ConvError(
                f"{transform} computes {transform.r} taps at stride 1, but spatial axis {axis} has kernel {k} and"
                f" stride {stride}; give a transform that fits, or None where taps are summed directly"
            )


def _every_axis(problem: ConvProblem, transforms: Transforms) -> tuple[WinogradTransform, ...]:
    """A transform for each axis: a direct sum of k taps is F(1, k) by identities."""
    _require_fit(problem, transforms)
    return tuple(
        WinogradTransform(m=1, r=k, A_T=np.ones((1, k)), G=np.eye(k), B_T=np.eye(k)) if transform is None else transform
        for k, transform in zip(problem.kernel, transforms, strict=True)
    )


def _grouped(problem: ConvProblem, weight: Array) -> Array:
    """|w|, shape (groups, C_out // groups, C_in // groups, prod(kernel))."""
    shape = (problem.groups, problem.C_out // problem.groups, problem.C_in // problem.groups, math.prod(problem.kernel))
    return np.abs(weight.astype(np.float64)).reshape(shape)


def _factors(axis: WinogradTransform) -> Array:
    """What tap k adds to the factor of input j for an output at place t: (m, 2*m + r - 2, r).

    Inputs are counted from the first that a tile with the output in it can read, so later places start further left.
    """
    in_tile = np.einsum("ti,ij,ik->tjk", np.abs(axis.A_T), np.abs(axis.B_T), np.abs(axis.G))
    shifted = np.zeros((axis.m, axis.n + axis.m - 1, axis.r))
    for place in range(axis.m):
        first = axis.m - 1 - place
        shifted[place, first : first + axis.n] = in_tile[place]
    return shifted


def _largest_kernels(weight: Array, factors: Array) -> Array:
    """Each input's largest factor over all places in a tile: (groups, C_out // groups, channels * taps)."""
    largest = np.zeros((*weight.shape[:3], factors.shape[1]))
    for factor in factors:
        np.maximum(largest, weight @ factor.T, out=largest)
    return largest.reshape(*weight.shape[:2], -1)


def _input_indices(problem: ConvProblem, axes: Sequence[WinogradTransform], positions: Array) -> tuple[Array, Array]:
    """Flat input index that each factor of each output applies to, (factors, P), and whether it is real input."""
    outputs = np.unravel_index(positions, problem.out)
    spans = [axis.n + axis.m - 1 for axis in axes]
    offsets = np.unravel_index(np.arange(math.prod(spans)), spans)
    is_inside = np.ones((math.prod(spans), positions.size), dtype=bool)
    flat = np.zeros_like(is_inside, dtype=np.int64)
    for i, (axis, size) in enumerate(zip(axes, problem.spatial, strict=True)):
        first = outputs[i] * problem.stride[i] - problem.padding[i][0] - (axis.m - 1) * problem.dilation[i]
        index = first + offsets[i][:, None] * problem.dilation[i]
        is_inside &= (index >= 0) & (index < size)
        flat = flat * size + np.clip(index, 0, size - 1)
    return flat, is_inside


def _passed(nonzeros: Sequence[int]) -> int:
    """Roundings in one matrix of each axis, by their non-zeros a row: in turn, or as one Kronecker product."""
    return max(sum(nonzeros) + len(nonzeros), math.prod(nonzeros) + 2 * len(nonzeros) - 1)


def _nonzeros(matrix: Array) -> Array:
    """Per row."""
    return np.asarray(np.count_nonzero(matrix, axis=1))


def _nested(arrays: Iterable[Array]) -> Array:
    """The absolute values of all axes' matrices as one, for axes flattened in C order."""
    return np.asarray(np.abs(functools.reduce(np.kron, arrays)))


def _inexact_products(matrices: Sequence[Array]) -> Array:
    """Products with non-integers that go into each row of the nested matrices, as other axes repeat or enlarge them."""
    inexact = [np.count_nonzero(matrix != np.rint(matrix), axis=1) for matrix in matrices]
    growth = [np.maximum(np.abs(matrix).sum(axis=1), _nonzeros(matrix)) for matrix in matrices]
    total = np.zeros(math.prod(len(matrix) for matrix in matrices))
    for axis, count in enumerate(inexact):
        total += _nested([*growth[:axis], count, *growth[axis + 1 :]])
    return total
