"""The smallest problem that still fails: greedy steps from a failing problem to simpler ones.

Every step goes down in one order of problems (`complexity`), so the search ends; what it ends at is a local minimum:
none of its simpler neighbours fails. Plain Python: what failing means is the caller's.

Source of the idea: Zeller & Hildebrandt (2002), "Simplifying and isolating failure-inducing input".
"""

from __future__ import annotations

import dataclasses
import itertools
import operator
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from backends import ConvProblem, InvalidGeometry
from backends.geometry import kernel_extent, output_size
from backends.problem import MAX_NDIM

_Changes = dict[str, object]  # constructor arguments of a ConvProblem
_Move = Callable[[ConvProblem], Iterator[_Changes]]
_Cut = Callable[[int], int]  # by how much a value exceeds its least, to how much of that is left
_LEAST = {"kernel": 1, "stride": 1, "dilation": 1, "begin": 0, "end": 0}


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """Where a search ended.

    Attributes:
        problem: Fails, without label and count.
        tries: How many other problems were asked about.
        is_minimal: No simpler neighbour of it fails; False when time or tries ended the search first.
    """

    problem: ConvProblem
    tries: int
    is_minimal: bool


def smallest(
    problem: ConvProblem,
    fails: Callable[[ConvProblem], bool],
    *,
    limit_s: float,
    clock: Callable[[], float] = time.monotonic,
    most_tries: int = 400,
) -> Shrunk:
    """A problem that fails and is as simple as single moves and natural pairs of them can make it.

    Args:
        problem: Known to fail.
        fails: Asked at most once about a problem, and never about the given one.
        limit_s: No question is asked after this time; one that is being answered is waited for.
        clock: Seconds.
        most_tries: No more questions than these.
    """
    deadline = clock() + limit_s
    current = _unnamed(problem)
    known = {current}
    # A move that helped is repeated at once, and the others go on from there: going back to the boldest after every
    # step would ask again and again what has just failed to help. A full round in vain shows a minimum.
    moves = itertools.cycle(_MOVES)
    move, in_vain = next(moves), 0
    while in_vain < len(_MOVES):
        for candidate in _neighbours(current, move):
            if candidate in known:
                continue
            if len(known) > most_tries or clock() >= deadline:
                return Shrunk(problem=current, tries=len(known) - 1, is_minimal=False)
            known.add(candidate)
            if fails(candidate):
                current, in_vain = candidate, 0
                break
        else:
            move, in_vain = next(moves), in_vain + 1
    return Shrunk(problem=current, tries=len(known) - 1, is_minimal=True)


def simpler(problem: ConvProblem) -> Iterator[ConvProblem]:
    """Valid neighbours below a problem in the order of `complexity`, each once, boldest moves first."""
    bare = _unnamed(problem)
    seen: set[ConvProblem] = set()
    for move in _MOVES:
        for candidate in _neighbours(bare, move):
            if candidate not in seen:
                seen.add(candidate)
                yield candidate


def complexity(problem: ConvProblem) -> tuple[int, ...]:
    """The key of a total order on the problems of one dtype: fewer axes, then less and more even padding, then smaller.

    Padding stands before sizes, so that an input which is larger instead of padded counts as simpler. With the number
    of axes fixed, keys are natural numbers of fixed count: no sequence of ever simpler problems is endless.
    """
    pads = [end for pair in problem.padding for end in pair]
    unevenness = sum(abs(end - begin) for begin, end in problem.padding)
    geometry = (*problem.spatial, *problem.kernel, *problem.stride, *problem.dilation)
    sizes = (problem.N, problem.C_in, problem.C_out, problem.groups, int(problem.bias), *geometry)
    return (problem.ndim, sum(pads), unevenness, sum(sizes), *sizes, *pads)


def _unnamed(problem: ConvProblem) -> ConvProblem:
    return problem.replace(label="", count=1)


