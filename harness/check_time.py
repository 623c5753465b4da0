"""Predicts how long a backend's check of a problem will take, or its reference, from those that have been finished.

A check makes data, prepares and calls many times. For small problems that is a constant, whatever is computed; for
large ones it is time per element read, per output (interpreted loops), per multiply-add (compiled ones), or per element
of the kernels' spectra (transforms). Least squares find out which. Where several explain what was seen, the one that
promises most counts: taken for time per output, the constant would make every large problem look hopeless.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable

from backends import ConvProblem

# Problems come in order of size: the latest are the nearest, and the fit stays cheap after thousands of them.
_REMEMBERED = 64
# The first few are cold: libraries start their threads, compilers compile.
_ENOUGH = 3
# Relative errors (root mean square) up to this may be noise: a model that leaves no more explains what was seen.
_NOISE = 0.3
# Columns that differ by less than this part of their length are one column.
_LEAST_PIVOT = 1e-9


class CheckTime:
    """What the latest problems have taken, and what others would."""

    def __init__(self) -> None:
        self._terms: deque[tuple[float, ...]] = deque(maxlen=_REMEMBERED)
        self._models: list[tuple[float, ...]] | None = None

    def __len__(self) -> int:
        return len(self._terms)

    def learn(self, problem: ConvProblem, spent_s: float) -> None:
        """Add a problem that took so long."""
        # Divided by the time, errors are relative: a check of 10 ms counts as much as one of 10 s.
        self._terms.append(tuple(term / spent_s for term in _terms(problem)))
        self._models = None

    def predict_s(self, problem: ConvProblem) -> float | None:
        """Seconds that a problem takes at least, as far as is known; None before enough was learnt to say."""
        if len(self) < _ENOUGH:
            return None
        if self._models is None:
            self._models = _models(self._terms)
        terms = _terms(problem)
        return min(math.fsum(map(float.__mul__, model, terms)) for model in self._models)


def _terms(problem: ConvProblem) -> tuple[float, ...]:
    padded = math.prod(size + sum(ends) for size, ends in zip(problem.spatial, problem.padding, strict=True))
    elements = problem.N * problem.C_in * padded + math.prod(problem.weight_shape)
    spectra = problem.C_out * problem.C_in // problem.groups * padded
    return 1.0, float(elements), float(math.prod(problem.y_shape)), float(problem.macs_nominal), float(spectra)


def _models(rows: Iterable[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Each x >= 0 that minimises the sum of (row @ x - 1)**2 in some of its columns, and leaves no more than noise.

    The best of them, the non-negative least squares' solution, is always there.
    """
    columns = list(zip(*rows, strict=True))
    norms = [math.sqrt(math.fsum(value * value for value in column)) for column in columns]
    products = [
        [math.fsum(map(float.__mul__, a, b)) / (norms[i] * norms[j]) for j, b in enumerate(columns)]
        for i, a in enumerate(columns)
    ]
    sums = [math.fsum(column) / norm for column, norm in zip(columns, norms, strict=True)]
    found: list[tuple[float, tuple[float, ...]]] = []
    for size in range(1, len(columns) + 1):
        for subset in itertools.combinations(range(len(columns)), size):
            x = _solution([[products[i][j] for j in subset] for i in subset], [sums[i] for i in subset])
            if x is not None and min(x) >= 0:
                error = len(columns[0]) - math.fsum(sums[i] * value for i, value in zip(subset, x, strict=True))
                values = dict(zip(subset, x, strict=True))
                found.append((error, tuple(values.get(i, 0.0) / norms[i] for i in range(len(columns)))))
    acceptable = max(min(found)[0], _NOISE**2 * len(columns[0]))
    return [model for error, model in found if error <= acceptable]


def _solution(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """Solve a symmetric system with ones on its diagonal by elimination; None where it is singular."""
    n = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(n):
        if rows[i][i] < _LEAST_PIVOT:
            return None
        for other in range(n):
            if other != i:
                factor = rows[other][i] / rows[i][i]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[i], strict=True)]
    return [rows[i][n] / rows[i][i] for i in range(n)]
