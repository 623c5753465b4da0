"""Backends that take arrays to lie otherwise than they do, or return something that is no such array."""

from __future__ import annotations

import numpy as np

from backends import Array, ConvCall, ConvProblem
from faulty.control import Correct, Transformed


class WrongDtype(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return y.astype(np.float64 if y.dtype == np.float32 else np.float32)


class WrongShape(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return y.reshape(-1)


class ReturnsAList(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return y.tolist()


class OtherByteOrder(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return y.astype(y.dtype.newbyteorder())


class ReadsBeyondView(Correct):
    """Takes any x for C-contiguous and reads the memory from its first element on."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            base = x if x.base is None or min(x.strides) < 0 else np.asarray(x.base)
            if x.flags.c_contiguous or base.size < x.size:
                return right(x)
            start = (x.ctypes.data - base.ctypes.data) // x.itemsize
            flat = base.ravel(order="K")
            return right(np.resize(flat[start:], x.shape))

        return call


class ReadsWeightMemory(Correct):
    """Takes any weights for C-contiguous and reads their memory from its lowest address on."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        if weight.flags.c_contiguous or weight.base is None:
            return super().prepare(problem, weight, bias)
        flat = np.asarray(weight.base).ravel(order="K")
        return super().prepare(problem, np.nan_to_num(np.resize(flat, weight.shape), nan=3), bias)


class LayoutOfTheFirstCall(Correct):
    """Remembers whether its first input was reversed, and takes all others to be like it."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        first: list[bool] = []

        def call(x: Array) -> Array:
            first.append(min(x.strides) < 0)
            return right(x if first[0] == (min(x.strides) < 0) else np.flip(x))

        return call


class RefusesViews(Correct):
    """Says so instead of reading what is not C-contiguous: no fault."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            if not x.flags.c_contiguous:
                raise TypeError("x is not C-contiguous")
            return right(x)

        return call
