"""Lowering to a matrix product: receptive fields become columns, BLAS multiplies them by the weights."""

from __future__ import annotations

import math

import numpy as np

from backends import threads
from backends.errors import BackendSpecError
from backends.lowering import im2col, pad_spatial, padded_copy_bytes, require_input, require_weights
from backends.problem import ConvProblem
from backends.protocol import HOST, Algorithm, Array, ConvCall, dtype_reason
from backends.spec import spec_text

# Columns are unfolded for as many output rows as fit into this, so memory stays bounded on large inputs. Below it
# whole images are lowered at once: on 3x3 layers that beat cache-sized panels, whose GEMMs are too small for BLAS.
DEFAULT_WORKSPACE_MB = 16


class Im2colBackend:
    """NumPy slices and BLAS.

    Args:
        workspace_mb: Upper limit of the columns, in MiB; one output row is always unfolded whole.
    """

    algorithm = Algorithm.GEMM
    device = HOST

    def __init__(self, *, workspace_mb: int = DEFAULT_WORKSPACE_MB) -> None:
        if isinstance(workspace_mb, bool) or not isinstance(workspace_mb, int) or workspace_mb < 1:
            raise BackendSpecError(f"im2col: workspace_mb={workspace_mb!r}; give MiB as an integer of 1 or more")
        self._workspace_bytes = workspace_mb << 20
        options = {} if workspace_mb == DEFAULT_WORKSPACE_MB else {"workspace_mb": workspace_mb}
        self.name = spec_text("im2col", **options)

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        """None for float32 and float64."""
        return dtype_reason(problem)

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """The padded input and the columns. What BLAS packs into, some megabytes a thread, is not counted."""
        if _is_pointwise(problem):
            return 0
        return padded_copy_bytes(problem) + _columns_count(problem, self._workspace_bytes) * problem.itemsize

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        """Flatten the weights to one matrix per group and allocate the columns."""
        require_weights(weight, bias, problem)
        threads.apply_to_blas()
        matrices = np.ascontiguousarray(weight).reshape(problem.groups, -1, problem.accumulation_length)
        if _is_pointwise(problem):
            return _pointwise_call(problem, matrices, bias)
        rows = _rows_per_panel(problem, self._workspace_bytes)
        row_positions = math.prod(problem.out[1:])
        columns = np.empty(_columns_count(problem, self._workspace_bytes), matrices.dtype)

        def call(x: Array) -> Array:
            padded = pad_spatial(x, problem)
            y = np.empty((problem.N, problem.groups, matrices.shape[1], math.prod(problem.out)), x.dtype)
            for n in range(problem.N):
                for first in range(0, problem.out[0], rows):
                    count = min(rows, problem.out[0] - first)
                    panel = im2col(padded[n], problem, columns, first, count)
                    span = slice(first * row_positions, (first + count) * row_positions)
                    np.matmul(matrices, panel, out=y[n, :, :, span])
            return _with_bias(y, problem, bias)

        return call


def _is_pointwise(problem: ConvProblem) -> bool:
    """The columns are the input itself."""
    return (
        set(problem.kernel) == {1}
        and set(problem.stride) == {1}
        and not any(begin or end for begin, end in problem.padding)
    )


def _pointwise_call(problem: ConvProblem, matrices: Array, bias: Array | None) -> ConvCall:
    def call(x: Array) -> Array:
        require_input(x, problem)
        columns = np.ascontiguousarray(x).reshape(problem.N, problem.groups, -1, math.prod(problem.spatial))
        return _with_bias(np.matmul(matrices, columns), problem, bias)

    return call


def _rows_per_panel(problem: ConvProblem, workspace_bytes: int) -> int:
    row_bytes = problem.groups * problem.accumulation_length * math.prod(problem.out[1:]) * problem.itemsize
    return max(1, min(problem.out[0], workspace_bytes // row_bytes))


def _columns_count(problem: ConvProblem, workspace_bytes: int) -> int:
    rows = _rows_per_panel(problem, workspace_bytes)
    return problem.groups * problem.accumulation_length * rows * math.prod(problem.out[1:])


def _with_bias(y: Array, problem: ConvProblem, bias: Array | None) -> Array:
    y = y.reshape(problem.y_shape)
    if bias is not None:
        y += bias.reshape(-1, *(1,) * problem.ndim)
    return y
