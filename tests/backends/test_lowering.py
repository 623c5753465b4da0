"""Padding and unfolding against enumeration of what the definition reads."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import conv_problems, problem_arrays

from backends import ConvProblem
from backends.lowering import im2col, interior, pad_spatial, tap_slices, taps


def numbered(problem: ConvProblem) -> np.ndarray:
    """An input whose elements are all different, so that a wrong position shows."""
    return np.arange(1, math.prod(problem.x_shape) + 1, dtype=problem.dtype).reshape(problem.x_shape)


@given(problem=conv_problems())
def test_padding_surrounds_the_input_with_zeros(problem: ConvProblem) -> None:
    x = numbered(problem)
    padded = pad_spatial(x, problem)
    np.testing.assert_array_equal(padded, np.pad(x, [(0, 0), (0, 0), *problem.padding]))
    np.testing.assert_array_equal(padded[(..., *interior(problem))], x)
    assert padded.dtype == x.dtype
    assert padded.flags.c_contiguous


def test_contiguous_input_without_padding_is_not_copied() -> None:
    problem = ConvProblem(C_in=2, C_out=1, spatial=(4, 5), kernel=3)
    x = numbered(problem)
    assert pad_spatial(x, problem) is x


@given(problem=conv_problems(is_padded=False))
def test_strided_input_without_padding_becomes_contiguous(problem: ConvProblem) -> None:
    x = np.repeat(numbered(problem), 2, axis=-1)[..., ::2]
    padded = pad_spatial(x, problem)
    assert padded.flags.c_contiguous
    np.testing.assert_array_equal(padded, x)


@given(problem=conv_problems())
def test_taps_come_in_the_order_in_which_weights_are_flattened(problem: ConvProblem) -> None:
    order = list(taps(problem))
    flat = [np.ravel_multi_index(tap, problem.kernel) for tap in order]
    assert flat == list(range(math.prod(problem.kernel)))


def columns_for(problem: ConvProblem, rows: int) -> np.ndarray:
    """A poisoned workspace, larger than is needed."""
    needed = problem.groups * problem.accumulation_length * rows * math.prod(problem.out[1:])
    return np.full(needed + 7, np.nan, problem.dtype)


@given(problem=conv_problems(), data=st.data())
def test_columns_hold_the_receptive_field_of_each_output(problem: ConvProblem, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, problem.out[0] - 1))
    rows = data.draw(st.integers(1, problem.out[0] - first))
    padded = pad_spatial(numbered(problem), problem)[0]

    columns = im2col(padded, problem, columns_for(problem, rows), first, rows)

    positions = itertools.product(range(first, first + rows), *(range(size) for size in problem.out[1:]))
    for column, position in enumerate(positions):
        window = tuple(
            slice(q * s, q * s + d * (k - 1) + 1, d)
            for q, s, d, k in zip(position, problem.stride, problem.dilation, problem.kernel, strict=True)
        )
        field = padded[(slice(None), *window)].reshape(problem.groups, problem.accumulation_length)
        np.testing.assert_array_equal(columns[..., column], field)


@given(problem=conv_problems())
def test_columns_times_flattened_weights_are_the_convolution_of_one_image(problem: ConvProblem) -> None:
    x, weight, _ = problem_arrays(problem)
    padded = pad_spatial(x, problem)[0]
    columns = im2col(padded, problem, columns_for(problem, problem.out[0]), 0, problem.out[0])
    y = weight.reshape(problem.groups, -1, problem.accumulation_length) @ columns

    by_taps = np.zeros((problem.groups, problem.C_out // problem.groups, *problem.out))
    grouped = padded.reshape(problem.groups, -1, *padded.shape[1:])
    weights = weight.reshape(problem.groups, -1, *weight.shape[1:])
    for tap in taps(problem):
        read = grouped[(slice(None), slice(None), *tap_slices(problem, tap, 0, problem.out[0]))]
        by_taps += np.einsum("goc,gc...->go...", weights[(..., *tap)], read)
    np.testing.assert_array_equal(y.reshape(by_taps.shape), by_taps)


def test_columns_are_a_view_of_the_workspace() -> None:
    problem = ConvProblem(C_in=2, C_out=1, spatial=(6, 5), kernel=3)
    workspace = columns_for(problem, 4)
    columns = im2col(numbered(problem)[0], problem, workspace, 0, 4)
    assert np.shares_memory(columns, workspace)
    assert np.isnan(workspace[columns.size :]).all(), "nothing is written past what is used"


@pytest.mark.parametrize("first", [0, 1, 2])
def test_rows_unfolded_alone_equal_those_rows_of_the_whole(first: int) -> None:
    problem = ConvProblem(C_in=3, C_out=1, spatial=(8, 7), kernel=(3, 2), stride=(2, 1), dilation=(1, 2))
    padded = pad_spatial(numbered(problem), problem)[0]
    whole = im2col(padded, problem, columns_for(problem, problem.out[0]), 0, problem.out[0])
    part = im2col(padded, problem, columns_for(problem, 1), first, 1)
    width = problem.out[1]
    np.testing.assert_array_equal(part, whole[..., first * width : (first + 1) * width])
