"""Winograd's matrices compute a correlation: exactly in rational arithmetic, whatever the points."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import ConvError, ShapeMismatch
from backends.winograd_transforms import F2, F4, WinogradTransform, customary_points, exact_matrices, toom_cook

HALF = Fraction(1, 2)
CLOSER = (0, Fraction(3, 4), -Fraction(3, 4), Fraction(3, 2), -Fraction(3, 2))


def output(m: int, r: int, points: list[Fraction], x: list[Fraction], w: list[Fraction]) -> list[Fraction]:
    """A_T [(G w) * (B_T x)] in rational arithmetic."""
    a_t, g, b_t = exact_matrices(m, r, points)
    products = [
        sum(a * b for a, b in zip(g_row, w, strict=True)) * sum(a * b for a, b in zip(b_row, x, strict=True))
        for g_row, b_row in zip(g, b_t, strict=True)
    ]
    return [sum((a * p for a, p in zip(row, products, strict=True)), Fraction(0)) for row in a_t]


@st.composite
def interpolations(draw: st.DrawFn) -> tuple[int, int, list[Fraction]]:
    """m, r and distinct points for them."""
    m, r = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    points = st.fractions(min_value=-4, max_value=4, max_denominator=8)
    return m, r, draw(st.lists(points, min_size=m + r - 2, max_size=m + r - 2, unique=True))


@given(interpolation=interpolations(), data=st.data())
def test_any_distinct_points_give_a_correlation_exactly(
    interpolation: tuple[int, int, list[Fraction]], data: st.DataObject
) -> None:
    m, r, points = interpolation
    numbers = st.fractions(min_value=-9, max_value=9, max_denominator=9)
    x = data.draw(st.lists(numbers, min_size=m + r - 1, max_size=m + r - 1))
    w = data.draw(st.lists(numbers, min_size=r, max_size=r))

    assert output(m, r, points, x, w) == [sum(w[j] * x[t + j] for j in range(r)) for t in range(m)]


@pytest.mark.parametrize(("m", "r"), [(1, 1), (1, 3), (3, 1), (2, 3), (3, 2), (4, 3), (6, 3), (2, 5), (4, 5), (8, 3)])
def test_customary_points_give_a_correlation_exactly(m: int, r: int) -> None:
    points = list(itertools.islice(customary_points(), m + r - 2))
    a_t, g, b_t = exact_matrices(m, r, points)

    for t, j, k in itertools.product(range(m), range(r), range(m + r - 1)):
        factor = sum(a_t[t][i] * g[i][j] * b_t[i][k] for i in range(m + r - 1))
        assert factor == (k == t + j)


@pytest.mark.parametrize("points", [None, CLOSER, (0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))])
def test_floats_are_the_nearest_to_the_exact_entries(points: tuple[Fraction, ...] | None) -> None:
    transform = toom_cook(4, 3, points)
    exact = exact_matrices(4, 3, points or (0, 1, -1, 2, -2))

    for matrix, entries in zip((transform.A_T, transform.G, transform.B_T), exact, strict=True):
        assert matrix.tolist() == [[float(entry) for entry in row] for row in entries]


def test_two_and_four_outputs_are_the_published_transforms() -> None:
    """Lavin & Gray (2016), whose F(2, 3) has the signs of two points, infinity among them, the other way round."""
    sixth, twelfth, twentyfourth = 1 / 6, 1 / 12, 1 / 24
    published = {
        F2: (
            [[1, 1, 1, 0], [0, 1, -1, -1]],
            [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
            [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        ),
        F4: (
            [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
            [
                [0.25, 0, 0],
                [-sixth, -sixth, -sixth],
                [-sixth, sixth, -sixth],
                [twentyfourth, twelfth, sixth],
                [twentyfourth, -twelfth, sixth],
                [0, 0, 1],
            ],
            [
                [4, 0, -5, 0, 1, 0],
                [0, -4, -4, 1, 1, 0],
                [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0],
                [0, 2, -1, -2, 1, 0],
                [0, 4, 0, -5, 0, 1],
            ],
        ),
    }
    signs = {F2: np.array([-1, 1, 1, -1]), F4: np.ones(6)}
    for transform, (a_t, g, b_t) in published.items():
        sign = signs[transform][:, None]
        assert np.array_equal(transform.B_T * sign, b_t)
        # The other sign of a point is in G where B_T has it, but at infinity in A_T.
        at_infinity = np.where(np.arange(transform.n) == transform.n - 1, sign[:, 0], 1)
        assert np.array_equal(transform.G * sign * at_infinity[:, None], g)
        assert np.array_equal(transform.A_T * at_infinity, a_t)


@pytest.mark.parametrize("points", [(0, 1, -1, 2, -2), CLOSER, (0, 1, -1, HALF, -HALF)])
def test_points_that_are_binary_fractions_leave_what_runs_on_every_call_exact(points: tuple[Fraction, ...]) -> None:
    transform, (a_t, _, b_t) = toom_cook(4, 3, points), exact_matrices(4, 3, points)

    for matrix, entries in ((transform.A_T, a_t), (transform.B_T, b_t)):
        # Short enough for float32, and even for float16.
        assert [[Fraction(float(value)) for value in row] for row in matrix.astype(np.float16)] == entries


def test_a_transform_can_not_be_changed_afterwards() -> None:
    given_a_t = F2.A_T.copy()
    transform = WinogradTransform(m=2, r=3, A_T=given_a_t, G=F2.G, B_T=F2.B_T)
    given_a_t[0, 0] = 7

    assert np.array_equal(transform.A_T, F2.A_T)
    with pytest.raises(ValueError, match="read-only"):
        transform.A_T[0, 0] = 7
    with pytest.raises(dataclasses.FrozenInstanceError):
        transform.m = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", ["A_T", "G", "B_T"])
@pytest.mark.parametrize("wrong", [1.0 + 2**-40, np.nan])
def test_matrices_that_compute_something_else_are_refused(name: str, wrong: float) -> None:
    matrices = {"A_T": F4.A_T.copy(), "G": F4.G.copy(), "B_T": F4.B_T.copy()}
    matrices[name][1, 1] *= wrong

    with pytest.raises(ConvError, match=r"are off F\(4,3\)"):
        WinogradTransform(m=4, r=3, **matrices)


def test_matrices_of_another_size_are_refused() -> None:
    with pytest.raises(ShapeMismatch, match=r"A_T has shape \(2, 4\); F\(4,3\) needs \(4, 6\)"):
        WinogradTransform(m=4, r=3, A_T=F2.A_T, G=F4.G, B_T=F4.B_T)


@pytest.mark.parametrize(
    ("m", "r", "points", "says"),
    [
        (0, 3, (0,), "no outputs or no taps"),
        (2, 0, (), "no outputs or no taps"),
        (0, 1, None, "no outputs or no taps"),
        (2, 3, (0, 1), "2 points, 2 distinct, for F(2,3); give 3 distinct ones"),
        (2, 3, (0, 1, 1.0), "3 points, 2 distinct"),
        (2, 3, (0, 1, float("inf")), "leave it out"),
        (2, 3, (0, 1, float("nan")), "not all finite"),
    ],
)
def test_what_defines_no_transform_is_refused(m: int, r: int, points: tuple[float, ...] | None, says: str) -> None:
    with pytest.raises(ConvError) as refused:
        toom_cook(m, r, points)
    assert says in str(refused.value)
