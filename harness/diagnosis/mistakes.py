"""The outputs that a backend returns which makes one of the mistakes that convolutions are known for."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from backends import Array, ConvProblem
from backends.geometry import end_padding_read, output_size
from backends.lowering import spatial_index
from harness import reference
from harness.diagnosis.misreadings import AXES, MISREADINGS, Misread
from harness.inputs import ConvArrays


def guesses(problem: ConvProblem, arrays: ConvArrays, truth: Array) -> Iterator[tuple[str, Array]]:
    """Each mistake in each variant, the likeliest first: words that complete "the outputs are those of", and outputs.

    Args:
        problem: What was posed.
        arrays: What to compute on.
        truth: The right outputs, shape (N, C_out, *out). A guess may be equal to it, or to another guess.
    """
    for words, misreading in MISREADINGS.items():
        for misread in misreading(problem, arrays):
            for outputs in () if _is_as_posed(problem, arrays, misread) else _outputs(problem, misread):
                yield words.format(misread.detail), outputs
    for words, misplaced in MISPLACINGS.items():
        for detail, outputs in misplaced(truth):
            yield words.format(detail), outputs.reshape(truth.shape)


def convolve(problem: ConvProblem, arrays: ConvArrays) -> Array:
    """The whole float64 result like `reference.convolve`, but NaN or infinite where such an input is read."""
    result = reference.compute(problem, arrays, seed=0, max_macs=sys.maxsize)
    return np.where(result.is_poisoned, result.poison, result.y).astype(np.float64).reshape(problem.y_shape)


def _outputs(problem: ConvProblem, misread: Misread) -> Iterator[Array]:
    """What a backend that solves the misread problem leaves in an output of the right shape.

    It may visit the right number of positions, of which the last may read zeros beyond the end; or it may fill the
    memory of the output with a result of another shape, cut off or repeated.
    """
    names = ("spatial", "kernel", "stride", "dilation", "padding")
    fields: list[Any] = [misread.changes.get(name, getattr(problem, name)) for name in names]
    natural = tuple(map(output_size, *fields))
    # Both results are corners of one that is as large as the larger along each axis.
    padding = tuple(
        (begin, max(end, end_padding_read(size, out, kernel, stride, dilation, begin)))
        for out, size, kernel, stride, dilation, (begin, end) in zip(problem.out, *fields, strict=True)
    )
    result = convolve(problem.replace(**{**misread.changes, "padding": padding}), misread.arrays)
    yield result[spatial_index(map(slice, problem.out))]
    if natural != problem.out and min(natural) > 0:
        yield np.resize(result[spatial_index(map(slice, natural))], problem.y_shape)


def _is_as_posed(problem: ConvProblem, arrays: ConvArrays, misread: Misread) -> bool:
    return misread.arrays is arrays and all(getattr(problem, name) == value for name, value in misread.changes.items())


def _axes_swapped(truth: Array) -> Iterator[tuple[str, Array]]:
    names = ("images", "output channels", *AXES[truth.ndim - 2])
    for a, b in [(0, 1), *itertools.combinations(range(2, truth.ndim), 2)]:
        yield f"{names[a]} and {names[b]}", truth.swapaxes(a, b)


def _backwards(truth: Array) -> Iterator[tuple[str, Array]]:
    for axis, name in enumerate(AXES[truth.ndim - 2], start=2):
        yield name, np.flip(truth, axis)


# Right sums in the wrong place. The words complete the same sentence as those of MISREADINGS.
MISPLACINGS: dict[str, Callable[[Array], Iterable[tuple[str, Array]]]] = {
    "a right result written with {} swapped": _axes_swapped,
    "a right result written with channels last in memory": lambda truth: [("", np.moveaxis(truth, 1, -1))],
    "a right result written backwards along its {}": _backwards,
}
