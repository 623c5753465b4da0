"""The numbers of a small problem as tables: each array as planes of its last two axes, wrong outputs marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from backends.problem import ConvProblem
from harness.records import Excerpt, Number

_NOT_FINITE = {"nan": "NaN", "inf": "∞", "-inf": "-∞"}
_LEAST_DIGITS, _MOST_DIGITS = 4, 17


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One number."""

    text: str
    is_wrong: bool = False


@dataclass(frozen=True, kw_only=True)
class Grid:
    """One plane of an array, as NumPy indexes it: "y[0, 1]"."""

    caption: str
    rows: tuple[tuple[Entry, ...], ...]


@dataclass(frozen=True, kw_only=True)
class ArrayGrids:
    """One array under its name."""

    name: str
    shape: str
    grids: tuple[Grid, ...]


def excerpt_grids(problem: ConvProblem, excerpt: Excerpt) -> list[ArrayGrids]:
    """Every array of an excerpt; outputs that are wrong are marked in `got`."""
    wrong = [place in excerpt.wrong for place in range(len(excerpt.got))]
    expected, got = _told_apart(excerpt.expected, excerpt.got, wrong)
    arrays = [
        _array("x", [number_text(value) for value in excerpt.x], problem.x_shape),
        _array("weight", [number_text(value) for value in excerpt.weight], problem.weight_shape),
    ]
    if excerpt.bias is not None:
        arrays.append(_array("bias", [number_text(value) for value in excerpt.bias], problem.bias_shape))
    arrays.append(_array("expected", expected, problem.y_shape, index="y"))
    arrays.append(_array("got", got, problem.y_shape, wrong, index="y"))
    return arrays


def number_text(value: Number, digits: int = _LEAST_DIGITS) -> str:
    """A number with so many significant digits, an integer with all of them."""
    if isinstance(value, str):
        return _NOT_FINITE.get(value, value)
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:#.{digits}g}"


def _told_apart(
    expected: Sequence[Number], got: Sequence[Number], wrong: Sequence[bool]
) -> tuple[list[str], list[str]]:
    """Both with as few digits as tell each wrong output from the right one."""
    for digits in range(_LEAST_DIGITS, _MOST_DIGITS + 1):
        texts = [number_text(value, digits) for value in expected], [number_text(value, digits) for value in got]
        if all(one != other for one, other, is_wrong in zip(*texts, wrong, strict=True) if is_wrong):
            break
    return texts


def _array(
    name: str, texts: Sequence[str], shape: Sequence[int], wrong: Sequence[bool] | None = None, *, index: str = ""
) -> ArrayGrids:
    flags = wrong if wrong is not None else [False] * len(texts)
    entries = [Entry(text=text, is_wrong=is_wrong) for text, is_wrong in zip(texts, flags, strict=True)]
    return ArrayGrids(name=name, shape=f"({', '.join(map(str, shape))})", grids=_grids(index or name, entries, shape))


def _grids(name: str, entries: Sequence[Entry], shape: Sequence[int]) -> tuple[Grid, ...]:
    if len(shape) == 1:
        return (Grid(caption=name, rows=(tuple(entries),)),)
    if math.prod(shape[2:]) == 1 and len(entries) > 1:
        # A plane for each pair of channels would hold one number.
        rest = ", ".join([":", ":", *"0" * (len(shape) - 2)])
        return (Grid(caption=f"{name}[{rest}]", rows=_rows(entries, shape[1])),)
    height, width = shape[-2:]
    planes = product(*map(range, shape[:-2]))
    return tuple(
        Grid(
            caption=f"{name}[{', '.join(map(str, plane))}]",
            rows=_rows(entries[place * height * width : (place + 1) * height * width], width),
        )
        for place, plane in enumerate(planes)
    )


def _rows(entries: Sequence[Entry], width: int) -> tuple[tuple[Entry, ...], ...]:
    return tuple(tuple(entries[first : first + width]) for first in range(0, len(entries), width))
