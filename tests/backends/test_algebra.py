"""What convolution is, whoever computes it: properties of the operation itself, on every backend, in float64.

Inputs are small integers, so a wrong answer is off by one or more; the tolerance is for the FFT's rounding only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import EVERY_BACKEND, conv_problems, problem_arrays

import backends
from backends import ConvProblem

pytestmark = pytest.mark.parametrize("spec", EVERY_BACKEND)
few_examples = settings(max_examples=15)
double = {"dtypes": ("float64",)}


def convolver(spec: str, problem: ConvProblem) -> Callable[..., np.ndarray]:
    """`backends.conv` with the problem's geometry, of which keywords change some."""
    assume(backends.get(spec).why_unsupported(problem) is None)
    geometry = {
        "stride": problem.stride,
        "padding": problem.padding,
        "dilation": problem.dilation,
        "groups": problem.groups,
        "backend": spec,
    }
    return lambda *arrays, **changes: backends.conv(*arrays, **(geometry | changes))


def assert_same(y: np.ndarray, expected: np.ndarray) -> None:
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-8)


@few_examples
@given(problem=conv_problems(**double))
def test_linear_in_x(spec: str, problem: ConvProblem) -> None:
    conv = convolver(spec, problem)
    a, weight, _ = problem_arrays(problem, seed=1)
    b = problem_arrays(problem, seed=2).x
    assert_same(conv(2 * a - 3 * b, weight), 2 * conv(a, weight) - 3 * conv(b, weight))


@few_examples
@given(problem=conv_problems(**double))
def test_linear_in_weight(spec: str, problem: ConvProblem) -> None:
    conv = convolver(spec, problem)
    x, v, _ = problem_arrays(problem, seed=1)
    w = problem_arrays(problem, seed=2).weight
    assert_same(conv(x, 2 * v - 3 * w), 2 * conv(x, v) - 3 * conv(x, w))


@few_examples
@given(problem=conv_problems(**double))
def test_bias_is_added_to_every_output_of_its_channel(spec: str, problem: ConvProblem) -> None:
    conv = convolver(spec, problem)
    x, weight, bias = problem_arrays(problem.replace(bias=True))
    assert_same(conv(x, weight, bias), conv(x, weight) + bias.reshape(-1, *(1,) * problem.ndim))


@few_examples
@given(problem=conv_problems(is_padded=False, **double), data=st.data())
def test_delta_kernel_copies_the_input_that_its_tap_reads(spec: str, problem: ConvProblem, data: st.DataObject) -> None:
    problem = problem.replace(C_out=problem.C_in)
    conv = convolver(spec, problem)
    x = problem_arrays(problem).x
    tap = tuple(data.draw(st.integers(0, size - 1)) for size in problem.kernel)
    weight = np.zeros(problem.weight_shape)
    for channel in range(problem.C_in):
        weight[(channel, channel % weight.shape[1], *tap)] = 1
    read = tuple(
        slice(t * d, t * d + (out - 1) * s + 1, s)
        for t, d, s, out in zip(tap, problem.dilation, problem.stride, problem.out, strict=True)
    )
    assert_same(conv(x, weight), x[(..., *read)])


@few_examples
@given(problem=conv_problems(is_padded=False, **double))
def test_one_by_one_kernel_is_a_matrix_product_over_channels(spec: str, problem: ConvProblem) -> None:
    problem = problem.replace(kernel=1, stride=1, groups=1)
    conv = convolver(spec, problem)
    x, weight, _ = problem_arrays(problem)
    matrix = weight.reshape(problem.C_out, problem.C_in)
    assert_same(conv(x, weight), np.einsum("oc,nc...->no...", matrix, x))


@few_examples
@given(problem=conv_problems(**double))
def test_groups_are_separate_convolutions_joined(spec: str, problem: ConvProblem) -> None:
    conv = convolver(spec, problem)
    x, weight, _ = problem_arrays(problem)
    parts = zip(np.split(x, problem.groups, axis=1), np.split(weight, problem.groups), strict=True)
    separate = [conv(x_part, w_part, groups=1) for x_part, w_part in parts]
    assert_same(conv(x, weight), np.concatenate(separate, axis=1))


@few_examples
@given(problem=conv_problems(**double))
def test_images_of_a_batch_do_not_meet(spec: str, problem: ConvProblem) -> None:
    conv = convolver(spec, problem)
    x, weight, _ = problem_arrays(problem)
    assert_same(conv(x, weight), np.concatenate([conv(image[None], weight) for image in x]))


