"""Matrices of Winograd's minimal filtering: m outputs of an r-tap correlation from m + r - 1 products.

With a tile x of m + r - 1 inputs and taps w, y = A_T [(G w) * (B_T x)], the middle product element by element. Axes
nest: two of them apply each matrix along rows and columns, and (m + r - 1)**2 products give m**2 outputs.

A backend whose `algorithm` is Algorithm.WINOGRAD may offer an attribute

    transforms(problem) -> tuple[WinogradTransform | None, ...]

with one entry a spatial axis: what it computes that problem by, or None where taps are summed directly, such as the
depth of a 3-D problem that is computed slice by slice. How far its results may be off follows from that.

Sources: Winograd (1980), "Arithmetic Complexity of Computations"; Lavin & Gray (2016), "Fast Algorithms for
Convolutional Neural Networks".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from backends.errors import ConvError, ShapeMismatch
from backends.protocol import Array

Matrix: TypeAlias = list[list[Fraction]]
Point: TypeAlias = Fraction | float
# Matrices that were rounded to float64 miss the identity by about one unit of 2**-53 an entry and a product each.
_IDENTITY_ROUNDINGS = 8


# Compared by identity: arrays have no single truth value.
@dataclass(frozen=True, kw_only=True, eq=False)
class WinogradTransform:
    """One axis of F(m, r): the three matrices, float64 and read-only.

    Attributes:
        m: Outputs a tile.
        r: Taps.
        A_T: From products to outputs, shape (m, m + r - 1).
        G: From taps to factors, shape (m + r - 1, r).
        B_T: From inputs to factors, shape (m + r - 1, m + r - 1).

    Raises:
        ShapeMismatch: A matrix has another shape.
        ConvError: Together the matrices compute something else than a correlation.
    """

    m: int
    r: int
    A_T: Array
    G: Array
    B_T: Array

    def __post_init__(self) -> None:
        for name, shape in (("A_T", (self.m, self.n)), ("G", (self.n, self.r)), ("B_T", (self.n, self.n))):
            matrix = np.array(getattr(self, name), dtype=np.float64)
            if matrix.shape != shape:
                raise ShapeMismatch(f"{name} has shape {matrix.shape}; {self} needs {shape}")
            matrix.setflags(write=False)
            object.__setattr__(self, name, matrix)
        self._require_correlation()

    @property
    def n(self) -> int:
        """Inputs a tile, and products: m + r - 1."""
        return self.m + self.r - 1

    def __str__(self) -> str:
        return f"F({self.m},{self.r})"

    def _require_correlation(self) -> None:
        """Tap j of output t must read input t + j with factor 1, and no other."""
        factor = np.einsum("ti,ij,ik->tjk", self.A_T, self.G, self.B_T)
        largest = np.einsum("ti,ij,ik->tjk", abs(self.A_T), abs(self.G), abs(self.B_T))
        t, j, k = np.indices(factor.shape)
        off = abs(factor - (k == t + j))
        # Negated, so that a NaN fails too.
        if not (off <= (_IDENTITY_ROUNDINGS + self.n) * 2.0**-53 * largest).all():
            raise ConvError(f"these A_T, G and B_T are off {self} by {off.max():.3g}; derive them with toom_cook")


def toom_cook(m: int, r: int, points: Sequence[Point] | None = None) -> WinogradTransform:
    """F(m, r) from interpolation at m + r - 2 finite points and infinity.

    The points decide the rounding errors: for F(4, 3), 0, +-3/4, +-3/2 err half as much as the customary ones and a
    quarter at worst, at nearly the same count of operations.

    Args:
        m: Outputs a tile, 1 or more.
        r: Taps, 1 or more.
        points: Distinct; None for the customary ones. A float stands for exactly its value: 1/3 is Fraction(1, 3).

    Raises:
        ConvError: m, r or the points define no transform.

    Sources: Toom (1963) and Cook (1966), products of polynomials; Barabasz et al. (2020), "Error Analysis and Improving
    the Accuracy of Winograd Convolution for Deep Neural Networks", on choosing the points.
    """
    if points is None:
        points = tuple(itertools.islice(customary_points(), max(0, m + r - 2)))
    outputs, taps, inputs = exact_matrices(m, r, points)
    return WinogradTransform(m=m, r=r, A_T=_rounded(outputs), G=_rounded(taps), B_T=_rounded(inputs))


def customary_points() -> Iterator[Fraction]:
    """0, then powers of two, those nearest to 1 first, with both signs: 1, -1, 2, -2, 1/2, -1/2, 4, -4, ..."""
    yield Fraction(0)
    for exponent in itertools.count():
        for size in sorted({Fraction(2) ** exponent, Fraction(2) ** -exponent}, reverse=True):
            yield from (size, -size)


def exact_matrices(m: int, r: int, points: Sequence[Point]) -> tuple[Matrix, Matrix, Matrix]:
    """A_T, G and B_T in rational arithmetic.

    The product s of polynomials a and w, of m and r coefficients, is known from its values at m + r - 2 points p_i and
    its leading coefficient (its value at "infinity"): s(p) = sum_i a(p_i) w(p_i) L_i(p) / N_i + a_lead w_lead L(p) with
    L(p) = prod_k (p - p_k), L_i without its factor i, and N_i = L_i(p_i). A correlation is the transpose of that map
    for fixed w: A_T evaluates a, G evaluates w, and B_T holds the coefficients of L_i and L.

    Scaling: a point's column of A_T and rows of G and B_T may be scaled against each other. Here B_T's polynomials are
    monic, A_T holds plain powers, and all N_i divide G. So where points are dyadic, B_T and A_T, which run on every
    call, are exact in binary and keep many entries of +-1; only G, which runs once per weight, is rounded. For the
    customary points these are Lavin & Gray's matrices, up to signs. No power of two would change any rounding error.
    """
    finite = _checked(m, r, points)
    others = [[q for q in finite if q != p] for p in finite]
    divisors = [math.prod((p - q for q in rest), start=Fraction(1)) for p, rest in zip(finite, others, strict=True)]
    a_t = [[*(p**t for p in finite), Fraction(t == m - 1)] for t in range(m)]
    g = [[p**j / divisor for j in range(r)] for p, divisor in zip(finite, divisors, strict=True)]
    g.append([Fraction(j == r - 1) for j in range(r)])
    b_t = [[*_monic(rest), Fraction(0)] for rest in others]
    b_t.append(_monic(finite))
    return a_t, g, b_t


def _monic(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of prod (x - root), the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *coefficients], [*(root * c for c in coefficients), Fraction(0)]
        coefficients = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients


def _checked(m: int, r: int, points: Sequence[Point]) -> list[Fraction]:
    if m < 1 or r < 1:
        raise ConvError(f"F({m},{r}) has no outputs or no taps; use 1 or more of each")
    if not all(math.isfinite(point) for point in points):
        raise ConvError(f"points={tuple(points)} are not all finite; infinity is added by itself, leave it out")
    finite = [Fraction(point) for point in points]
    if len(finite) != m + r - 2 or len(set(finite)) != len(finite):
        distinct = len(set(finite))
        raise ConvError(f"{len(finite)} points, {distinct} distinct, for F({m},{r}); give {m + r - 2} distinct ones")
    return finite


def _rounded(matrix: Matrix) -> Array:
    return np.array([[float(entry) for entry in row] for row in matrix])


F2 = toom_cook(2, 3)
"""F(2, 3) with the customary points 0, +-1: in 2-D 2.25 times fewer products, nearly as accurate as direct sums."""

F4 = toom_cook(4, 3)
"""F(4, 3) with the customary points 0, +-1, +-2: in 2-D 4 times fewer products, and errors some ten times larger."""
