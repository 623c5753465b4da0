"""Convolution by the Fourier transform: spectra of tiles times conjugate spectra of kernels, summed over channels.

Overlap-save: the input is cut into overlapping tiles of transform length L, each of which yields L - extent + 1 valid
outputs per axis; a small image is one tile. Kernel spectra are made in `prepare`. A dilated convolution is split into
its phases, which are dense. Strides compute the dense output and keep what is asked for.

Sources: Stockham (1966) and Oppenheim & Schafer, overlap-save; Mathieu, Henaff & LeCun (2014), products over channels.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import as_strided

from backends import threads
from backends.fft_memory import peak_bytes
from backends.fft_plan import TilePlan, dense_problem, phases, plan_tiles
from backends.lowering import pad_spatial, require_weights, spatial_index
from backends.problem import ConvProblem
from backends.protocol import HOST, Algorithm, Array, ConvCall, dtype_reason

# Up to this many input channels a group, multiplying spectra as they lie beats transposing them for a matrix product.
_FEW_CHANNELS = 4


class FftBackend:
    """scipy.fft with real transforms of fast lengths.

    A transform mixes all positions of a tile: a NaN or Inf in the input spreads to outputs that do not read it, and
    small outputs beside large ones carry errors relative to the large.
    """

    name = "fft"
    algorithm = Algorithm.FFT
    device = HOST

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        """None for float32 and float64."""
        return dtype_reason(problem)

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """Kernel spectra, tiles, their spectra and products, as many of them as are alive at once."""
        return peak_bytes(problem, is_few_channels=_is_few_channels(problem))

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        """Choose the tiles and transform the kernels."""
        require_weights(weight, bias, problem)
        threads.apply_to_blas()
        workers = threads.requested() or 1
        dense = dense_problem(problem)
        plan = plan_tiles(dense)
        axes = tuple(range(-problem.ndim, 0))
        kernels = _kernel_spectra(dense, weight, plan, workers)
        multiply = _multiply_few if _is_few_channels(problem) else _multiply_many

        def call(x: Array) -> Array:
            tiles = _cut(_split_phases(pad_spatial(x, problem), problem, dense), plan)
            spectra = scipy.fft.rfftn(tiles, s=plan.length, axes=axes, workers=workers)
            products = multiply(spectra, kernels, dense, plan)
            outputs = scipy.fft.irfftn(products, s=plan.length, axes=axes, workers=workers, overwrite_x=True)
            y = _merge_phases(_join(outputs, dense, plan), problem)
            if bias is not None:
                y += bias.reshape(-1, *(1,) * problem.ndim)
            return y

        return call


def _is_few_channels(problem: ConvProblem) -> bool:
    return problem.C_in // problem.groups <= _FEW_CHANNELS


def _kernel_spectra(problem: ConvProblem, weight: Array, plan: TilePlan, workers: int) -> Array:
    """Conjugate spectra of the kernels.

    Returns:
        Few channels: (groups, C_out // groups, C_in // groups, frequencies). Many: (frequencies, groups,
        C_out // groups, C_in // groups), one contiguous matrix per frequency and group.
    """
    axes = tuple(range(-problem.ndim, 0))
    spectra: Array = scipy.fft.rfftn(weight, s=plan.length, axes=axes, workers=workers).conj()
    spectra = spectra.reshape(problem.groups, -1, problem.C_in // problem.groups, math.prod(plan.spectrum))
    if _is_few_channels(problem):
        return spectra
    return np.ascontiguousarray(np.moveaxis(spectra, -1, 0))


def _split_phases(padded: Array, problem: ConvProblem, dense: ConvProblem) -> Array:
    """The padded input cropped to what is read, each residue of the dilation an image of its own: dense.x_shape."""
    reach = [size * count for size, count in zip(dense.spatial, phases(problem), strict=True)]
    cropped: Array = padded[spatial_index(slice(0, size) for size in reach)]
    if dense.N == problem.N:
        return cropped
    missing = [max(0, size - have) for size, have in zip(reach, padded.shape[2:], strict=True)]
    if any(missing):
        cropped = np.pad(cropped, [(0, 0), (0, 0), *((0, extra) for extra in missing)])
    split = itertools.chain(*zip(dense.spatial, phases(problem), strict=True))
    sizes, residues = range(2, 2 + 2 * problem.ndim, 2), range(3, 3 + 2 * problem.ndim, 2)
    images = cropped.reshape(*cropped.shape[:2], *split).transpose(0, *residues, 1, *sizes)
    return images.reshape(dense.x_shape)


def _merge_phases(y: Array, problem: ConvProblem) -> Array:
    """Outputs of all phases interleaved, then every stride-th of them: shape problem.y_shape."""
    if y.shape[0] != problem.N:
        sizes = y.shape[2:]
        split = y.reshape(problem.N, *phases(problem), problem.C_out, *sizes)
        ndim = problem.ndim
        interleaved = itertools.chain(*((2 + ndim + axis, 1 + axis) for axis in range(ndim)))
        merged = (size * count for size, count in zip(sizes, phases(problem), strict=True))
        y = split.transpose(0, 1 + ndim, *interleaved).reshape(problem.N, problem.C_out, *merged)
    kept = (slice(0, (out - 1) * s + 1, s) for out, s in zip(problem.out, problem.stride, strict=True))
    return np.ascontiguousarray(y[spatial_index(kept)])


def _cut(padded: Array, plan: TilePlan) -> Array:
    """Overlapping tiles as a view where the input reaches far enough, else of a zero-extended copy.

    Returns:
        Shape (N, C_in, prod(tiles), *length).
    """
    if math.prod(plan.tiles) == 1:
        # rfftn crops what no output reads and extends with zeros by itself.
        return padded[:, :, None]
    missing = [max(0, reach - size) for reach, size in zip(plan.reach, padded.shape[2:], strict=True)]
    if any(missing):
        padded = np.pad(padded, [(0, 0), (0, 0), *((0, extra) for extra in missing)])
    spatial_strides = padded.strides[2:]
    view = as_strided(
        padded,
        shape=(*padded.shape[:2], *plan.tiles, *plan.length),
        strides=(
            *padded.strides[:2],
            *(step * stride for step, stride in zip(plan.step, spatial_strides, strict=True)),
            *spatial_strides,
        ),
        writeable=False,
    )
    return view.reshape(*padded.shape[:2], math.prod(plan.tiles), *plan.length)


def _multiply_few(spectra: Array, kernels: Array, problem: ConvProblem, plan: TilePlan) -> Array:
    """Products summed over few channels, with spectra as they lie: shape (N, C_out, tiles, *spectrum)."""
    tiles, frequencies = spectra.shape[2], kernels.shape[-1]
    x = spectra.reshape(problem.N, problem.groups, 1, kernels.shape[2], tiles, frequencies)
    w = kernels[None, :, :, :, None]
    y = x[:, :, :, 0] * w[:, :, :, 0]
    for c in range(1, kernels.shape[2]):
        y += x[:, :, :, c] * w[:, :, :, c]
    return y.reshape(problem.N, problem.C_out, tiles, *plan.spectrum)


def _multiply_many(spectra: Array, kernels: Array, problem: ConvProblem, plan: TilePlan) -> Array:
    """Products summed over channels as one matrix product per frequency: shape (N, C_out, tiles, *spectrum)."""
    tiles, frequencies = spectra.shape[2], kernels.shape[0]
    x = spectra.reshape(problem.N, problem.groups, kernels.shape[3], tiles, frequencies)
    columns = np.ascontiguousarray(x.transpose(4, 1, 2, 0, 3)).reshape(
        frequencies, problem.groups, kernels.shape[3], problem.N * tiles
    )
    y = np.matmul(kernels, columns).reshape(frequencies, problem.C_out, problem.N, tiles)
    return np.ascontiguousarray(y.transpose(2, 1, 3, 0)).reshape(problem.N, problem.C_out, tiles, *plan.spectrum)


def _join(outputs: Array, problem: ConvProblem, plan: TilePlan) -> Array:
    """Valid parts of the tiles side by side: shape (N, C_out, *out)."""
    valid: Array = outputs[spatial_index(slice(0, step) for step in plan.step)]
    if math.prod(plan.tiles) == 1:
        return valid[:, :, 0]
    ndim = problem.ndim
    tiled = valid.reshape(problem.N, problem.C_out, *plan.tiles, *plan.step)
    interleaved = (0, 1, *itertools.chain(*((2 + axis, 2 + ndim + axis) for axis in range(ndim))))
    sizes = tuple(n * step for n, step in zip(plan.tiles, plan.step, strict=True))
    joined = tiled.transpose(interleaved).reshape(problem.N, problem.C_out, *sizes)
    cropped: Array = joined[spatial_index(slice(0, out) for out in problem.out)]
    return cropped
