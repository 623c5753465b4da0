"""Where wrong outputs lie, in words: the tightest region that holds them all and that they do not fill by chance."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from backends import Array, ConvProblem
from backends.geometry import kernel_extent

# Wrong outputs strewn at random all fall into a region of this problem with at most this probability, or the region
# is not worth naming. Up to a dozen regions are tried.
_BY_CHANCE = 1e-3
# On integers, some wrong outputs are right by accident.
_NEARLY_ALL = 0.9
# So few positions can be listed where no region holds them.
_FEW = 3
_LINES = {1: ("position",), 2: ("row", "column"), 3: ("plane", "row", "column")}


class _Region(NamedTuple):
    words: str
    """Completes "all wrong outputs lie ..." and "the outputs ...": "in the last column"."""
    is_inside: Array


def whereabouts(is_wrong: Array, problem: ConvProblem) -> str:
    """One sentence on where the wrong outputs lie.

    Args:
        is_wrong: Shape (N, C_out, *out), true somewhere.
        problem: Whose outputs they are.
    """
    wrong, total = int(np.count_nonzero(is_wrong)), is_wrong.size
    if wrong == total:
        return "every output is wrong" if total > 1 else "the only output is wrong"
    positions = [f"y[{', '.join(map(str, index))}]" for index in np.argwhere(is_wrong)[:_FEW]]
    if wrong == 1:
        return f"the only wrong output of {total} is {positions[0]}{_corner(is_wrong)}"
    regions = [region for region in _regions(is_wrong, problem) if _is_telling(region, is_wrong)]
    if regions:
        words, is_inside = min(regions, key=lambda region: int(np.count_nonzero(region.is_inside)))
        if is_inside.sum() == wrong:
            return f"the {wrong} outputs {words} are wrong, the rest of {total} is right"
        return f"all {wrong} wrong outputs (of {total}) lie {words}"
    if wrong <= _FEW:
        return f"the {wrong} wrong outputs of {total} are {', '.join(positions[:-1])} and {positions[-1]}"
    pattern = "which is nearly every one" if wrong >= _NEARLY_ALL * total else "with no pattern in where they lie"
    return f"{wrong} of {total} outputs are wrong, {pattern}"


def _is_telling(region: _Region, is_wrong: Array) -> bool:
    size, wrong = int(np.count_nonzero(region.is_inside)), int(np.count_nonzero(is_wrong))
    if size == is_wrong.size or bool((is_wrong & ~region.is_inside).any()):
        return False
    # A large region that is half right is no description of what is wrong; and few positions are better listed.
    is_tight = wrong > _FEW and (wrong >= _NEARLY_ALL * size or size <= is_wrong.size / 2)
    return size == wrong or (is_tight and (size / is_wrong.size) ** wrong <= _BY_CHANCE)


def _regions(is_wrong: Array, problem: ConvProblem) -> Iterator[_Region]:
    """Regions that may hold what is wrong; of equals, the plainest first."""
    ranges = [_range_of(is_wrong, axis) for axis in range(is_wrong.ndim)]
    wrong = int(np.count_nonzero(is_wrong))
    if math.prod(map(len, ranges)) == wrong:
        yield _box(ranges, problem)
    # Where they are strewn, an axis along which they may be anywhere only clutters the sentence.
    yield _box(
        [
            found if (len(found) / size) ** wrong <= _BY_CHANCE else range(size)
            for found, size in zip(ranges, is_wrong.shape, strict=True)
        ],
        problem,
    )
    yield from _faces(is_wrong, problem)
    yield _Region("where padding is read", np.broadcast_to(_reads_padding(problem), is_wrong.shape))
    yield from _ends_of_memory(is_wrong, problem)


def _range_of(is_wrong: Array, axis: int) -> range:
    """The tightest arithmetic progression of indices along the axis that holds all that is wrong."""
    found = np.flatnonzero(is_wrong.any(axis=tuple(a for a in range(is_wrong.ndim) if a != axis)))
    step = math.gcd(*(int(gap) for gap in np.diff(found))) or 1
    return range(int(found[0]), int(found[-1]) + 1, step)


def _box(ranges: list[range], problem: ConvProblem) -> _Region:
    """The outputs whose every index is in its axis's range."""
    nouns = ("image", "output channel", *_LINES[problem.ndim])
    words = [
        f"in {_range_text(found, size, noun)}"
        for found, size, noun in zip(ranges, problem.y_shape, nouns, strict=True)
        if len(found) < size
    ]
    per_group, channels = problem.C_out // problem.groups, ranges[1]
    starts_group, ends_group = channels.start % per_group == 0, channels.stop % per_group == 0
    if 1 < per_group < problem.C_out > len(channels) and channels.step == 1 and starts_group and ends_group:
        in_groups = range(channels.start // per_group, channels.stop // per_group)
        words[len(ranges[0]) < problem.N] += f" (those of {_range_text(in_groups, problem.groups, 'group')})"
    is_inside = np.zeros(problem.y_shape, dtype=bool)
    is_inside[np.ix_(*ranges)] = True
    return _Region(", ".join(words), is_inside)


def _range_text(found: range, size: int, noun: str) -> str:
    """Some of the indices 0 .. size - 1 of an axis in words: "the last row", "rows 2 to 5"."""
    first, last, count = found[0], found[-1], len(found)
    if count == 1:
        ends = {0: f"the first {noun}", size - 1: f"the last {noun}"}
        return ends.get(first, f"{noun} {first}")
    if found.step > 1:
        if (first, last, count) == (0, size - 1, 2):
            return f"the first and the last {noun}"
        listed = " and ".join(map(str, found)) if count == 2 else f"{first}, {found[1]} ... {last}"
        return f"{noun}s {listed}"
    named = {
        (1, size - 1): f"every {noun} but the first",
        (0, size - 2): f"every {noun} but the last",
        (1, size - 2): f"every {noun} but the first and the last",
    }
    if last == size - 1:
        named.setdefault((first, last), f"the {noun}s from {first} on")
    return named.get((first, last), f"{noun}s {first} to {last}")


def _faces(is_wrong: Array, problem: ConvProblem) -> Iterator[_Region]:
    """The fewest outermost lines or planes that hold all that is wrong, if they are of more than one axis."""
    faces = {}
    for axis, (size, line) in enumerate(zip(problem.out, _LINES[problem.ndim], strict=True)):
        shape = [-1 if a == axis else 1 for a in range(problem.ndim)]
        for words, index in {f"the first {line}": 0, f"the last {line}": size - 1}.items():
            faces[words] = np.broadcast_to((np.arange(size) == index).reshape(shape), problem.out)
    union = functools.reduce(np.logical_or, faces.values())
    if not is_wrong[..., ~union].any():
        needed = dict(faces)
        for words in faces:
            others = [face for name, face in needed.items() if name != words]
            if others and not is_wrong[..., ~functools.reduce(np.logical_or, others)].any():
                del needed[words]
        text = "on the border" if len(needed) == len(faces) else f"in {' or '.join(needed)}"
        held = functools.reduce(np.logical_or, needed.values())
        yield _Region(text, np.broadcast_to(held, is_wrong.shape))


def _reads_padding(problem: ConvProblem) -> Array:
    """Whether any tap of an output reads padding, shape of one output channel."""
    reads = np.zeros(problem.out, dtype=bool)
    for axis, size in enumerate(problem.spatial):
        first = np.arange(problem.out[axis]) * problem.stride[axis] - problem.padding[axis][0]
        last = first + kernel_extent(problem.kernel[axis], problem.dilation[axis]) - 1
        reads |= ((first < 0) | (last >= size)).reshape([-1 if a == axis else 1 for a in range(problem.ndim)])
    return reads


def _ends_of_memory(is_wrong: Array, problem: ConvProblem) -> Iterator[_Region]:
    """The ends of each channel's positions, and of the whole output, in memory order: what blocked loops leave over."""
    positions = math.prod(problem.out)
    first = int(np.flatnonzero(is_wrong.reshape(-1, positions).any(axis=0))[0])
    is_inside = np.broadcast_to((np.arange(positions) >= first).reshape(problem.out), is_wrong.shape)
    yield _Region(f"at the last {positions - first} of each channel's {positions} positions", is_inside)
    first = int(np.argmax(is_wrong))
    is_inside = (np.arange(is_wrong.size) >= first).reshape(is_wrong.shape)
    yield _Region(f"at the last {is_wrong.size - first} places in memory", is_inside)


def _corner(is_wrong: Array) -> str:
    index = np.argwhere(is_wrong)[0]
    if not index.any():
        return ", the very first"
    if (index == np.array(is_wrong.shape) - 1).all():
        return ", the very last"
    ends = [{0, size - 1} for size in is_wrong.shape[2:]]
    return ", in a corner" if tuple(index[2:]) in itertools.product(*ends) else ""
