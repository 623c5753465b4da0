"""Padding and unfolding as plain array functions, shared by the backends that compute with NumPy arrays."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from backends.dtypes import numpy_dtype
from backends.errors import DtypeMismatch, ShapeMismatch
from backends.problem import ConvProblem
from backends.protocol import Array

Slices = tuple[slice, ...]


def pad_spatial(x: Array, problem: ConvProblem) -> Array:
    """x with zeros around its spatial axes, C-contiguous; x itself where there is nothing to pad.

    Args:
        x: Shape (N, C_in, *spatial).
        problem: Whose (begin, end) padding is applied.

    Returns:
        Shape (N, C_in, *(begin + size + end)).
    """
    require_input(x, problem)
    if not any(itertools.chain(*problem.padding)):
        return np.ascontiguousarray(x)
    sizes = [begin + size + end for size, (begin, end) in zip(problem.spatial, problem.padding, strict=True)]
    padded = np.zeros((*x.shape[:2], *sizes), x.dtype)
    padded[spatial_index(interior(problem))] = x
    return padded


def padded_copy_bytes(problem: ConvProblem) -> int:
    """Size of the copy that `pad_spatial` makes of a contiguous x: 0 where there is nothing to pad."""
    if not any(itertools.chain(*problem.padding)):
        return 0
    sizes = [begin + size + end for size, (begin, end) in zip(problem.spatial, problem.padding, strict=True)]
    return problem.N * problem.C_in * math.prod(sizes) * problem.itemsize


def require_input(x: Array, problem: ConvProblem) -> None:
    """Refuse an input that is not the problem's: compiled kernels would read memory that is not theirs.

    Raises:
        ShapeMismatch: x has another shape.
        DtypeMismatch: x has another dtype or byte order.
    """
    if x.shape != problem.x_shape:
        raise ShapeMismatch(f"x has shape {x.shape}, but was prepared for {problem.x_shape}; prepare the problem anew")
    if x.dtype != numpy_dtype(problem.dtype):
        raise DtypeMismatch(f"x has dtype {x.dtype}, but was prepared for {problem.dtype}; convert it, or prepare anew")


def require_weights(weight: Array, bias: Array | None, problem: ConvProblem) -> None:
    """Refuse weights that are not the problem's.

    Raises:
        ShapeMismatch: weight or bias has another shape, or one of bias and problem.bias is missing.
        DtypeMismatch: weight or bias has another dtype or byte order.
    """
    if weight.shape != problem.weight_shape:
        raise ShapeMismatch(f"weight has shape {weight.shape}; the problem needs {problem.weight_shape}")
    if (bias is not None) != problem.bias:
        has = "a bias" if problem.bias else "no bias"
        raise ShapeMismatch(f"the problem has {has}; give prepare {'one' if problem.bias else 'none'}")
    if bias is not None and bias.shape != problem.bias_shape:
        raise ShapeMismatch(f"bias has shape {bias.shape}; the problem needs (C_out,) = {problem.bias_shape}")
    for name, array in (("weight", weight), ("bias", bias)):
        if array is not None and array.dtype != numpy_dtype(problem.dtype):
            raise DtypeMismatch(f"{name} has dtype {array.dtype}, but the problem is {problem.dtype}; convert it")


def spatial_index(slices: Iterable[slice]) -> tuple[Any, ...]:
    """An index that cuts the spatial axes, which come last, and keeps all others whole."""
    return (..., *slices)


def interior(problem: ConvProblem) -> Slices:
    """Where the real input lies inside the padded one, one slice per spatial axis."""
    return tuple(slice(begin, begin + size) for size, (begin, _) in zip(problem.spatial, problem.padding, strict=True))


def taps(problem: ConvProblem) -> Iterator[tuple[int, ...]]:
    """Kernel positions in C order."""
    return itertools.product(*(range(size) for size in problem.kernel))


def tap_slices(problem: ConvProblem, tap: tuple[int, ...], first_row: int, rows: int) -> Slices:
    """What one tap reads from the padded input for output rows first_row .. first_row + rows along the first axis."""
    slices = []
    for axis, (t, stride, dilation) in enumerate(zip(tap, problem.stride, problem.dilation, strict=True)):
        begin = t * dilation + (first_row * stride if axis == 0 else 0)
        count = rows if axis == 0 else problem.out[axis]
        slices.append(slice(begin, begin + (count - 1) * stride + 1, stride))
    return tuple(slices)


def im2col(padded: Array, problem: ConvProblem, columns: Array, first_row: int, rows: int) -> Array:
    """Unfold receptive fields into columns, one column per output position, for a range of output rows of one image.

    Args:
        padded: One image, padded, shape (C_in, *padded_spatial).
        problem: Geometry; its padding is ignored here.
        columns: Workspace of at least C_in * prod(kernel) * rows * prod(out[1:]) elements, overwritten.
        first_row, rows: Output positions along the first spatial axis.

    Returns:
        A view of columns, shape (groups, C_in // groups * prod(kernel), rows * prod(out[1:])).

    Source: Chellapilla, Puri & Simard (2006), "unrolled" convolution.
    """
    out = (rows, *problem.out[1:])
    taps_count = math.prod(problem.kernel)
    used = problem.C_in * taps_count * math.prod(out)
    unfolded = columns[:used].reshape(problem.C_in, taps_count, *out)
    for index, tap in enumerate(taps(problem)):
        unfolded[:, index] = padded[(slice(None), *tap_slices(problem, tap, first_row, rows))]
    return unfolded.reshape(problem.groups, problem.accumulation_length, math.prod(out))
