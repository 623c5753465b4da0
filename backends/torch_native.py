"""PyTorch's own convolution on the CPU, NumPy arrays in and out without a copy where the layout allows."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from backends import threads
from backends.errors import BackendSpecError
from backends.geometry import output_size
from backends.lowering import require_input, require_weights
from backends.problem import ConvProblem
from backends.protocol import HOST, Algorithm, Array, ConvCall, dtype_reason
from backends.spec import spec_text

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
_LAYOUTS = ("contiguous", "channels_last")


class TorchBackend:
    """torch.nn.functional.conv{1,2,3}d.

    Args:
        layout: "contiguous" computes in NCHW; "channels_last" converts to NHWC and back inside each call.
    """

    algorithm = Algorithm.VENDOR
    device = HOST

    def __init__(self, *, layout: str = "contiguous") -> None:
        if layout not in _LAYOUTS:
            raise BackendSpecError(f"torch: layout={layout!r} is unknown; use one of {', '.join(_LAYOUTS)}")
        self._is_channels_last = layout == "channels_last"
        self.name = spec_text("torch", layout=layout) if self._is_channels_last else "torch"

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        """None for float32 and float64; channels_last exists for 2-D and 3-D only."""
        if self._is_channels_last and problem.ndim not in _CHANNELS_LAST:
            return "PyTorch has no channels_last layout for 1-D; use layout=contiguous"
        return dtype_reason(problem)

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        """Wrap the weights as tensors in the layout; PyTorch chooses its algorithm at each call."""
        require_weights(weight, bias, problem)
        wanted = threads.requested()
        if wanted is not None:
            torch.set_num_threads(wanted)
        layout = _CHANNELS_LAST[problem.ndim] if self._is_channels_last else torch.contiguous_format
        weight_t = _tensor(weight).contiguous(memory_format=layout)
        bias_t = None if bias is None else _tensor(bias)
        conv = _CONV[problem.ndim]
        symmetric = symmetric_padding(problem)
        # F.pad lists the last axis first.
        explicit = None if symmetric else [side for pair in reversed(problem.padding) for side in pair]

        def call(x: Array) -> Array:
            require_input(x, problem)
            with torch.inference_mode():
                x_t = _tensor(x)
                if explicit is not None:
                    x_t = F.pad(x_t, explicit)
                y = conv(
                    x_t.contiguous(memory_format=layout),
                    weight_t,
                    bias_t,
                    stride=problem.stride,
                    padding=symmetric or 0,
                    dilation=problem.dilation,
                    groups=problem.groups,
                )
                return y.contiguous().numpy()

        return call


def symmetric_padding(problem: ConvProblem) -> tuple[int, ...] | None:
    """Padding with equal ends that computes the same, or None if there is none.

    An end padding that differs from the begin only in positions that no output reads needs no padded copy.
    """
    begins = tuple(begin for begin, _ in problem.padding)
    for size, out, kernel, stride, dilation, begin in zip(
        problem.spatial, problem.out, problem.kernel, problem.stride, problem.dilation, begins, strict=True
    ):
        if output_size(size, kernel, stride, dilation, (begin, begin)) != out:
            return None
    return begins


def _tensor(array: Array) -> torch.Tensor:
    """A tensor on the same memory where PyTorch can share it.

    It has neither read-only tensors nor negative strides, which NumPy calls contiguous on an axis of size 1.
    """
    array = np.ascontiguousarray(array)
    is_shareable = array.flags.writeable and min(array.strides) > 0
    return torch.from_numpy(array if is_shareable else array.copy())
