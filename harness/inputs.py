"""Seeded arrays for a problem: integers whose sums are exact, real data of several kinds, and real pictures."""

from __future__ import annotations

import functools
import gzip
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backends import Array, ConvError, ConvProblem
from backends.dtypes import numpy_dtype
from backends.geometry import kernel_extent
from harness.cases import PICTURES

# Bits of the significand, the implicit one included: integers up to 2**bits are exact.
SIGNIFICAND_BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
# Of the smallest subnormal number, as a power of two.
LEAST_EXPONENT = {"float64": -1074, "float32": -149, "float16": -24, "bfloat16": -133}
# Sums beyond this are infinite; the other types reach 2**127 and more.
_LARGEST_FLOAT16 = 65504.0
# bfloat16 has 8 bits of significand, NumPy's shortest integers 7 and a sign.
_LARGEST_WEIGHT = 127
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
    x = _normal(rng, problem.x_shape, problem)
    weight = _normal(rng, problem.weight_shape, problem)
    weight *= _fitting_scale(problem, 8 * math.sqrt(problem.accumulation_length))
    return _of_dtype(problem, x, weight, _normal(rng, problem.bias_shape, problem) if problem.bias else None)


def uniform_arrays(problem: ConvProblem, seed: int) -> ConvArrays:
    """Values in (0, 1): nothing cancels, so errors of accumulating add up and a short accumulator shows."""
    rng = _generator(problem, "uniform", seed)
    x, weight = 1 - rng.random(problem.x_shape), 1 - rng.random(problem.weight_shape)
    weight *= _fitting_scale(problem, problem.accumulation_length + 1)
    return _of_dtype(problem, x, weight, 1 - rng.random(problem.bias_shape) if problem.bias else None)


def wide_range_arrays(problem: ConvProblem, seed: int) -> ConvArrays:
    """Faint normal data with a bright source in a hundredth of the pixels, 2**20 times as strong.

    Sums of products keep each output's own accuracy. Transforms mix all positions, so faint outputs take on errors of
    the bright ones: only their norm-wise bound holds here.
    """
    rng = _generator(problem, "wide range", seed)
    # float16 has its full precision from 2**-14 on and ends at 2**16, so the faint are made fainter.
    faint = 2.0**-10 if problem.dtype == "float16" else 1.0
    x = _normal(rng, problem.x_shape, problem) * faint
    is_bright = rng.random(problem.x_shape) < 0.01
    x[is_bright] *= 2.0**20
    weight = _normal(rng, problem.weight_shape, problem)
    # One product of two normal values is below 20 but once in 10**9 times; a hundredth of n of them have a standard
    # deviation of sqrt(n) / 10, of which ten are allowed.
    weight *= _fitting_scale(problem, faint * 2.0**20 * (20 + math.sqrt(problem.accumulation_length)))
    bias = _normal(rng, problem.bias_shape, problem) * faint if problem.bias else None
    return _of_dtype(problem, x, weight, bias)


def one_hot_arrays(problem: ConvProblem, seed: int) -> ConvArrays:
    """One pixel of each image and channel is 1, all others 0: outputs are weights, each in its place.

    A flipped, shifted or transposed kernel moves a weight to where 0 is expected. Weights are integers that every dtype
    holds, so that nothing but their places is asked for.
    """
    rng = _generator(problem, "one-hot", seed)
    x = np.zeros(problem.x_shape).reshape(problem.N * problem.C_in, -1)
    x[np.arange(len(x)), rng.integers(0, x.shape[1], len(x))] = 1
    weight = _nonzero_integers(rng, problem.weight_shape, _LARGEST_WEIGHT)
    bias = _nonzero_integers(rng, problem.bias_shape, _LARGEST_WEIGHT) if problem.bias else None
    return _of_dtype(problem, x.reshape(problem.x_shape), weight, bias)


