"""How much memory a Fourier convolution takes: the largest sum of the arrays that are alive at once.

It follows `fft_scipy` step by step: arrays named in its `call` live until the call returns, those inside a step until
the step does.
"""

from __future__ import annotations

import math

from backends.fft_plan import TilePlan, dense_problem, phases, plan_tiles
from backends.lowering import padded_copy_bytes
from backends.problem import ConvProblem


def peak_bytes(problem: ConvProblem, *, is_few_channels: bool) -> int:
    """Bytes beyond weights, bias, input and output.

    Args:
        problem: What is computed.
        is_few_channels: Spectra are multiplied as they lie, not as matrices.
    """
    dense = dense_problem(problem)
    plan = plan_tiles(dense)
    item, points, frequencies = problem.itemsize, math.prod(plan.length), math.prod(plan.spectrum)
    pairs = problem.C_out * problem.C_in // problem.groups
    kernels = pairs * frequencies * 2 * item
    # Transformed from a copy extended with zeros, then conjugated, and for matrices transposed, into another array.
    preparing = kernels + max(kernels, pairs * points * item)

    cutting, tiles = _tiles(problem, dense, plan)
    count = dense.N * math.prod(plan.tiles)
    # One tile is extended with zeros inside the transform.
    is_extended = math.prod(plan.tiles) == 1 and any(
        n > size for n, size in zip(plan.length, dense.spatial, strict=True)
    )
    extended = count * problem.C_in * points * item if is_extended else 0
    spectra = count * problem.C_in * frequencies * 2 * item
    products = count * problem.C_out * frequencies * 2 * item
    # One product beside the sum, of which a single channel has none; or columns, their product, and it transposed.
    summing = products * (1 if problem.C_in == problem.groups else 2)
    multiplying = summing if is_few_channels else spectra + 2 * products
    outputs = count * problem.C_out * points * item
    # The inverse transform of several axes works on a copy of its input.
    inverting = products * (2 if problem.ndim > 1 else 1) + outputs
    y = math.prod(problem.y_shape) * item
    joining = products + outputs + _joined_bytes(problem, dense, plan) + y
    transforming = tiles + spectra + max(extended, multiplying, inverting, joining)
    return max(preparing, kernels + max(cutting, transforming) - y)


def _tiles(problem: ConvProblem, dense: ConvProblem, plan: TilePlan) -> tuple[int, int]:
    """Bytes at the peak of padding, splitting and cutting, and of what they leave; views take none."""
    held = padded_copy_bytes(problem)
    peak = held
    if dense.N != problem.N:
        split = math.prod(dense.x_shape) * problem.itemsize
        peak = held + 2 * split  # extended to a multiple of the dilation, then transposed
        held = split
    if math.prod(plan.tiles) == 1:
        return peak, held
    if any(reach > size for reach, size in zip(plan.reach, dense.spatial, strict=True)):
        sizes = (max(reach, size) for reach, size in zip(plan.reach, dense.spatial, strict=True))
        extended = dense.N * dense.C_in * math.prod(sizes) * problem.itemsize
        peak, held = max(peak, held + extended), extended
    if sum(tiles > 1 for tiles in plan.tiles) > 1:
        # Overlapping tiles along several axes have no common stride, so listing them copies.
        copied = dense.N * dense.C_in * math.prod(plan.tiles) * math.prod(plan.length) * problem.itemsize
        peak, held = max(peak, held + copied), copied
    return peak, held


def _joined_bytes(problem: ConvProblem, dense: ConvProblem, plan: TilePlan) -> int:
    """Bytes of the outputs side by side and of those of all phases interleaved, which are views where there is one."""
    joined = merged = 0
    if math.prod(plan.tiles) > 1:
        sizes = (tiles * step for tiles, step in zip(plan.tiles, plan.step, strict=True))
        joined = dense.N * dense.C_out * math.prod(sizes) * problem.itemsize
    if dense.N != problem.N:
        sizes = (size * count for size, count in zip(dense.out, phases(problem), strict=True))
        merged = problem.N * problem.C_out * math.prod(sizes) * problem.itemsize
    return joined + merged
