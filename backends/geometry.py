"""The arithmetic of one convolution axis: output size, padding, and the taps that read real input.

Plain integers only, so sizes past 2**63 are exact. Every function takes dilation in the 1-based sense (1 is dense).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Literal

from backends.errors import InvalidGeometry

AxisArg = int | Sequence[int]
PaddingArg = int | Sequence[int] | Sequence[Sequence[int]] | Literal["valid", "same"]
Pairs = tuple[tuple[int, int], ...]


def kernel_extent(kernel: int, dilation: int) -> int:
    """Input positions spanned by a dilated kernel: dilation * (kernel - 1) + 1."""
    return dilation * (kernel - 1) + 1


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: tuple[int, int]) -> int:
    """Output positions along one axis; below 1 when the kernel does not fit into the padded input."""
    return (size + padding[0] + padding[1] - kernel_extent(kernel, dilation)) // stride + 1


def end_padding_read(size: int, out: int, kernel: int, stride: int, dilation: int, begin: int) -> int:
    """The end padding that the last output position reaches; negative when trailing input is never read."""
    return (out - 1) * stride - size + kernel_extent(kernel, dilation) - begin


def touched_taps(size: int, out: int, kernel: int, stride: int, dilation: int, begin: int) -> int:
    """(output position, tap) pairs along one axis that read real input and not padding.

    Tap t of output o reads input o*stride - begin + t*dilation, so for each tap the valid outputs are one interval:
    the cost is O(kernel) whatever the size of the axis.
    """
    total = 0
    for tap in range(kernel):
        offset = tap * dilation - begin
        first = max(0, -(offset // stride))  # ceil(-offset / stride)
        last = min(out - 1, (size - 1 - offset) // stride)
        total += max(0, last - first + 1)
    return total


def as_int(value: object, what: str) -> int:
    """The value as an int.

    Raises:
        TypeError: It is not an integer (booleans and floats are refused).
    """
    if isinstance(value, bool):
        raise TypeError(f"{what}={value!r} is a bool; give an integer")
    try:
        return operator.index(value)  # type: ignore[arg-type]  # index() is the check
    except TypeError:
        raise TypeError(f"{what}={value!r} is {_kind(value)}; give an integer or one integer per axis") from None


def per_axis(value: AxisArg, ndim: int, what: str, least: int) -> tuple[int, ...]:
    """One integer per spatial axis, from an int for all of them or a sequence of ndim ints.

    Raises:
        InvalidGeometry: The sequence is not ndim long, or an entry is below `least`.
        TypeError: An entry is no integer.
    """
    # An untyped caller may give text, which is a Sequence too.
    if isinstance(value, Sequence) and not isinstance(value, str):  # type: ignore[unreachable]
        axes = tuple(as_int(entry, what) for entry in value)
        if len(axes) != ndim:
            raise InvalidGeometry(
                f"{what}={axes} has {len(axes)} entries for {ndim} spatial axes; give one integer, or {ndim}"
            )
    else:
        axes = (as_int(value, what),) * ndim
    if min(axes) < least:
        raise InvalidGeometry(f"{what}={axes} has an entry below {least}; use {least} or more on every axis")
    return axes


def padding_pairs(
    padding: PaddingArg,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pairs:
    """(begin, end) padding per axis from any form PyTorch takes, or from per-axis pairs.

    "same" needs stride 1 and puts the odd element at the end, as PyTorch does.

    Raises:
        InvalidGeometry: An unknown word, a wrong count, a negative entry, or "same" with a stride.
        TypeError: An entry is no integer.
    """
    ndim = len(kernel)
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * ndim
        if padding != "same":
            raise InvalidGeometry(
                f"padding={padding!r} is unknown; use 'valid', 'same', integers or (begin, end) pairs"
            )
        if set(stride) != {1}:
            raise InvalidGeometry(f"padding='same' is defined for stride 1 only, got stride={stride}; give integers")
        totals = tuple(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(padding, Sequence) and any(isinstance(entry, Sequence) for entry in padding):
        return _explicit_pairs(padding, ndim)
    return tuple((axis, axis) for axis in per_axis(padding, ndim, "padding", 0))  # type: ignore[arg-type]  # pairs returned above


def _explicit_pairs(padding: Sequence[object], ndim: int) -> Pairs:
    pairs = []
    for entry in padding:
        if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) != 2:
            raise InvalidGeometry(f"padding={padding!r} mixes forms; give one (begin, end) pair per axis, or integers")
        begin, end = (as_int(side, "padding") for side in entry)
        if begin < 0 or end < 0:
            raise InvalidGeometry(f"padding={padding!r} has a negative entry; crop the input instead")
        pairs.append((begin, end))
    if len(pairs) != ndim:
        raise InvalidGeometry(f"padding={padding!r} has {len(pairs)} pairs for {ndim} spatial axes; give {ndim}")
    return tuple(pairs)


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
