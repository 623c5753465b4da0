"""Problems that a faulty backend may solve in place of the one posed.

`MISREADINGS` is a table: words that complete "the outputs are those of ...", with braces for what tells variants apart,
and what is solved instead. Another misreading is another entry. What happens most often comes first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backends import Array, ConvProblem
from harness.inputs import SIGNIFICAND_BITS, ConvArrays

AXES = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}
# Bits of the significand, the implicit one included, of each type that a kernel may compute in behind another label.
NARROW_TYPES = {24: "as float32 has", 11: "as tf32 and float16 have", 8: "as bfloat16 has"}
# Kernels that take channels in blocks of so many may forget the rest.
_CHANNEL_BLOCKS = (4, 8, 16)


@dataclass(frozen=True, kw_only=True)
class Misread:
    """A problem as a backend misread it.

    Attributes:
        arrays: What was read.
        changes: Arguments of ConvProblem that were taken for others than posed.
        detail: What tells this variant of the misreading from its others.
    """

    arrays: ConvArrays
    changes: Mapping[str, object] = field(default_factory=dict)
    detail: str = ""


Misreading = Callable[[ConvProblem, ConvArrays], Iterable[Misread]]


def with_shortened(arrays: ConvArrays, bits: int) -> ConvArrays:
    """All arrays, the bias too, rounded to so many significant bits."""
    bias = None if arrays.bias is None else shortened(arrays.bias, bits)
    return ConvArrays(x=shortened(arrays.x, bits), weight=shortened(arrays.weight, bits), bias=bias)


def shortened(array: Array, bits: int, rounding: Callable[[Array], Array] = np.rint) -> Array:
    """The array in float64, each significand rounded to so many bits."""
    mantissa, exponent = np.frexp(array.astype(np.float64))
    result: Array = np.ldexp(rounding(np.ldexp(mantissa, bits)), exponent - bits)
    return result


# Geometry.


def _taken_for(name: str, taken: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Misreading:
    """One misreading of stride, dilation or padding, from what there is per axis to what is taken for it."""
    return lambda problem, arrays: [Misread(arrays=arrays, changes={name: taken(getattr(problem, name))})]


def _one_for_all_axes(name: str) -> Misreading:
    def misreading(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
        for axis, value in zip(AXES[problem.ndim], getattr(problem, name), strict=True):
            # 1 on every axis is the parameter ignored.
            if value > 1:
                yield Misread(arrays=arrays, changes={name: (value,) * problem.ndim}, detail=axis)

    return misreading


def _dilation_off_by_one(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    more, fewer = (tuple(max(1, dilation + step) for dilation in problem.dilation) for step in (1, -1))
    yield Misread(arrays=arrays, changes={"dilation": more}, detail="larger")
    # 1 on every axis is the dilation ignored.
    if set(fewer) != {1}:
        yield Misread(arrays=arrays, changes={"dilation": fewer}, detail="smaller")


def _padding_filled(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    widest = max(map(max, problem.padding))
    if widest == 0:
        return
    modes = {"edge": "the nearest pixel", "wrap": "the opposite side of the input (circular convolution)"}
    if all(max(pads) < size for size, pads in zip(problem.spatial, problem.padding, strict=True)):
        modes["reflect"] = "the input reflected at its edge"
    # One pixel, mirrored with the edge, is the edge.
    if widest > 1:
        modes["symmetric"] = "the input mirrored, its edge included"
    spatial = tuple(begin + size + end for size, (begin, end) in zip(problem.spatial, problem.padding, strict=True))
    for mode, detail in modes.items():
        x = np.pad(arrays.x, [(0, 0), (0, 0), *problem.padding], mode=mode)  # type: ignore[call-overload]  # no literal
        yield _x(arrays, x, detail, spatial=spatial, padding=((0, 0),) * problem.ndim)


def _input_one_place_off(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    for axis, name in enumerate(AXES[problem.ndim]):
        (begin, end), size = problem.padding[axis], problem.spatial[axis]
        before, behind = f"before the right ones, along the {name}", f"behind the right ones, along the {name}"
        yield _x(arrays, arrays.x, before, padding=_put(problem.padding, axis, (begin + 1, end)))
        if begin:
            yield _x(arrays, arrays.x, behind, padding=_put(problem.padding, axis, (begin - 1, end)))
        elif size > 1:
            cropped = np.delete(arrays.x, 0, axis + 2)
            yield _x(arrays, cropped, behind, spatial=_put(problem.spatial, axis, size - 1))


# Arrays in another order.


def _flipped_along_one_axis(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    flippable = [axis for axis, size in enumerate(problem.kernel) if size > 1]
    # The only axis that can be flipped is every axis.
    for axis in flippable if len(flippable) > 1 else ():
        yield _weight(arrays, np.flip(arrays.weight, axis + 2), AXES[problem.ndim][axis])


def _weight_channels_last(_problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    channels_out, channels_in, *kernel = arrays.weight.shape
    inputs_last = np.moveaxis(arrays.weight.reshape(channels_out, *kernel, channels_in), -1, 1)
    yield _weight(arrays, inputs_last, "input channels came last")
    both_last = np.moveaxis(arrays.weight.reshape(*kernel, channels_in, channels_out), (-1, -2), (0, 1))
    yield _weight(arrays, both_last, "input channels and then output channels came last")


def _axes_swapped(array: Array) -> Iterator[tuple[str, Array]]:
    """For each two spatial axes, the array as though its memory had been written with these two swapped."""
    names = AXES[array.ndim - 2]
    for a, b in itertools.combinations(range(2, array.ndim), 2):
        shape = list(array.shape)
        shape[a], shape[b] = shape[b], shape[a]
        yield f"{names[a - 2]} and {names[b - 2]}", array.reshape(shape).swapaxes(a, b)


# Groups, channels and taps.


def _groups_mixed_up(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    if problem.groups == 1:
        return
    channels, o = problem.C_in // problem.groups, np.arange(problem.C_out)[:, None]
    group, c = o // (problem.C_out // problem.groups), np.arange(channels)
    # The input channels that each output channel reads, (C_out, C_in // groups).
    read = {
        "that all read the input channels of the first (groups ignored)": 0 * group + c,
        "that take output channels in turn (channel o is in group o % groups)": o % problem.groups * channels + c,
        "that take input channels in turn (channel c is in group c % groups)": group + c * problem.groups,
    }
    for detail, read_channels in read.items():
        dense = np.zeros((problem.C_out, problem.C_in, *problem.kernel))
        dense[o, read_channels] = arrays.weight
        yield _weight(arrays, dense, detail, groups=1)


def _input_channels_left_out(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    channels = problem.C_in // problem.groups
    the = "the" if problem.groups == 1 else "each group's"
    kept = {channels - 1: f"without {the} last input channel"}
    for block in _CHANNEL_BLOCKS:
        multiple = channels // block * block
        kept.setdefault(multiple, f"without {the} input channels from {multiple} on (beyond a multiple of {block})")
    kept.setdefault(1, f"of {the} first input channel only")
    for count, detail in kept.items():
        if 0 < count < channels:
            yield _weight(arrays, _zeroed(arrays.weight, 1, slice(count, None)), detail)
    if channels > 1:
        yield _weight(arrays, _zeroed(arrays.weight, 1, slice(1)), f"without {the} first input channel")
    if problem.groups > 1:
        yield _x(arrays, _zeroed(arrays.x, 1, slice(-1, None)), "without the last input channel of the last group")


def _taps_left_out(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    for axis, name in enumerate(AXES[problem.ndim], start=2):
        for which, part in {"last": slice(-1, None), "first": slice(1)}.items():
            if arrays.weight.shape[axis] > 1:
                yield _weight(arrays, _zeroed(arrays.weight, axis, part), f"{which} tap along its {name}")


# Bias.


def _bias_counted_otherwise(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    if arrays.bias is None:
        return
    times = {0: "missing bias", 2: "bias added twice"}
    times.setdefault(math.prod(problem.kernel), "bias added once per tap")
    times.setdefault(problem.C_in // problem.groups, "bias added once per input channel")
    times.setdefault(problem.accumulation_length, "bias added once per product")
    for count, detail in times.items():
        yield Misread(arrays=replace(arrays, bias=count * arrays.bias.astype(np.float64)), detail=detail)


def _bias_of_another_channel(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    if arrays.bias is None:
        return
    biases = {"next channel": np.roll(arrays.bias, -1), "first channel everywhere": 0 * arrays.bias + arrays.bias[0]}
    # Of two channels, the one before is the next.
    if problem.C_out > 2:
        biases["channel before"] = np.roll(arrays.bias, 1)
    for detail, bias in biases.items():
        yield Misread(arrays=replace(arrays, bias=bias), detail=detail)


# Arithmetic.


def _inputs_shortened(problem: ConvProblem, arrays: ConvArrays) -> Iterator[Misread]:
    ways: dict[str, Callable[[Array], Array]] = {"rounded": np.rint, "cut off": np.trunc}
    for bits, like in NARROW_TYPES.items():
        for how, rounding in ways.items() if bits < SIGNIFICAND_BITS[problem.dtype] else ():
            to = f"{how} to {bits} significant bits, {like}"
            x, weight = shortened(arrays.x, bits, rounding), shortened(arrays.weight, bits, rounding)
            # Small integers are short already.
            if not np.array_equal(x, arrays.x, equal_nan=True):
                yield Misread(arrays=replace(arrays, x=x, weight=weight), detail=f"input and weights {to}")
                yield _x(arrays, x, f"an input {to}")
            if not np.array_equal(weight, arrays.weight):
                yield _weight(arrays, weight, f"weights {to}")


def _weight(arrays: ConvArrays, weight: Array, detail: str = "", **changes: object) -> Misread:
    return Misread(arrays=replace(arrays, weight=weight), changes=changes, detail=detail)


def _x(arrays: ConvArrays, x: Array, detail: str = "", **changes: object) -> Misread:
    return Misread(arrays=replace(arrays, x=x), changes=changes, detail=detail)


def _zeroed(array: Array, axis: int, part: slice) -> Array:
    result = array.copy()
    result[(slice(None),) * axis + (part,)] = 0
    return result


def _put(values: tuple[object, ...], axis: int, value: object) -> tuple[object, ...]:
    return (*values[:axis], value, *values[axis + 1 :])


MISREADINGS: dict[str, Misreading] = {
    "a kernel flipped along every axis (true convolution instead of cross-correlation)": lambda _, a: [
        _weight(a, np.flip(a.weight, tuple(range(2, a.weight.ndim))))
    ],
    "a kernel flipped along its {}": _flipped_along_one_axis,
    "a kernel whose {} are swapped": lambda _, a: [_weight(a, w, axes) for axes, w in _axes_swapped(a.weight)],
    "weights whose input and output channels are swapped": lambda _, a: [
        _weight(a, a.weight.reshape(a.weight.shape[1], a.weight.shape[0], *a.weight.shape[2:]).swapaxes(0, 1))
    ],
    "a stride taken in the reverse order of the axes": _taken_for("stride", lambda s: s[::-1]),
    "an ignored stride (1 on every axis)": _taken_for("stride", lambda s: (1,) * len(s)),
    "the stride of the {} on every axis": _one_for_all_axes("stride"),
    "an ignored dilation (1 on every axis)": _taken_for("dilation", lambda d: (1,) * len(d)),
    "a dilation taken in the reverse order of the axes": _taken_for("dilation", lambda d: d[::-1]),
    "the dilation of the {} on every axis": _one_for_all_axes("dilation"),
    "a dilation one {} on every axis (counted from 0 by one and from 1 by the other)": _dilation_off_by_one,
    "padding whose begin and end are swapped": _taken_for("padding", lambda pads: tuple(pair[::-1] for pair in pads)),
    "padding taken in the reverse order of the axes": _taken_for("padding", lambda pads: pads[::-1]),
    "ignored padding (the first output reads the first inputs)": _taken_for("padding", lambda p: ((0, 0),) * len(p)),
    "padding with {}, not with zeros": _padding_filled,
    "groups {}": _groups_mixed_up,
    "sums {}": _input_channels_left_out,
    "a kernel without its {}": _taps_left_out,
    "a {}": _bias_counted_otherwise,
    "the bias of the {}": _bias_of_another_channel,
    "{}": _inputs_shortened,
    "inputs one place {}": _input_one_place_off,
    "the first image, for every image": lambda _, a: [_x(a, np.broadcast_to(a.x[:1], a.x.shape))],
    "an input whose {} are swapped": lambda _, a: [_x(a, x, axes) for axes, x in _axes_swapped(a.x)],
    "an input read as though channels came last in memory": lambda p, a: [
        _x(a, np.moveaxis(a.x.reshape(p.N, *p.spatial, p.C_in), -1, 1))
    ],
    "weights read as though {} in memory": _weight_channels_last,
}
