"""Backends that compute another convolution than the one posed, or put its outputs elsewhere."""

from __future__ import annotations

import numpy as np

from backends import Array, ConvCall, ConvProblem
from faulty.control import Correct, Transformed


class FlippedKernel(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        return super().prepare(problem, np.flip(weight, tuple(range(2, weight.ndim))), bias)


class KernelTransposed(Correct):
    """Swaps the roles of the last two kernel axes where they are of one size."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        is_square = problem.ndim > 1 and problem.kernel[-1] == problem.kernel[-2]
        return super().prepare(problem, np.swapaxes(weight, -1, -2) if is_square else weight, bias)


class ImageTransposed(Correct):
    """Swaps the last two axes of images where they are of one size."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        call = super().prepare(problem, weight, bias)
        is_square = problem.ndim > 1 and problem.spatial[-1] == problem.spatial[-2]
        return lambda x: call(np.ascontiguousarray(np.swapaxes(x, -1, -2)) if is_square else x)


class StridesSwapped(Correct):
    """Takes the stride of the first axis for the last and the other way round, then crops or repeats to the shape."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        swapped = problem.replace(stride=problem.stride[::-1])
        call = super().prepare(swapped, weight, bias)
        return lambda x: np.resize(call(x), problem.y_shape)


class StrideClippedToKernel(Correct):
    """Steps no further than the kernel is long."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        shorter = tuple(min(s, k) for s, k in zip(problem.stride, problem.kernel, strict=True))
        call = super().prepare(problem.replace(stride=shorter), weight, bias)
        kept = tuple(slice(0, size) for size in problem.out)
        return lambda x: np.ascontiguousarray(call(x)[(..., *kept)])


class PaddingMirrored(Correct):
    """Puts the begin padding at the end and the other way round."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        mirrored = problem.replace(padding=tuple((end, begin) for begin, end in problem.padding))
        return super().prepare(mirrored, weight, bias)


class PaddingRepeatsTheEdge(Correct):
    """Pads with the nearest pixel instead of zeros."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        sizes = tuple(a + n + b for n, (a, b) in zip(problem.spatial, problem.padding, strict=True))
        call = super().prepare(problem.replace(spatial=sizes, padding=0), weight, bias)
        return lambda x: call(np.pad(x, [(0, 0), (0, 0), *problem.padding], mode="edge"))


class DilationIgnored(Correct):
    """Computes the dense kernel at the positions of the dilated one's outputs."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        call = super().prepare(problem.replace(dilation=1), weight, bias)
        kept = tuple(slice(0, size) for size in problem.out)
        return lambda x: np.ascontiguousarray(call(x)[(..., *kept)])


class DilationOffByOne(Correct):
    """Takes 0-based dilation for 1-based: what is said to be dense is, and anything wider is one tap closer."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        closer = problem.replace(dilation=tuple(max(1, d - 1) for d in problem.dilation))
        call = super().prepare(closer, weight, bias)
        kept = tuple(slice(0, size) for size in problem.out)
        return lambda x: np.ascontiguousarray(call(x)[(..., *kept)])


class DilationsSwapped(Correct):
    """Takes the dilation of the first axis for the last and the other way round, and fills the shape with what it has."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        try:
            call = super().prepare(problem.replace(dilation=problem.dilation[::-1]), weight, bias)
        except ValueError:
            return lambda x: np.zeros(problem.y_shape, problem.dtype)
        return lambda x: np.resize(call(x), problem.y_shape)


class GroupsReadTheFirst(Correct):
    """Every group reads the channels of the first."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        call = super().prepare(problem, weight, bias)
        per_group = problem.C_in // problem.groups
        return lambda x: call(np.tile(x[:, :per_group], (1, problem.groups, *(1,) * problem.ndim)))


class GroupsInterleaved(Correct):
    """Gives output channel o the inputs of group o % groups."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        per_group = problem.C_out // problem.groups
        order = np.arange(problem.C_out).reshape(per_group, problem.groups).T.ravel()
        call = super().prepare(problem, weight[order], None if bias is None else bias[order])
        return lambda x: np.ascontiguousarray(call(x)[:, np.argsort(order)])


class GroupsWithDilation(Transformed):
    """Wrong only where groups and dilation meet."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return -y if problem.groups > 1 and max(problem.dilation) > 1 else y


class ShiftedByOne(Transformed):
    """The right sums, one place to the right of where they belong."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.roll(y, 1, axis=-1)


class ChannelsPermuted(Transformed):
    """The right planes in another order."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.ascontiguousarray(y[:, ::-1])


class BiasMissing(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        return super().prepare(problem, weight, None if bias is None else np.zeros_like(bias))


class BiasTwice(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        return super().prepare(problem, weight, None if bias is None else 2 * bias)