@few_examples
@given(problem=conv_problems(is_padded=False, **double), data=st.data())
def test_shifting_x_by_a_stride_shifts_y_by_one(spec: str, problem: ConvProblem, data: st.DataObject) -> None:
    conv = convolver(spec, problem)
    x, weight, _ = problem_arrays(problem)
    axis = data.draw(st.integers(0, problem.ndim - 1))
    before = [(0, 0)] * x.ndim
    before[2 + axis] = (problem.stride[axis], 0)
    shifted = conv(np.pad(x, before), weight)
    assert_same(np.delete(shifted, 0, axis=2 + axis), conv(x, weight))


@few_examples
@given(problem=conv_problems(**double))
def test_stride_keeps_every_so_many_outputs_of_stride_one(spec: str, problem: ConvProblem) -> None:
    conv = convolver(spec, problem)
    x, weight, _ = problem_arrays(problem)
    kept = tuple(slice(None, None, stride) for stride in problem.stride)
    assert_same(conv(x, weight), conv(x, weight, stride=1)[(..., *kept)])


@few_examples
@given(problem=conv_problems(**double))
def test_dilation_is_a_kernel_with_zeros_between_its_taps(spec: str, problem: ConvProblem) -> None:
    conv = convolver(spec, problem)
    x, weight, _ = problem_arrays(problem)
    extents = [d * (k - 1) + 1 for k, d in zip(problem.kernel, problem.dilation, strict=True)]
    stuffed = np.zeros((*weight.shape[:2], *extents))
    stuffed[(..., *(slice(None, None, d) for d in problem.dilation))] = weight
    assert_same(conv(x, weight), conv(x, stuffed, dilation=1))


@few_examples
@given(problem=conv_problems(**double))
def test_padding_is_zeros_written_around_x(spec: str, problem: ConvProblem) -> None:
    conv = convolver(spec, problem)
    x, weight, _ = problem_arrays(problem)
    assert_same(conv(x, weight), conv(np.pad(x, [(0, 0), (0, 0), *problem.padding]), weight, padding=0))


@few_examples
@given(problem=conv_problems(**double))
def test_mirrored_x_and_kernel_give_mirrored_y(spec: str, problem: ConvProblem) -> None:
    conv = convolver(spec, problem)
    x, weight, _ = problem_arrays(problem)
    axes = tuple(range(2, x.ndim))
    mirrored_padding = tuple((end, begin) for begin, end in problem.padding)
    mirrored = conv(np.flip(x, axes), np.flip(weight, axes), stride=1, padding=mirrored_padding)
    assert_same(np.flip(mirrored, axes), conv(x, weight, stride=1))


@few_examples
@given(problem=conv_problems(**double), data=st.data())
def test_axes_may_be_swapped_before_or_after(spec: str, problem: ConvProblem, data: st.DataObject) -> None:
    conv = convolver(spec, problem)
    x, weight, _ = problem_arrays(problem)
    order = data.draw(st.permutations(range(problem.ndim)))
    axes = (0, 1, *(2 + axis for axis in order))
    names = ("stride", "padding", "dilation")
    swapped = {name: tuple(getattr(problem, name)[axis] for axis in order) for name in names}
    assert_same(conv(x.transpose(axes), weight.transpose(axes), **swapped), conv(x, weight).transpose(axes))


def test_kernel_is_not_flipped(spec: str) -> None:
    x = np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    weight = np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])
    assert_same(backends.conv(x, weight, backend=spec), np.array([[[[5421.0, 6532.0]]]]))


def test_vertical_edge_kernel_answers_at_a_step_and_nowhere_else(spec: str) -> None:
    dark_then_bright = np.zeros((1, 1, 6, 8))
    dark_then_bright[..., 4:] = 10
    edge = np.array([[[[1.0, 0.0, -1.0]] * 3]])
    expected = np.zeros((1, 1, 4, 6))
    expected[..., 2:4] = -30
    assert_same(backends.conv(dark_then_bright, edge, backend=spec), expected)
    assert_same(backends.conv(dark_then_bright.swapaxes(2, 3), edge, backend=spec), np.zeros((1, 1, 6, 4)))


def test_sum_of_neighbours_by_hand(spec: str) -> None:
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    y = backends.conv(x, np.ones((1, 1, 3, 3)), padding=1, backend=spec)
    for row, column in itertools.product(range(4), range(4)):
        neighbours = x[0, 0, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        assert y[0, 0, row, column] == pytest.approx(neighbours.sum(), abs=1e-8)
