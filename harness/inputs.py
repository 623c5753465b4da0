"""Seeded arrays for a problem: integers whose sums are exact, ordinary real data, and real pictures."""

from __future__ import annotations

import functools
import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backends import Array, ConvError, ConvProblem
from backends.geometry import kernel_extent
from harness.cases import PICTURES

# Bits of the significand, the implicit one included: integers up to 2**bits are exact.
SIGNIFICAND_BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
# Large enough that a wrong tap changes an output by more than a rounding, small enough for long sums.
_LARGEST_INTEGER = 8


@dataclass(frozen=True, kw_only=True)
class ConvArrays:
    """Host arrays of one problem."""

    x: Array
    weight: Array
    bias: Array | None


def exact_arrays(problem: ConvProblem, seed: int) -> ConvArrays:
    """Non-zero small integers such that every partial sum is exact in the problem's dtype, in any order.

    With entries up to r in magnitude a sum of n products and a bias stays within r*r*n + r, so r is the largest value
    that keeps this below 2**significand and the expected FFT rounding error below a quarter. Where even r = 1 is too
    large for n, the weights are thinned out to a density that fits with a margin of four standard deviations.

    Source of the idea: oneDNN, tests/benchdnn/doc/driver_conv.md, "The Essence of Testing".
    """
    rng = _generator(problem, "exact", seed)
    limit = 2 ** SIGNIFICAND_BITS[problem.dtype]
    n = problem.accumulation_length + 1
    largest = next((r for r in range(_LARGEST_INTEGER, 1, -1) if r * r * n < limit and _is_exact_by_fft(problem, r)), 1)
    weight = _nonzero_integers(rng, problem.weight_shape, largest)
    if n >= limit:
        # Of n weights about n*density survive; four standard deviations above that must still be below the limit.
        density = max(0.0, 1 - 4 / math.sqrt(limit)) * limit / n
        weight *= rng.random(problem.weight_shape) < density
    bias = _nonzero_integers(rng, problem.bias_shape, largest) if problem.bias else None
    return _of_dtype(problem, _nonzero_integers(rng, problem.x_shape, largest), weight, bias)


def normal_arrays(problem: ConvProblem, seed: int) -> ConvArrays:
    """Standard normal data: what a layer sees after normalisation."""
    rng = _generator(problem, "normal", seed)
    x = rng.standard_normal(problem.x_shape)
    weight = rng.standard_normal(problem.weight_shape)
    return _of_dtype(problem, x, weight, rng.standard_normal(problem.bias_shape) if problem.bias else None)


def case_arrays(problem: ConvProblem, data: str | None, seed: int) -> ConvArrays:
    """What is timed: a named picture under the edge kernels, or normal data.

    Raises:
        ConvError: The picture or the edge kernels do not fit the problem.
    """
    if data is None:
        return normal_arrays(problem, seed)
    x, weight = picture(data)[None, None], edge_weights()
    if problem.x_shape != x.shape or problem.weight_shape != weight.shape or problem.bias:
        raise ConvError(
            f"data {data!r} is for x {x.shape} and weight {weight.shape} without bias, but the problem has"
            f" x {problem.x_shape} and weight {problem.weight_shape}; correct its descriptor or leave data out"
        )
    return _of_dtype(problem, x, weight, None)


@functools.cache
def picture(name: str) -> Array:
    """A real picture as float32 grey values, shape (H, W): "photograph" (0..255) or "mri" (a slice, 0..1).

    Both ship with matplotlib: Grace Hopper's portrait (U.S. Navy, public domain; ITU-R BT.601 luma of its colours) and
    a 256x256 magnetic resonance image of a head with 16-bit values.

    Raises:
        ConvError: There is no such picture.
    """
    folder = _sample_data()
    if name == "photograph":
        from PIL import Image

        with Image.open(folder / "grace_hopper.jpg") as image:
            return np.asarray(image.convert("L"), dtype=np.float32)
    if name == "mri":
        raw = np.frombuffer(gzip.decompress((folder / "s1045.ima.gz").read_bytes()), dtype=np.uint16)
        return raw.reshape(256, 256).astype(np.float32) / np.float32(raw.max())
    raise ConvError(f"no picture is called {name!r}; use one of {', '.join(PICTURES)}")


def edge_weights() -> Array:
    """The kernels for vertical and horizontal edges, shape (2, 1, 3, 3), float32."""
    vertical = [[1, 0, -1], [1, 0, -1], [1, 0, -1]]
    horizontal = [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]
    return np.array([vertical, horizontal], dtype=np.float32)[:, None]


def _sample_data() -> Path:
    from matplotlib import cbook

    return Path(cbook._get_data_path("sample_data"))


def _is_exact_by_fft(problem: ConvProblem, largest: int) -> bool:
    """Whether rounding an FFT result to the nearest integer is expected to be exact.

    The error of an FFT convolution is about u * log2(L) * sum over channels of |x_c| * |w_c| (2-norms) times a constant
    observed at 0.24 or less; half of a quarter leaves a factor of two.
    """
    rms = largest / math.sqrt(3)
    points = math.prod(
        size + begin + end + kernel_extent(k, d)
        for size, (begin, end), k, d in zip(
            problem.spatial, problem.padding, problem.kernel, problem.dilation, strict=True
        )
    )
    x_norm = rms * math.sqrt(math.prod(problem.spatial))
    w_norm = rms * math.sqrt(math.prod(problem.kernel))
    u = 2.0 ** -SIGNIFICAND_BITS[problem.dtype]
    return 0.24 * u * math.log2(points) * problem.C_in / problem.groups * x_norm * w_norm < 0.125


def _nonzero_integers(rng: np.random.Generator, shape: tuple[int, ...], largest: int) -> Array:
    magnitude = rng.integers(1, largest, shape, endpoint=True, dtype=np.int8)
    values: Array = magnitude * rng.choice(np.array([-1, 1], dtype=np.int8), shape)
    return values


def _of_dtype(problem: ConvProblem, x: Array, weight: Array, bias: Array | None) -> ConvArrays:
    dtype = np.dtype(problem.dtype)
    return ConvArrays(
        x=np.ascontiguousarray(x, dtype),
        weight=np.ascontiguousarray(weight, dtype),
        bias=None if bias is None else np.ascontiguousarray(bias, dtype),
    )


def _generator(problem: ConvProblem, kind: str, seed: int) -> np.random.Generator:
    """A generator of its own per problem, kind and seed, whatever else was drawn before."""
    text = f"{problem.replace(label='', count=1)} {kind}"
    return np.random.default_rng([seed, zlib.crc32(text.encode())])