def _neighbours(problem: ConvProblem, move: _Move) -> Iterator[ConvProblem]:
    """What a move makes of a problem, where that is a convolution and simpler: no search goes round."""
    for changes in move(problem):
        try:
            candidate = problem.replace(**changes)
        except InvalidGeometry:
            continue
        if complexity(candidate) < complexity(problem):
            yield candidate


def _cuts(excess: int) -> Iterator[_Cut]:
    """Ways to lower values that exceed their least by at most this, boldest first.

    To the least, next to it, half way there, and by powers of two: kernels are blocked by these, and what fails in the
    remainder of a block of 8 still does with 8 fewer.
    """
    yield lambda _: 0
    yield lambda _: 1
    yield lambda left: left // 2
    for exponent in reversed(range(excess.bit_length())):
        yield partial(operator.add, -(2**exponent))


def _lowered(value: int, least: int, cut: _Cut) -> int:
    """The value cut down, but not below its least; what is below it already is raised to it."""
    excess = value - least
    return least + max(0, min(excess, cut(excess)))


# Moves on the whole problem.


def _fewer_axes(problem: ConvProblem) -> Iterator[_Changes]:
    axes = _axes_of(problem)
    for dropped in range(problem.ndim):
        yield _changes([axis for i, axis in enumerate(axes) if i != dropped])


def _smaller_batch(problem: ConvProblem) -> Iterator[_Changes]:
    for cut in _cuts(problem.N - 1):
        yield {"N": _lowered(problem.N, 1, cut)}


def _no_bias(_problem: ConvProblem) -> Iterator[_Changes]:
    yield {"bias": False}


