"""ConvProblem: the validated geometry and dtype of one convolution, and everything derived from them.

The operation is cross-correlation, what deep learning calls convolution. With first = group(o) * C_in / groups:

    y[n, o, q] = bias[o] + sum over c, t of x[n, first + c, q*stride - begin + t*dilation] * weight[o, c, t]

Plain Python: no array library is needed to reason about a problem.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from backends import descriptor
from backends.errors import DescriptorError, DtypeMismatch, InvalidGeometry, ShapeMismatch
from backends.geometry import (
    AxisArg,
    PaddingArg,
    Pairs,
    as_int,
    output_size,
    padding_pairs,
    per_axis,
    touched_taps,
)

ITEMSIZE = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}
MAX_NDIM = 3


@dataclass(frozen=True, init=False)
class ConvProblem:
    """One convolution: what is computed, not how.

    Args:
        N: Batch size.
        C_in, C_out: Channels in and out, totals over groups.
        spatial: Input size per axis, 1 to 3 of them: (W,), (H, W) or (D, H, W).
        kernel: Kernel size, an int or one per axis.
        stride, dilation: An int or one per axis; dilation 1 is dense.
        padding: As PyTorch takes it (int, one int per axis, "valid", "same"), or one (begin, end) pair per axis.
        groups: Divides C_in and C_out; groups == C_in is depthwise.
        dtype: "float32", "float64", "float16" or "bfloat16".
        bias: Whether bias (C_out,) is added.
        label: A name for people; not part of equality.
        count: How often the layer occurs in its network; not part of equality.

    Raises:
        InvalidGeometry: The numbers define no convolution.
        DtypeMismatch: dtype is not one of the four.
        TypeError: A size is not an integer.
    """

    N: int
    C_in: int
    C_out: int
    groups: int
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Pairs
    dtype: str
    bias: bool
    label: str = field(compare=False)
    count: int = field(compare=False)

    def __init__(
        self,
        *,
        N: int = 1,
        C_in: int,
        C_out: int,
        spatial: Sequence[int],
        kernel: AxisArg,
        stride: AxisArg = 1,
        padding: PaddingArg = 0,
        dilation: AxisArg = 1,
        groups: int = 1,
        dtype: str = "float32",
        bias: bool = False,
        label: str = "",
        count: int = 1,
    ) -> None:
        # An untyped caller may give text, which is a Sequence too.
        if not isinstance(spatial, Sequence) or isinstance(spatial, str):  # type: ignore[unreachable]
            raise TypeError(f"spatial={spatial!r} is not a sequence; give one size per axis, such as (56, 56)")
        ndim = len(spatial)
        if not 1 <= ndim <= MAX_NDIM:
            raise InvalidGeometry(f"spatial={tuple(spatial)} has {ndim} axes; give 1 to {MAX_NDIM}")
        kernel_axes = per_axis(kernel, ndim, "kernel", 1)
        stride_axes = per_axis(stride, ndim, "stride", 1)
        dilation_axes = per_axis(dilation, ndim, "dilation", 1)
        values: dict[str, object] = {
            "N": _at_least_one(N, "N"),
            "C_in": _at_least_one(C_in, "C_in"),
            "C_out": _at_least_one(C_out, "C_out"),
            "groups": _at_least_one(groups, "groups"),
            "spatial": per_axis(tuple(spatial), ndim, "spatial", 1),
            "kernel": kernel_axes,
            "stride": stride_axes,
            "dilation": dilation_axes,
            "padding": padding_pairs(padding, kernel_axes, stride_axes, dilation_axes),
            "dtype": _known_dtype(dtype),
            "bias": _plain_bool(bias, "bias"),
            "label": _printable(label),
            "count": _at_least_one(count, "count"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        for name, channels in (("C_in", self.C_in), ("C_out", self.C_out)):
            if channels % self.groups:
                raise InvalidGeometry(
                    f"groups={self.groups} does not divide {name}={channels};"
                    f" use a divisor of {channels}, or groups=1 for a dense convolution"
                )
        for axis, out in enumerate(self.out):
            if out < 1:
                begin, end = self.padding[axis]
                raise InvalidGeometry(
                    f"kernel={self.kernel[axis]} with dilation={self.dilation[axis]} spans more than the padded input"
                    f" {self.spatial[axis]}+{begin}+{end} on spatial axis {axis};"
                    " use a smaller kernel or dilation, or more padding"
                )

    @classmethod
    def of_shapes(
        cls,
        x_shape: Sequence[int],
        weight_shape: Sequence[int],
        bias_shape: Sequence[int] | None = None,
        *,
        stride: AxisArg = 1,
        padding: PaddingArg = 0,
        dilation: AxisArg = 1,
        groups: int = 1,
        dtype: str = "float32",
    ) -> ConvProblem:
        """The problem that arrays of these shapes pose: x (N, C_in, *spatial), weight (C_out, C_in // groups, *kernel).

        Raises:
            ShapeMismatch: Ranks or channels disagree.
            InvalidGeometry: The numbers define no convolution.
        """
        x_shape, weight_shape = tuple(x_shape), tuple(weight_shape)
        ndim = len(x_shape) - 2
        if not 1 <= ndim <= MAX_NDIM:
            raise ShapeMismatch(
                f"x has shape {x_shape}; expected (N, C_in, *spatial) with 1 to {MAX_NDIM} spatial axes"
            )
        if len(weight_shape) != len(x_shape):
            raise ShapeMismatch(
                f"weight has shape {weight_shape} for x of shape {x_shape};"
                f" expected {len(x_shape)} axes: (C_out, C_in // groups, *kernel)"
            )
        problem = cls(
            N=x_shape[0],
            C_in=x_shape[1],
            C_out=weight_shape[0],
            spatial=x_shape[2:],
            kernel=weight_shape[2:],
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            dtype=dtype,
            bias=bias_shape is not None,
        )
        if weight_shape != problem.weight_shape:
            raise ShapeMismatch(
                f"weight has shape {weight_shape}, but C_in={problem.C_in} and groups={problem.groups} need"
                f" {problem.weight_shape}; its second axis is C_in // groups"
            )
        if bias_shape is not None and tuple(bias_shape) != problem.bias_shape:
            raise ShapeMismatch(f"bias has shape {tuple(bias_shape)}; expected (C_out,) = {problem.bias_shape}")
        return problem

    @classmethod
    def parse(cls, text: str) -> ConvProblem:
        """The problem that a descriptor, benchdnn options and a descriptor, or a oneDNN verbose line names.

        Raises:
            DescriptorError: The text is none of these.
            InvalidGeometry: It reads well but defines no convolution.
        """
        fields = descriptor.parse(text)
        return cls(
            N=fields.N,
            C_in=fields.C_in,
            C_out=fields.C_out,
            spatial=fields.spatial,
            kernel=fields.kernel,
            stride=fields.stride,
            padding=fields.padding,
            dilation=fields.dilation,
            groups=fields.groups,
            dtype=fields.dtype,
            bias=fields.bias,
            label=fields.label,
            count=fields.count,
        )

    def __str__(self) -> str:
        """The descriptor; `ConvProblem.parse` reads it back exactly, label and count included."""
        return descriptor.text_of(
            descriptor.DescriptorFields(
                N=self.N,
                C_in=self.C_in,
                C_out=self.C_out,
                groups=self.groups,
                spatial=self.spatial,
                kernel=self.kernel,
                stride=self.stride,
                dilation=self.dilation,
                padding=self.padding,
                out=self.out,
                dtype=self.dtype,
                bias=self.bias,
                label=self.label,
                count=self.count,
            )
        )

    def replace(self, **changes: object) -> ConvProblem:
        """The same problem with some constructor arguments changed, and validated again."""
        arguments = {name: getattr(self, name) for name in self.__dataclass_fields__} | changes
        return ConvProblem(**arguments)

    @property
    def ndim(self) -> int:
        """Number of spatial axes, 1 to 3."""
        return len(self.spatial)

    @property
    def out(self) -> tuple[int, ...]:
        """Output size per spatial axis."""
        return tuple(
            output_size(size, kernel, stride, dilation, pads)
            for size, kernel, stride, dilation, pads in zip(
                self.spatial, self.kernel, self.stride, self.dilation, self.padding, strict=True
            )
        )

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, C_in, *spatial)."""
        return (self.N, self.C_in, *self.spatial)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(C_out, C_in // groups, *kernel)."""
        return (self.C_out, self.C_in // self.groups, *self.kernel)

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """(C_out,), whether or not the problem has a bias."""
        return (self.C_out,)

    @property
    def y_shape(self) -> tuple[int, ...]:
        """(N, C_out, *out)."""
        return (self.N, self.C_out, *self.out)

    @property
    def accumulation_length(self) -> int:
        """Products summed into one output element: C_in // groups * prod(kernel); a bias adds one more term."""
        return self.C_in // self.groups * math.prod(self.kernel)

    @property
    def macs_nominal(self) -> int:
        """Multiply-adds of the direct method, taps on padding counted as papers do. GFLOP/s uses twice this."""
        return self.N * self.C_out * math.prod(self.out) * self.accumulation_length

    @property
    def macs_touched(self) -> int:
        """Multiply-adds whose tap reads real input and not padding."""
        taps = math.prod(
            touched_taps(size, out, kernel, stride, dilation, begin)
            for size, out, kernel, stride, dilation, (begin, _) in zip(
                self.spatial, self.out, self.kernel, self.stride, self.dilation, self.padding, strict=True
            )
        )
        return self.N * self.C_out * self.C_in // self.groups * taps

    @property
    def flops(self) -> int:
        """2 * macs_nominal."""
        return 2 * self.macs_nominal

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return ITEMSIZE[self.dtype]

    @property
    def bytes_compulsory(self) -> int:
        """Bytes that any method moves at least: x, weight and bias read once, y written once."""
        elements = math.prod(self.x_shape) + math.prod(self.weight_shape) + math.prod(self.y_shape)
        return (elements + (self.C_out if self.bias else 0)) * self.itemsize

    @property
    def arithmetic_intensity(self) -> float:
        """flops / bytes_compulsory, in FLOP per byte."""
        return self.flops / self.bytes_compulsory

    @property
    def is_depthwise(self) -> bool:
        """Every input channel is a group of its own (a channel multiplier included)."""
        return self.groups == self.C_in and self.groups > 1


def _at_least_one(value: object, what: str) -> int:
    number = as_int(value, what)
    if number < 1:
        raise InvalidGeometry(f"{what}={number}; use 1 or more")
    return number


def _known_dtype(dtype: object) -> str:
    if not isinstance(dtype, str) or dtype not in ITEMSIZE:
        raise DtypeMismatch(f"dtype={dtype!r} is not supported; use one of {', '.join(ITEMSIZE)}")
    return dtype


def _plain_bool(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{what}={value!r} is not a bool; a problem records only whether there is a {what}")
    return value


def _printable(label: object) -> str:
    if not isinstance(label, str):
        raise TypeError(f"label={label!r} is not text; give a string")
    if '"' in label or not label.isprintable():
        raise DescriptorError(
            f"label={label!r} has a quote or control character, which no descriptor can carry; leave it out"
        )
    return label
