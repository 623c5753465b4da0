from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import conv_problems

import backends
from backends import Array, ConvProblem
from harness import inputs, reference


def exact_output(problem: ConvProblem, arrays: inputs.ConvArrays, n: int, o: int, q: tuple[int, ...]) -> Fraction:
    """One output in rational arithmetic, straight from the definition."""
    per_group_in, per_group_out = problem.C_in // problem.groups, problem.C_out // problem.groups
    total = Fraction(0) if arrays.bias is None else Fraction(float(arrays.bias[o]))
    for c in range(per_group_in):
        for tap in itertools.product(*map(range, problem.kernel)):
            where = [
                qi * s - begin + t * d
                for qi, s, (begin, _), t, d in zip(
                    q, problem.stride, problem.padding, tap, problem.dilation, strict=True
                )
            ]
            if all(0 <= i < size for i, size in zip(where, problem.spatial, strict=True)):
                x = arrays.x[(n, o // per_group_out * per_group_in + c, *where)]
                total += Fraction(float(x)) * Fraction(float(arrays.weight[(o, c, *tap)]))
    return total


@settings(max_examples=25)
@given(conv_problems())
def test_oracle_agrees_with_rational_arithmetic_to_its_own_error_bound(problem: ConvProblem) -> None:
    arrays = inputs.normal_arrays(problem, seed=3)
    found = reference.compute(problem, arrays, seed=0)
    rng = np.random.default_rng(0)

    for flat in rng.choice(math.prod(problem.y_shape), min(10, math.prod(problem.y_shape)), replace=False):
        n, o, *q = (int(i) for i in np.unravel_index(flat, problem.y_shape))
        p = int(np.ravel_multi_index(tuple(q), problem.out))
        truth = exact_output(problem, arrays, n, o, tuple(q))
        n_terms = problem.accumulation_length + 1
        bound = n_terms * 2.0**-53 * 1.01 * float(found.magnitude[n, o, p]) + 1e-300
        assert abs(float(Fraction(float(found.y[n, o, p])) - truth)) <= bound


@given(conv_problems())
@settings(max_examples=25)
def test_has_input_tells_which_positions_read_more_than_padding(problem: ConvProblem) -> None:
    ones = inputs.ConvArrays(
        x=np.ones(problem.x_shape, problem.dtype), weight=np.ones(problem.weight_shape, problem.dtype), bias=None
    )

    found = reference.compute(problem.replace(bias=False), ones, seed=0)

    assert np.array_equal(found.has_input, (found.y > 0).any(axis=(0, 1)))


@pytest.mark.parametrize("text", ["ic64ih200oc64kh3ph1", "ic32id20oc32kd3pd1", "ic256iw9000oc256kw9"])
def test_a_large_problem_is_checked_at_every_corner_and_along_its_borders(text: str) -> None:
    problem = ConvProblem.parse(text)
    allowance = 2000

    positions = reference.output_positions(
        problem, seed=1, max_macs=allowance * problem.C_out * problem.accumulation_length
    )

    grid = np.array(np.unravel_index(positions, problem.out)).T
    corners = set(itertools.product(*({0, size - 1} for size in problem.out)))
    assert corners <= {tuple(int(i) for i in row) for row in grid}
    assert len(positions) <= allowance + len(corners)
    assert len(positions) == len(set(positions.tolist()))
    is_border = ((grid == 0) | (grid == np.array(problem.out) - 1)).any(axis=1)
    assert is_border.any()
    assert (~is_border).any()


def test_a_two_dimensional_border_is_checked_completely_where_it_fits() -> None:
    problem = ConvProblem.parse("ic64ih200oc64kh3ph1")

    positions = set(
        reference.output_positions(problem, seed=1, max_macs=4000 * 64 * problem.accumulation_length).tolist()
    )

    rows, columns = problem.out
    border = {
        r * columns + c for r in range(rows) for c in range(columns) if r in (0, rows - 1) or c in (0, columns - 1)
    }
    assert border <= positions


def test_sampled_reference_equals_the_full_one_where_both_are() -> None:
    problem = ConvProblem.parse("--dir=FWD_B g2ic6ih31iw17oc4kh3kw2ph2pw0sh2sw1")
    arrays = inputs.normal_arrays(problem, seed=0)

    full = reference.compute(problem, arrays, seed=0)
    part = reference.compute(problem, arrays, seed=0, max_macs=40 * problem.C_out * problem.accumulation_length)

    assert 0 < part.positions.size < full.positions.size
    np.testing.assert_allclose(part.y, full.y[:, :, part.positions], rtol=1e-13, atol=1e-13)


def test_positions_around_the_middle_pixel_and_at_tile_seams_are_always_among_those_checked() -> None:
    problem = ConvProblem.parse("ic64ih200oc64kh3ph1")

    positions = reference.output_positions(problem, seed=1, max_macs=4000 * 64 * problem.accumulation_length)

    rows, columns = np.unravel_index(positions, problem.out)
    found = set(zip(rows.tolist(), columns.tolist(), strict=True))
    row, column = inputs.middle_pixel(problem)
    assert {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} <= found
    seams = [edge for start in range(16, 200, 16) for edge in (start - 1, start)]
    assert set(itertools.product(seams, seams)) <= found


@settings(max_examples=40)
@given(conv_problems(), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_poison_is_what_arithmetic_makes_of_nan_and_infinities(problem: ConvProblem, value: float) -> None:
    arrays = inputs.exact_arrays(problem, seed=0)
    arrays.x[(0, 0, *inputs.middle_pixel(problem))] = value
    arrays.x.flat[-1] = value

    found = reference.compute(problem, arrays, seed=0)

    with np.errstate(invalid="ignore"):
        plain = backends.conv(
            arrays.x, arrays.weight, arrays.bias, stride=problem.stride, padding=problem.padding,
            dilation=problem.dilation, groups=problem.groups, backend="naive",
        )  # fmt: skip
    plain = plain.reshape(found.poison.shape)
    assert np.array_equal(np.where(np.isfinite(plain), 0, plain), found.poison, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "text", ["ic512ih14oc512kh3ph1", "--dir=FWD_B g4mb2ic64ih28oc64kh3sh2ph1", "ic1id40oc1kd21pd10"]
)
@pytest.mark.parametrize("data", ["normal", "wide range", "denormal"])
def test_large_layers_agree_with_sums_without_rounding(text: str, dtype: str, data: str) -> None:
    problem = ConvProblem.parse(text).replace(dtype=dtype)
    arrays = inputs.data_set(problem, data, 0)

    found = reference.compute(problem, arrays, seed=0, max_macs=20_000_000)

    for seed in range(20):
        reference.verify(problem, arrays, found, seed)


def test_sums_without_rounding_are_those_of_rational_arithmetic() -> None:
    problem = ConvProblem.parse("--dir=FWD_B g2mb2ic6ih9iw7oc4kh3kw2sh2sw1ph1pw0dh0dw1").replace(dtype="float64")
    arrays = inputs.wide_range_arrays(problem, seed=2)

    for n, o, *q in itertools.product(*map(range, problem.y_shape)):
        exact = float(exact_output(problem, arrays, n, o, tuple(q)))
        assert reference._exact_sum(problem, arrays, n, o, tuple(q)) == exact


@pytest.mark.parametrize(
    "corrupted",
    [
        lambda y: y * (1 + 1e-12),
        lambda y: y + 1e-6,
        lambda y: np.roll(y, 1, axis=-1),
        lambda y: np.full_like(y, np.nan),
    ],
    ids=["scaled", "offset", "shifted", "nan"],
)
def test_a_reference_that_is_wrong_is_found_out(corrupted: Callable[[Array], Array]) -> None:
    problem = ConvProblem.parse("ic16ih20oc8kh3ph1")
    arrays = inputs.normal_arrays(problem, seed=0)
    found = reference.compute(problem, arrays, seed=0)

    with pytest.raises(reference.OracleDefect, match="exact arithmetic"):
        reference.verify(problem, arrays, dataclasses.replace(found, y=corrupted(found.y)), seed=0)
