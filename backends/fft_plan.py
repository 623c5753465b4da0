"""How a Fourier convolution is cut: phases of the dilation, and the tiles of each that cost least.

Overlap-save: the input is cut into overlapping tiles of transform length L, each of which yields L - extent + 1 valid
outputs per axis; a small image is one tile. Everything here follows from the geometry; no array is touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import scipy.fft

from backends.geometry import kernel_extent
from backends.problem import ConvProblem

# Rates that rank tile lengths, single thread, float32: pocketfft runs at about 10 GFLOP/s by the 2.5 L log2 L count,
# batched complex GEMM at about 60 and main memory at about 10 GB/s on AVX-512 machines. Only their ratios matter.
_FFT_FLOP_PER_S = 10e9
_GEMM_FLOP_PER_S = 60e9
_BYTES_PER_S = 10e9
_TILE_LENGTHS = (16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, kw_only=True)
class TilePlan:
    """How the dense (stride 1) output is cut: transform length, valid outputs per tile and tiles, per axis."""

    length: tuple[int, ...]
    step: tuple[int, ...]
    tiles: tuple[int, ...]

    @property
    def spectrum(self) -> tuple[int, ...]:
        """Shape of a real transform's output: the last axis holds length // 2 + 1 frequencies."""
        return (*self.length[:-1], self.length[-1] // 2 + 1)

    @property
    def reach(self) -> tuple[int, ...]:
        """Input positions that all tiles read, per axis."""
        return tuple(
            (n - 1) * step + length for n, step, length in zip(self.tiles, self.step, self.length, strict=True)
        )


def phases(problem: ConvProblem) -> tuple[int, ...]:
    """Into how many phases each axis splits: its dilation, or one where a single tap leaves nothing to dilate."""
    return tuple(d if k > 1 else 1 for k, d in zip(problem.kernel, problem.dilation, strict=True))


def dense_problem(problem: ConvProblem) -> ConvProblem:
    """What each phase of the dilation computes: no stride, dilation or padding, and all phases as one batch.

    Input i and output o meet in a tap only if i - o is a multiple of the dilation, so residues modulo the dilation
    never mix: a dilated convolution is prod(dilation) dense ones. Only input that the last output reaches is kept.
    """
    spatial = [
        math.ceil(((out - 1) * stride + kernel_extent(kernel, count)) / count)
        for out, stride, kernel, count in zip(problem.out, problem.stride, problem.kernel, phases(problem), strict=True)
    ]
    batch = problem.N * math.prod(phases(problem))
    return problem.replace(N=batch, spatial=tuple(spatial), stride=1, dilation=1, padding=0, bias=False)


def plan_tiles(problem: ConvProblem) -> TilePlan:
    """The cheapest tile lengths for a dense problem by predicted time of transforms, products and kernel traffic."""
    return min(_candidate_plans(problem), key=lambda plan: predicted_seconds(problem, plan))


def predicted_seconds(problem: ConvProblem, plan: TilePlan) -> float:
    """Single-thread seconds of one call by the rates above; good for ranking plans only."""
    points = math.prod(plan.length)
    frequencies = math.prod(plan.spectrum)
    tiles = problem.N * math.prod(plan.tiles)
    transforms = tiles * (problem.C_in + problem.C_out) * 2.5 * points * math.log2(max(2, points))
    pairs = problem.C_out * problem.C_in // problem.groups
    products = tiles * pairs * frequencies * 8
    kernel_bytes = pairs * frequencies * 2 * problem.itemsize
    return transforms / _FFT_FLOP_PER_S + products / _GEMM_FLOP_PER_S + kernel_bytes / _BYTES_PER_S


def _candidate_plans(problem: ConvProblem) -> Iterator[TilePlan]:
    for target in (*_TILE_LENGTHS, max(problem.spatial)):
        length = tuple(
            scipy.fft.next_fast_len(min(size, max(target, 2 * kernel)), real=True)
            for size, kernel in zip(problem.spatial, problem.kernel, strict=True)
        )
        step = tuple(min(out, n - k + 1) for out, n, k in zip(problem.out, length, problem.kernel, strict=True))
        tiles = tuple(math.ceil(out / s) for out, s in zip(problem.out, step, strict=True))
        yield TilePlan(length=length, step=step, tiles=tiles)