def denormal_arrays(problem: ConvProblem, seed: int) -> ConvArrays:
    """Inputs far below the smallest normal number under normal weights, so that outputs are subnormal as well.

    A processor or library in a mode that takes such numbers for zero loses all of them.
    """
    arrays = normal_arrays(problem, seed)
    # Half of the significand's bits stay: 2**12 times the smallest subnormal number in float32.
    scale = 2.0 ** (LEAST_EXPONENT[problem.dtype] + SIGNIFICAND_BITS[problem.dtype] // 2)
    x, bias = arrays.x.astype(np.float64) * scale, arrays.bias
    return _of_dtype(problem, x, arrays.weight, None if bias is None else bias.astype(np.float64) * scale)


def nan_arrays(problem: ConvProblem, seed: int) -> ConvArrays:
    """Normal data with a NaN in the middle of the first image's first channel and in the last corner of all."""
    arrays = normal_arrays(problem, seed)
    arrays.x[(-1,) * arrays.x.ndim] = np.nan
    arrays.x[(0, 0, *middle_pixel(problem))] = np.nan
    return arrays


def infinity_arrays(problem: ConvProblem, seed: int) -> ConvArrays:
    """Normal data with infinities of both signs where `nan_arrays` has NaN: outputs that read one have its sign."""
    arrays = normal_arrays(problem, seed)
    arrays.x[(-1,) * arrays.x.ndim] = -np.inf
    arrays.x[(0, 0, *middle_pixel(problem))] = np.inf
    return arrays


DATA_SETS: dict[str, Callable[[ConvProblem, int], ConvArrays]] = {
    "exact": exact_arrays,
    "normal": normal_arrays,
    "uniform": uniform_arrays,
    "wide range": wide_range_arrays,
    "one-hot": one_hot_arrays,
    "denormal": denormal_arrays,
    "nan": nan_arrays,
    "infinity": infinity_arrays,
}


def data_set(problem: ConvProblem, name: str, seed: int) -> ConvArrays:
    """The arrays that a name in DATA_SETS or of a picture stands for.

    Raises:
        ConvError: There is no such data set, or the picture does not fit the problem.
    """
    if name in DATA_SETS:
        return DATA_SETS[name](problem, seed)
    return case_arrays(problem, name, seed)


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


def middle_pixel(problem: ConvProblem) -> tuple[int, ...]:
    """Where data sets put what spreads: what the middle output reads by its middle tap, or the input next to it."""
    return tuple(
        min(size - 1, max(0, out // 2 * stride - begin + kernel // 2 * dilation))
        for size, out, stride, (begin, _), kernel, dilation in zip(
            problem.spatial,
            problem.out,
            problem.stride,
            problem.padding,
            problem.kernel,
            problem.dilation,
            strict=True,
        )
    )


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
    # Transforms of 16-bit data are computed in float32 at least.
    u = 2.0 ** -max(SIGNIFICAND_BITS[problem.dtype], SIGNIFICAND_BITS["float32"])
    return 0.24 * u * math.log2(points) * problem.C_in / problem.groups * x_norm * w_norm < 0.125


def _nonzero_integers(rng: np.random.Generator, shape: tuple[int, ...], largest: int) -> Array:
    """Integers from -largest to largest without 0, each as likely as any other."""
    values: Array = rng.integers(-largest, largest, shape, dtype=np.int8)
    values += values >= 0
    return values


def _normal(rng: np.random.Generator, shape: tuple[int, ...], problem: ConvProblem) -> Array:
    """Standard normal values, drawn in as few bits as the problem has: large arrays take half the time and memory."""
    return rng.standard_normal(shape, dtype=np.float64 if problem.dtype == "float64" else np.float32)


def _fitting_scale(problem: ConvProblem, largest: float) -> float:
    """The power of two, 1 at most, by which weights become small enough that no output overflows the problem's dtype.

    Args:
        problem: Whose dtype is asked for; only float16 has so short a range that sums leave it.
        largest: What outputs reach at most with the weights as they are.
    """
    if problem.dtype != "float16":
        return 1.0
    return float(2.0 ** min(0, math.floor(math.log2(_LARGEST_FLOAT16 / largest))))


def _of_dtype(problem: ConvProblem, x: Array, weight: Array, bias: Array | None) -> ConvArrays:
    dtype = numpy_dtype(problem.dtype)
    return ConvArrays(
        x=np.ascontiguousarray(x, dtype),
        weight=np.ascontiguousarray(weight, dtype),
        bias=None if bias is None else np.ascontiguousarray(bias, dtype),
    )


def _generator(problem: ConvProblem, kind: str, seed: int) -> np.random.Generator:
    """A generator of its own per problem, kind and seed, whatever else was drawn before."""
    text = f"{problem.replace(label='', count=1)} {kind}"
    return np.random.default_rng([seed, zlib.crc32(text.encode())])
