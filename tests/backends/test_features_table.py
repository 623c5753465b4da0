"""Every backend is exact on oneDNN's own feature shapes: tails, strides, dilation, padding, groups and odd ranks."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from strategies import EVERY_BACKEND

import backends
from backends import Algorithm, ConvProblem

TABLE = Path(__file__).parents[2] / "harness" / "tables" / "onednn_features.csv"
MAX_BATCH = 2
# Above this a row costs seconds a backend; smaller rows of the same families have the same tails and strides.
MAX_MACS = 50e6
# naive takes about 10 us an output.
MAX_NAIVE_OUTPUTS = 20_000


def problem_of_row(row: dict[str, str]) -> ConvProblem:
    """The row's problem as the table states it."""
    letters = "dhw"[3 - int(row["ndim"]) :]

    def axes(column: str) -> tuple[int, ...]:
        return tuple(int(row[column.format(letter)]) for letter in letters)

    return ConvProblem(
        N=int(row["N"]),
        C_in=int(row["C_in"]),
        C_out=int(row["C_out"]),
        groups=int(row["groups"]),
        spatial=axes("in_{}"),
        kernel=axes("k_{}"),
        stride=axes("stride_{}"),
        dilation=axes("dil_{}"),
        # A negative end says that trailing input is never read, which the output formula does by itself.
        padding=[(begin, max(0, end)) for begin, end in zip(axes("pad_{}_begin"), axes("pad_{}_end"), strict=True)],
        label=row["name"],
    )


with TABLE.open(encoding="utf-8", newline="") as _table:
    ROWS = list(csv.DictReader(_table))
PROBLEMS = [problem_of_row(row) for row in ROWS]
# The table lists some shapes under several names; each is checked once, in the table's order.
SMALL = [
    problem
    for problem in dict.fromkeys(p.replace(N=min(p.N, MAX_BATCH)) for p in PROBLEMS)
    if problem.macs_nominal <= MAX_MACS
]


def sparse_signs(problem: ConvProblem) -> tuple[np.ndarray, np.ndarray]:
    """x and weight of -1, 0 and 1, so that float32 transforms of long sums still round to the right integer."""
    rng = np.random.default_rng(0)
    return tuple(rng.integers(-1, 2, shape).astype(problem.dtype) for shape in (problem.x_shape, problem.weight_shape))


def by_taps(x: np.ndarray, weight: np.ndarray, problem: ConvProblem) -> np.ndarray:
    """The convolution in float64, one gathered slice and one small matrix product a tap."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *problem.padding])
    grouped = padded.reshape(problem.N, problem.groups, -1, *padded.shape[2:])
    kernels = weight.astype(np.float64).reshape(problem.groups, -1, *weight.shape[1:])
    y = np.zeros((problem.N, problem.groups, kernels.shape[1], int(np.prod(problem.out))))
    for tap in itertools.product(*map(range, problem.kernel)):
        where = [
            t * d + s * np.arange(out)
            for t, d, s, out in zip(tap, problem.dilation, problem.stride, problem.out, strict=True)
        ]
        read = grouped[(slice(None), slice(None), slice(None), *np.ix_(*where))]
        y += kernels[(..., *tap)] @ read.reshape(problem.N, problem.groups, read.shape[2], -1)
    return y.reshape(problem.y_shape)


def test_table_states_the_sizes_that_problems_derive() -> None:
    assert len(ROWS) > 300
    for row, problem in zip(ROWS, PROBLEMS, strict=True):
        stated = tuple(int(row[f"out_{letter}"]) for letter in "dhw"[3 - problem.ndim :])
        assert (problem.out, problem.macs_nominal) == (stated, int(row["macs"])), row["name"]


def test_most_of_the_table_is_small_enough_to_check() -> None:
    assert len(SMALL) > 250
    assert {problem.ndim for problem in SMALL} == {1, 2, 3}


@pytest.mark.parametrize("name", backends.names())
def test_nothing_in_the_table_is_declined(name: str) -> None:
    backend = backends.get(name)
    declined = {str(p): reason for p in PROBLEMS if (reason := backend.why_unsupported(p)) is not None}
    assert declined == {}


@pytest.mark.parametrize("spec", EVERY_BACKEND)
def test_table_is_computed_exactly(spec: str, answers: dict[ConvProblem, np.ndarray]) -> None:
    backend = backends.get(spec)
    wrong = []
    for problem in SMALL:
        if backend.why_unsupported(problem) or (spec == "naive" and np.prod(problem.y_shape) > MAX_NAIVE_OUTPUTS):
            continue
        x, weight = sparse_signs(problem)
        y = backend.prepare(problem, weight)(backend.device.put(x))
        backend.device.synchronize()
        y = backend.device.get(y)
        if backend.algorithm in (Algorithm.FFT, Algorithm.WINOGRAD):
            y = np.rint(y)
        if not np.array_equal(y, answers[problem]):
            wrong.append(str(problem))
    assert wrong == []


@pytest.fixture(scope="module")
def answers() -> dict[ConvProblem, np.ndarray]:
    """The exact answer of each small problem."""
    return {problem: by_taps(*sparse_signs(problem), problem).astype(np.float32) for problem in SMALL}