def _fewer_groups(problem: ConvProblem) -> Iterator[_Changes]:
    """With the channels of each group kept."""
    for cut in _cuts(problem.groups - 1):
        groups = _lowered(problem.groups, 1, cut)
        channels = {name: total // problem.groups * groups for name, total in _channels(problem).items()}
        yield {"groups": groups, **channels}


def _larger_groups(problem: ConvProblem) -> Iterator[_Changes]:
    """Fewer groups with all channels kept."""
    for cut in _cuts(problem.groups - 1):
        yield {"groups": _lowered(problem.groups, 1, cut)}


def _fewer_channels(*names: str) -> _Move:
    """In each group; in and out together where both are named."""

    def move(problem: ConvProblem) -> Iterator[_Changes]:
        per_group = {name: _channels(problem)[name] // problem.groups for name in names}
        for cut in _cuts(max(per_group.values()) - 1):
            yield {name: problem.groups * _lowered(channels, 1, cut) for name, channels in per_group.items()}

    return move


def _channels(problem: ConvProblem) -> dict[str, int]:
    return {"C_in": problem.C_in, "C_out": problem.C_out}


# Moves along spatial axes.


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """The numbers of one spatial axis."""

    size: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int

    @property
    def extent(self) -> int:
        return kernel_extent(self.kernel, self.dilation)

    @property
    def out(self) -> int:
        return output_size(self.size, self.kernel, self.stride, self.dilation, (self.begin, self.end))

    def least(self, name: str) -> int:
        """The least value of a number while the others stay."""
        return self.size_for(1) if name == "size" else _LEAST[name]

    def size_for(self, out: int) -> int:
        """The least input size with this many outputs, or 1."""
        return max(1, (out - 1) * self.stride + self.extent - self.begin - self.end)

    def with_lower(self, names: tuple[str, ...], cut: _Cut) -> _Axis:
        """Each named number lowered in turn; size goes last, as the others decide its least."""
        axis = self
        for name in names:
            axis = dataclasses.replace(axis, **{name: _lowered(getattr(axis, name), axis.least(name), cut)})
        return axis


_Follow = Callable[[_Axis, _Axis], _Axis]  # what else changes on an axis, given how it was before and is now


def _alone(_before: _Axis, after: _Axis) -> _Axis:
    return after


def _size_keeps_out(before: _Axis, after: _Axis) -> _Axis:
    return dataclasses.replace(after, size=after.size_for(before.out))


def _padding_gives_way(before: _Axis, after: _Axis) -> _Axis:
    """Padding shrinks with the span of the kernel, so that "same" stays "same"."""
    begin_less = (before.extent - after.extent) // 2
    end_less = before.extent - after.extent - begin_less
    return dataclasses.replace(after, begin=max(0, after.begin - begin_less), end=max(0, after.end - end_less))


def _size_takes_padding(before: _Axis, after: _Axis) -> _Axis:
    given_up = before.begin + before.end - after.begin - after.end
    return dataclasses.replace(after, size=after.size + given_up)


_SINGLES: tuple[tuple[tuple[str, ...], _Follow], ...] = (
    (("size",), _alone),
    (("kernel",), _alone),
    (("stride",), _alone),
    (("dilation",), _alone),
    (("begin", "end"), _alone),
    (("begin",), _alone),
    (("end",), _alone),
)
# Where one number alone cannot go down because the failure needs a relation: kernel = stride (patches), an output or a
# padded input of some size, padding of the kernel's half, a kernel as wide as its input.
_PAIRS: tuple[tuple[tuple[str, ...], _Follow], ...] = (
    (("kernel",), _size_keeps_out),
    (("kernel",), _padding_gives_way),
    (("stride",), _size_keeps_out),
    (("dilation",), _size_keeps_out),
    (("dilation",), _padding_gives_way),
    (("kernel", "dilation"), _alone),
    (("kernel", "stride"), _alone),
    (("stride", "dilation"), _alone),
    (("begin", "end", "size"), _alone),
    (("begin", "end"), _size_takes_padding),
    (("begin",), _size_takes_padding),
    (("end",), _size_takes_padding),
)


def _along(names: tuple[str, ...], follow: _Follow, only: int | None) -> _Move:
    """Lower the named numbers on one axis, or on all of them at once."""

    def move(problem: ConvProblem) -> Iterator[_Changes]:
        axes = _axes_of(problem)
        chosen = range(problem.ndim) if only is None else range(only, min(only + 1, problem.ndim))
        largest = max((getattr(axes[i], name) for i in chosen for name in names), default=0)
        for cut in _cuts(largest):
            yield _changes(
                [follow(axis, axis.with_lower(names, cut)) if i in chosen else axis for i, axis in enumerate(axes)]
            )

    return move


def _evener_padding(problem: ConvProblem) -> Iterator[_Changes]:
    """The padding of an axis shared between its ends, without the odd one."""
    for uneven, (begin, end) in enumerate(problem.padding):
        half = (begin + end) // 2
        yield {"padding": [(half, half) if axis == uneven else pair for axis, pair in enumerate(problem.padding)]}


def _axes_of(problem: ConvProblem) -> list[_Axis]:
    columns = (problem.spatial, problem.kernel, problem.stride, problem.dilation, problem.padding)
    return [
        _Axis(size=size, kernel=kernel, stride=stride, dilation=dilation, begin=begin, end=end)
        for size, kernel, stride, dilation, (begin, end) in zip(*columns, strict=True)
    ]


def _changes(axes: list[_Axis]) -> _Changes:
    return {
        "spatial": [axis.size for axis in axes],
        "kernel": [axis.kernel for axis in axes],
        "stride": [axis.stride for axis in axes],
        "dilation": [axis.dilation for axis in axes],
        "padding": [(axis.begin, axis.end) for axis in axes],
    }


_MOVES: tuple[_Move, ...] = (
    _fewer_axes,
    _smaller_batch,
    _no_bias,
    _fewer_groups,
    _fewer_channels("C_in", "C_out"),
    _fewer_channels("C_in"),
    _fewer_channels("C_out"),
    *(_along(names, follow, only) for names, follow in _SINGLES for only in (None, *range(MAX_NDIM))),
    *(_along(names, follow, only) for names, follow in _PAIRS for only in (None, *range(MAX_NDIM))),
    _evener_padding,
    _larger_groups,
)
