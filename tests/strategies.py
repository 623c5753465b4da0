"""What the tests draw from: problems, labels, the arrays of a problem, and the backends that load here."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from hypothesis import strategies as st

from backends import ConvProblem, registry

NUMPY_DTYPES = ("float32", "float64")
EVERY_DTYPE = ("float32", "float64", "float16", "bfloat16")

# The small workspace makes panels of what is otherwise lowered whole.
EVERY_BACKEND = (*registry.default_specs(), "im2col[workspace_mb=1]")


class Arrays(NamedTuple):
    """What a convolution reads."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None


def problem_arrays(problem: ConvProblem, seed: int = 0, *, fill: Literal["integers", "normal"] = "integers") -> Arrays:
    """Seeded x, weight and, where the problem has one, bias.

    Args:
        problem: Shapes and dtype.
        seed: Equal seeds give equal arrays.
        fill: "integers" from -4 to 4, whose sums are exact in float32 up to a million terms, or "normal".
    """
    rng = np.random.default_rng(seed)

    def filled(shape: tuple[int, ...]) -> np.ndarray:
        values = rng.integers(-4, 5, shape) if fill == "integers" else rng.standard_normal(shape)
        return values.astype(problem.dtype)

    x, weight = filled(problem.x_shape), filled(problem.weight_shape)
    return Arrays(x, weight, filled(problem.bias_shape) if problem.bias else None)


def labels() -> st.SearchStrategy[str]:
    """Names that a descriptor can carry, those that look like its own syntax included."""
    printable = st.text(
        st.characters(exclude_categories=("C", "Z"), exclude_characters='"') | st.just(" "), max_size=12
    )
    return printable | st.sampled_from(["resnet50:conv2_x.0", "a*7", "*3", "n", "--dt=f64", " both ends ", "mb2"])


@st.composite
def conv_problems(
    draw: st.DrawFn,
    *,
    ndims: tuple[int, ...] = (1, 2, 3),
    dtypes: tuple[str, ...] = NUMPY_DTYPES,
    is_padded: bool = True,
    has_label: bool = False,
    max_spare: int = 6,
) -> ConvProblem:
    """Small problems of every kind: dense, grouped and depthwise; each axis with sizes of its own.

    Args:
        draw: Given by Hypothesis.
        ndims: Numbers of spatial axes to choose from.
        dtypes: To choose from.
        is_padded: Whether there may be padding.
        has_label: Whether there may be a label and a count.
        max_spare: By how much an axis may exceed what its kernel needs; fewer with three axes.
    """
    ndim = draw(st.sampled_from(ndims))
    axes = [draw(_axes(ndim=ndim, is_padded=is_padded, max_spare=max_spare)) for _ in range(ndim)]
    spatial, kernel, stride, dilation, padding = (tuple(column) for column in zip(*axes, strict=True))
    groups, channels_in, channels_out = draw(_channels())
    return ConvProblem(
        N=draw(st.integers(1, 3)),
        C_in=groups * channels_in,
        C_out=groups * channels_out,
        groups=groups,
        spatial=spatial,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        dtype=draw(st.sampled_from(dtypes)),
        bias=draw(st.booleans()),
        label=draw(labels()) if has_label else "",
        count=draw(st.just(1) | st.integers(1, 99)) if has_label else 1,
    )


@st.composite
def _channels(draw: st.DrawFn) -> tuple[int, int, int]:
    """groups, and channels in and out of each: dense, grouped, or depthwise with a channel multiplier."""
    kind = draw(st.sampled_from(["dense", "grouped", "depthwise"]))
    groups = 1 if kind == "dense" else draw(st.integers(2, 4))
    channels_in = 1 if kind == "depthwise" else draw(st.integers(1, 6))
    return groups, channels_in, draw(st.integers(1, 5))


@st.composite
def _axes(draw: st.DrawFn, *, ndim: int, is_padded: bool, max_spare: int) -> tuple[int, int, int, int, tuple[int, int]]:
    """Size, kernel, stride, dilation and padding of one axis that has at least one output."""
    kernel = draw(st.integers(1, 5 if ndim < 3 else 3))
    stride = draw(st.integers(1, 3))
    dilation = draw(st.integers(1, 3 if ndim < 3 else 2))
    ends = st.integers(0, 3) if is_padded else st.just(0)
    begin, end = draw(ends), draw(ends)
    least = max(1, dilation * (kernel - 1) + 1 - begin - end)
    spare = draw(st.integers(0, max_spare if ndim < 3 else min(2, max_spare)))
    return least + spare, kernel, stride, dilation, (begin, end)
