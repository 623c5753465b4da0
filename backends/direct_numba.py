"""Direct loops compiled by Numba: contiguous inner loop over output columns, four output channels at a time.

Every rank runs through one kernel: missing leading axes have size 1. The plain form it must equal is `direct_naive`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from backends import threads
from backends.lowering import pad_spatial, padded_copy_bytes, require_weights
from backends.problem import MAX_NDIM, ConvProblem
from backends.protocol import HOST, Algorithm, Array, ConvCall, dtype_reason

# Contraction to FMA and free association let the compiler vectorise the row loop; NaN and Inf stay as IEEE has them.
_FASTMATH = {"contract", "reassoc", "nsz", "arcp"}


class NumbaBackend:
    """Compiled direct loops, parallel over images, output channels and output depth."""

    name = "numba"
    algorithm = Algorithm.DIRECT
    device = HOST

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        """None for float32 and float64."""
        return dtype_reason(problem)

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """The padded input, and a bias of zeros where there is none. The compiler's own memory is not counted."""
        return padded_copy_bytes(problem) + (0 if problem.bias else problem.C_out * problem.itemsize)

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        """Lift the geometry to three axes and compile the kernel for the dtype (loaded from the cache later on)."""
        require_weights(weight, bias, problem)
        lifted = (1,) * (MAX_NDIM - problem.ndim)
        dtype = np.dtype(problem.dtype)
        # Read-only arrays are another type to the compiler, which would compile once more for them.
        weight_5d = np.require(weight, requirements=["C", "W"]).reshape(*weight.shape[:2], *lifted, *problem.kernel)
        bias_1d = np.zeros(problem.C_out, dtype) if bias is None else np.require(bias, requirements=["C", "W"])
        stride = (*lifted, *problem.stride)
        dilation = (*lifted, *problem.dilation)
        groups = problem.groups
        y_shape = (problem.N, problem.C_out, *lifted, *problem.out)

        def call(x: Array) -> Array:
            padded = pad_spatial(x, problem)
            y = np.empty(y_shape, dtype)
            padded_5d = padded.reshape(*padded.shape[:2], *lifted, *padded.shape[2:])
            conv_rows(padded_5d, weight_5d, bias_1d, y, stride, dilation, groups)
            return y.reshape(problem.y_shape)

        # A first call on a small slice would compile too, but only the real signature is sure to be the one used.
        conv_rows.compile(_signature(dtype))
        if (wanted := threads.requested()) is not None:
            # Only now: it starts the threads, and an OpenMP that binds them leaves this one on a single core, which
            # a library that compiling loads would take for the whole machine.
            most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # set at import
            numba.set_num_threads(min(wanted, most))
        return call


def _signature(dtype: np.dtype[Any]) -> tuple[Any, ...]:
    scalar = numba.from_dtype(dtype)
    array_5d = numba.types.Array(scalar, 5, "C")
    triple = numba.types.UniTuple(numba.int64, 3)
    return (array_5d, array_5d, numba.types.Array(scalar, 1, "C"), array_5d, triple, triple, numba.int64)


@numba.njit(parallel=True, cache=True, fastmath=_FASTMATH)
def conv_rows(x, weight, bias, y, stride, dilation, groups):  # type: ignore[no-untyped-def]  # compiled; see _signature
    """y (N, C_out, D, H, W) from padded x (N, C_in, D', H', W') and weight (C_out, C_in // groups, kD, kH, kW).

    One job is up to four output channels of one group at one output depth: four accumulator rows share each input row.
    """
    channels_out = y.shape[1] // groups
    quads = (channels_out + 3) // 4
    depth = y.shape[2]
    for job in numba.prange(y.shape[0] * groups * quads * depth):
        od = job % depth
        quad = job // depth % quads
        group = job // (depth * quads) % groups
        n = job // (depth * quads * groups)
        first = group * channels_out + quad * 4
        count = min(4, channels_out - quad * 4)
        if count == 4:
            _four_channels(x[n], weight, bias, y[n], first, group, od, stride, dilation)
        else:
            for o in range(first, first + count):
                _one_channel(x[n], weight, bias, y[n], o, group, od, stride, dilation)


@numba.njit(cache=True, fastmath=_FASTMATH)
def _four_channels(x, weight, bias, y, o, group, od, stride, dilation):  # type: ignore[no-untyped-def]  # compiled
    _, channels_in, kd, kh, kw = weight.shape
    for oh in range(y.shape[2]):
        y0, y1, y2, y3 = y[o, od, oh], y[o + 1, od, oh], y[o + 2, od, oh], y[o + 3, od, oh]
        y0[:] = bias[o]
        y1[:] = bias[o + 1]
        y2[:] = bias[o + 2]
        y3[:] = bias[o + 3]
        for c in range(channels_in):
            for td in range(kd):
                for th in range(kh):
                    row = x[
                        group * channels_in + c, od * stride[0] + td * dilation[0], oh * stride[1] + th * dilation[1]
                    ]
                    for tw in range(kw):
                        w0 = weight[o, c, td, th, tw]
                        w1 = weight[o + 1, c, td, th, tw]
                        w2 = weight[o + 2, c, td, th, tw]
                        w3 = weight[o + 3, c, td, th, tw]
                        shifted = row[tw * dilation[2] :]
                        if stride[2] == 1:
                            for i in range(y0.size):
                                value = shifted[i]
                                y0[i] += w0 * value
                                y1[i] += w1 * value
                                y2[i] += w2 * value
                                y3[i] += w3 * value
                        else:
                            for i in range(y0.size):
                                value = shifted[i * stride[2]]
                                y0[i] += w0 * value
                                y1[i] += w1 * value
                                y2[i] += w2 * value
                                y3[i] += w3 * value


@numba.njit(cache=True, fastmath=_FASTMATH)
def _one_channel(x, weight, bias, y, o, group, od, stride, dilation):  # type: ignore[no-untyped-def]  # compiled
    _, channels_in, kd, kh, kw = weight.shape
    for oh in range(y.shape[2]):
        y0 = y[o, od, oh]
        y0[:] = bias[o]
        for c in range(channels_in):
            for td in range(kd):
                for th in range(kh):
                    row = x[
                        group * channels_in + c, od * stride[0] + td * dilation[0], oh * stride[1] + th * dilation[1]
                    ]
                    for tw in range(kw):
                        w0 = weight[o, c, td, th, tw]
                        shifted = row[tw * dilation[2] :]
                        if stride[2] == 1:
                            for i in range(y0.size):
                                y0[i] += w0 * shifted[i]
                        else:
                            for i in range(y0.size):
                                y0[i] += w0 * shifted[i * stride[2]]
