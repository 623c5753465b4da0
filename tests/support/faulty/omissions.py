"""Backends that leave out, or garble, what lies at the end of a loop."""

from __future__ import annotations

import numpy as np

from backends import Array, ConvCall, ConvProblem
from faulty.control import Correct, Transformed


class LastChannelDropped(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[:, -1] = 0
        return y


class LastColumnWrong(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[..., -1] = y[..., 0] + 1
        return y


class LastInputChannelDropped(Correct):
    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        dropped = weight.copy()
        dropped[:, -1] = 0
        return super().prepare(problem, dropped, bias)


class FirstRowWrong(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[:, :, 0] *= 2
        return y


class CornerUnwritten(Transformed):
    """One output keeps what was in the buffer: here a small number."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[(..., *(-1,) * problem.ndim)] = 1e-3
        return y


class SecondImageIsTheFirst(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[1:] = y[:1]
        return y


class BatchWithStride(Transformed):
    """Forgets all images but the first where a stride is taken."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        if max(problem.stride) > 1:
            y[1:] = 0
        return y


class AllZeros(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return np.zeros_like(y)


class SecondTileLost(Transformed):
    """Forgets what lies beyond the first tile of 16 channels by 16 columns."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[:, 16:, ..., 16:] = 0
        return y


class BorderLost(Transformed):
    """Leaves out the outputs at one end of one axis: they keep what was in memory."""

    axis, end = -1, 0

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        fresh = np.empty_like(y)
        kept = [slice(None)] * y.ndim
        kept[self.axis] = slice(1, None) if self.end == 0 else slice(None, -1)
        fresh[tuple(kept)] = y[tuple(kept)]
        return fresh


class FirstColumnLost(BorderLost):
    axis, end = -1, 0


class LastColumnLost(BorderLost):
    axis, end = -1, 1


class LastRowLost(BorderLost):
    axis, end = 2, 1


class TailColumnsDropped(Transformed):
    """Computes whole vectors of 8 columns and forgets the rest of a row."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[..., y.shape[-1] // 8 * 8 :] = 0
        return y


class TailOutputChannelsDropped(Transformed):
    """Computes whole blocks of 4 output channels and forgets the rest."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        y[:, y.shape[1] // 4 * 4 :] = 0
        return y


class TailInputChannelsDropped(Correct):
    """Sums whole blocks of 8 input channels and, beyond the first, forgets the rest."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        dropped = weight.copy()
        if weight.shape[1] > 8:
            dropped[:, weight.shape[1] // 8 * 8 :] = 0
        return super().prepare(problem, dropped, bias)


class NarrowOutputsInStridedVolumes(Transformed):
    """Garbage in 3-D where the output is one column wide and the stride is not 1, as a matrix unit's kernel once was."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        if problem.ndim == 3 and problem.out[-1] == 1 and problem.stride[-1] > 1:
            y[:, :, ::2] *= -3
        return y
