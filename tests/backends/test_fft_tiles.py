"""Overlap-save: tile plans cover the output, stay within limits, and change nothing but the time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import conv_problems, problem_arrays

from backends import ConvProblem, fft_scipy, get
from backends.fft_plan import TilePlan, dense_problem, phases, plan_tiles, predicted_seconds

# Plans are made for dense problems: what remains of a problem when stride, dilation and padding are taken care of.
LARGE = [
    ConvProblem(C_in=3, C_out=4, spatial=(300, 2000), kernel=(31, 3)),
    ConvProblem(C_in=1, C_out=1, spatial=(100_000,), kernel=3),
    ConvProblem(C_in=64, C_out=64, spatial=(230, 230), kernel=7),
    ConvProblem(C_in=4, C_out=4, groups=4, spatial=(64, 200, 200), kernel=5),
    ConvProblem(C_in=1, C_out=1, spatial=(768, 768), kernel=257),
]


def assert_covers(problem: ConvProblem, plan: TilePlan) -> None:
    for length, step, tiles, extent, out in zip(
        plan.length, plan.step, plan.tiles, problem.kernel, problem.out, strict=True
    ):
        assert step >= 1
        assert step + extent - 1 <= length, "outputs past length - extent wrap around"
        assert tiles * step >= out, "every output is in a tile"
        assert (tiles - 1) * step < out, "no tile is without outputs"


@given(problem=conv_problems(max_spare=60))
def test_plan_covers_every_output_with_no_tile_to_spare(problem: ConvProblem) -> None:
    dense = dense_problem(problem)
    assert_covers(dense, plan_tiles(dense))


@given(problem=conv_problems(max_spare=30))
def test_dense_problem_computes_every_output_once_in_each_phase(problem: ConvProblem) -> None:
    dense = dense_problem(problem)

    assert (dense.stride, dense.dilation) == ((1,) * dense.ndim,) * 2
    assert problem.N * math.prod(phases(problem)) == dense.N
    for merged, count, out, stride in zip(dense.out, phases(problem), problem.out, problem.stride, strict=True):
        needed = (out - 1) * stride + 1
        assert needed <= merged * count < needed + count


@pytest.mark.parametrize("problem", LARGE, ids=str)
def test_plan_of_a_large_problem_covers_every_output(problem: ConvProblem) -> None:
    assert_covers(problem, plan_tiles(problem))


@pytest.mark.parametrize("problem", LARGE, ids=str)
def test_transform_is_never_longer_than_the_whole_needs(problem: ConvProblem) -> None:
    # A fast length of factors 2, 3 and 5 is at most a third above any length.
    for length, extent, out in zip(plan_tiles(problem).length, problem.kernel, problem.out, strict=True):
        assert length <= 4 / 3 * (out + extent - 1) + 4


def test_small_kernel_on_a_long_line_is_cut_into_tiles() -> None:
    problem = ConvProblem(C_in=1, C_out=1, spatial=(100_000,), kernel=3)
    assert plan_tiles(problem).tiles[0] > 1
    assert plan_tiles(problem).length[0] < 10_000


def test_small_image_is_one_tile() -> None:
    assert plan_tiles(ConvProblem(C_in=1, C_out=1, spatial=(9, 9), kernel=3)).tiles == (1, 1)


@given(problem=conv_problems())
def test_predicted_time_is_positive_and_grows_with_the_batch(problem: ConvProblem) -> None:
    dense = dense_problem(problem)
    plan = plan_tiles(dense)
    once = predicted_seconds(dense, plan)
    assert 0 < once < predicted_seconds(dense.replace(N=dense.N + 1), plan)


@given(problem=conv_problems(max_spare=20), data=st.data())
def test_any_tiles_that_cover_give_the_same_answer(problem: ConvProblem, data: st.DataObject) -> None:
    """Includes even and odd lengths, one output a tile, and tiles that reach past the padded input."""
    dense = dense_problem(problem)
    length = tuple(kernel + data.draw(st.integers(0, 9)) for kernel in dense.kernel)
    step = tuple(n - kernel + 1 for n, kernel in zip(length, dense.kernel, strict=True))
    tiles = tuple(math.ceil(out / s) for out, s in zip(dense.out, step, strict=True))
    plan = TilePlan(length=length, step=step, tiles=tiles)
    assert_covers(dense, plan)
    x, weight, bias = problem_arrays(problem)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fft_scipy, "plan_tiles", lambda _: plan)
        tiled = get("fft").prepare(problem, weight, bias)(x)

    direct = get("im2col").prepare(problem, weight, bias)(x)
    np.testing.assert_array_equal(np.rint(tiled), direct)


@pytest.mark.parametrize("channels", [4, 5], ids=["few", "many"])
@pytest.mark.parametrize("groups", [1, 3])
def test_both_ways_of_multiplying_spectra_give_the_same_answer(
    channels: int, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = ConvProblem(
        N=2, C_in=channels * groups, C_out=2 * groups, groups=groups, spatial=(11, 30), kernel=(3, 5), padding=1
    )
    x, weight, _ = problem_arrays(problem)
    monkeypatch.setattr(fft_scipy, "_FEW_CHANNELS", 100)
    few = get("fft").prepare(problem, weight)(x)
    monkeypatch.setattr(fft_scipy, "_FEW_CHANNELS", 0)
    many = get("fft").prepare(problem, weight)(x)
    direct = get("im2col").prepare(problem, weight)(x)
    np.testing.assert_array_equal(np.rint(few), direct)
    np.testing.assert_array_equal(np.rint(many), direct)
