"""The definition as loops: for every output position, multiply the window by the kernel and sum.

Slow on purpose. It is what a student writes first, made right for any rank, channels, groups, stride, padding and
dilation; every other backend is measured against it.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from backends.lowering import pad_spatial, padded_copy_bytes, require_weights
from backends.problem import ConvProblem
from backends.protocol import HOST, Algorithm, Array, ConvCall, dtype_reason


class NaiveBackend:
    """Nested loops over output positions, images and output channels."""

    name = "naive"
    algorithm = Algorithm.DIRECT
    device = HOST

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        """None for float32 and float64; patience is the caller's."""
        return dtype_reason(problem)

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """The padded input, and the products of one window."""
        return padded_copy_bytes(problem) + problem.accumulation_length * problem.itemsize

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        """Nothing to prepare: the loops read the weights as they are."""
        require_weights(weight, bias, problem)

        def call(x: Array) -> Array:
            return naive_conv(x, weight, bias, problem)

        return call


def naive_conv(x: Array, weight: Array, bias: Array | None, problem: ConvProblem) -> Array:
    """y[n, o, q] = bias[o] + sum(x[n, channels of o's group, window at q] * weight[o])."""
    padded = pad_spatial(x, problem)
    y = np.empty(problem.y_shape, x.dtype)
    channels_in = problem.C_in // problem.groups
    channels_out = problem.C_out // problem.groups

    for position in itertools.product(*(range(size) for size in problem.out)):
        window: tuple[Any, ...] = tuple(
            slice(q * stride, q * stride + dilation * (kernel - 1) + 1, dilation)
            for q, stride, dilation, kernel in zip(
                position, problem.stride, problem.dilation, problem.kernel, strict=True
            )
        )
        for n in range(problem.N):
            for o in range(problem.C_out):
                first = o // channels_out * channels_in
                patch = padded[(n, slice(first, first + channels_in), *window)]
                y[(n, o, *position)] = np.sum(patch * weight[o])

    if bias is not None:
        y += bias.reshape(-1, *(1,) * problem.ndim)
    return y
