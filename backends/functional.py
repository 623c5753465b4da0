"""`conv`: one convolution of NumPy arrays by a named backend, every argument checked."""

from __future__ import annotations

from typing import Any

from backends import registry
from backends.errors import DtypeMismatch, UnsupportedProblem
from backends.geometry import AxisArg, PaddingArg
from backends.problem import ITEMSIZE, ConvProblem
from backends.protocol import Array


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: AxisArg = 1,
    padding: PaddingArg = 0,
    dilation: AxisArg = 1,
    groups: int = 1,
    backend: str = "numba",
) -> Array:
    """Convolve (cross-correlate) x with weight.

    Args:
        x: Input, shape (N, C_in, *spatial), 1 to 3 spatial axes; float32 or float64, or float16 or ml_dtypes.bfloat16
            where the backend computes them.
        weight: Shape (C_out, C_in // groups, *kernel), dtype of x.
        bias: Shape (C_out,), dtype of x.
        stride, dilation: An int or one per axis.
        padding: An int, one int or one (begin, end) pair per axis, "valid" or "same".
        groups: Divides C_in and C_out.
        backend: A spec, as `backends.get` takes it.

    Returns:
        y, shape (N, C_out, *out), dtype of x, an array of its own.

    Raises:
        ConvError: (a ValueError) shapes, geometry or backend are wrong, or the backend declines the problem.
        TypeError: An argument is not of the type above.
    """
    problem = problem_of(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    chosen = registry.get(backend)
    reason = chosen.why_unsupported(problem)
    if reason is not None:
        raise UnsupportedProblem(f"backend {backend!r} declines {problem}: {reason}")
    call = chosen.prepare(problem, weight, bias)
    native = call(chosen.device.put(x))
    chosen.device.synchronize()
    # A backend may reuse its output buffer or return a view of a larger one; the caller gets an array of its own.
    return chosen.device.get(native).copy()


def problem_of(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: AxisArg = 1,
    padding: PaddingArg = 0,
    dilation: AxisArg = 1,
    groups: int = 1,
) -> ConvProblem:
    """The validated problem that these arrays pose.

    Raises:
        ConvError: Shapes or geometry are wrong.
        TypeError: An argument is no array, or dtypes are mixed, complex, integer or not numeric.
    """
    dtype = _common_dtype(x=x, weight=weight, bias=bias)
    return ConvProblem.of_shapes(
        x.shape,
        weight.shape,
        None if bias is None else bias.shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        dtype=dtype,
    )


def _common_dtype(**arrays: Any) -> str:
    import numpy as np

    first = ""
    for name, array in arrays.items():
        if array is None and name == "bias":
            continue
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name} is a {type(array).__name__}; give a NumPy array, such as np.asarray({name})")
        dtype = array.dtype.name
        if dtype not in ITEMSIZE or not array.dtype.isnative:
            raise DtypeMismatch(
                f"{name} has dtype {dtype if array.dtype.isnative else f'{dtype} of the other byte order'};"
                f" expected native {', '.join(ITEMSIZE)}; convert it, for example {name}.astype('float32')"
            )
        if first and dtype != first:
            raise DtypeMismatch(f"{name} has dtype {dtype} but x has {first}; convert one of them")
        first = first or dtype
    return first
