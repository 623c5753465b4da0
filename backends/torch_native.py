"""PyTorch's own convolution on the CPU, NumPy arrays in and out without a copy where the layout allows."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F

from backends import threads
from backends.dtypes import numpy_dtype
from backends.errors import BackendSpecError
from backends.geometry import output_size
from backends.lowering import require_input, require_weights
from backends.problem import ConvProblem
from backends.protocol import HOST, Algorithm, Array, ConvCall
from backends.spec import spec_text

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
_LAYOUTS = ("contiguous", "channels_last")
# Computed or not, by version, processor and number of axes; float32 and float64 always are.
_PROBED = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class TorchBackend:
    """torch.nn.functional.conv{1,2,3}d.

    What it computes is PyTorch's affair, wrong results included: by way of oneDNN 3.12, bfloat16 in channels_last is
    wrong, or crashes, on some grouped problems with several outputs a group.

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
        """None where this build computes the dtype with so many axes; channels_last exists for 2-D and 3-D only."""
        if self._is_channels_last and problem.ndim not in _CHANNELS_LAST:
            return "PyTorch has no channels_last layout for 1-D; use layout=contiguous"
        if problem.dtype not in _PROBED:
            return None
        is_dilated = any(dilation > 1 for dilation in problem.dilation)
        return _refusal(problem.dtype, problem.ndim, is_dilated, self._layout(problem.ndim))

    def workspace_bytes(self, problem: ConvProblem) -> None:  # noqa: ARG002  # what the protocol gives
        """None: which algorithm PyTorch takes, and what that allocates, is known only when it has run."""
        return

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        """Wrap the weights as tensors in the layout; PyTorch chooses its algorithm at each call."""
        require_weights(weight, bias, problem)
        wanted = threads.requested()
        if wanted is not None:
            torch.set_num_threads(wanted)
        layout = self._layout(problem.ndim)
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
                return _array(y.contiguous())

        return call

    def _layout(self, ndim: int) -> torch.memory_format:
        return _CHANNELS_LAST[ndim] if self._is_channels_last else torch.contiguous_format


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


@functools.cache
def _refusal(dtype: str, ndim: int, is_dilated: bool, layout: torch.memory_format) -> str | None:
    """Why PyTorch cannot convolve in this dtype here, learnt by trying the kernel that it selects; None if it can."""
    x = torch.zeros((1, 2, *(5,) * ndim), dtype=_PROBED[dtype]).contiguous(memory_format=layout)
    weight = torch.zeros((2, 2, *(2,) * ndim), dtype=x.dtype).contiguous(memory_format=layout)
    try:
        with torch.inference_mode():
            _CONV[ndim](x, weight, weight.new_zeros(2), dilation=2 if is_dilated else 1)
    except RuntimeError as error:
        what = f"{ndim}-D {'dilated ' if is_dilated else ''}convolution in {dtype}"
        said = str(error).partition("\n")[0]
        return f"PyTorch {torch.__version__} does not compute {what} on this processor ({said}); use float32"
    return None


def _tensor(array: Array) -> torch.Tensor:
    """A tensor on the same memory where PyTorch can share it.

    It has neither read-only tensors nor negative strides, which NumPy calls contiguous on an axis of size 1.
    """
    array = np.ascontiguousarray(array)
    is_shareable = array.flags.writeable and min(array.strides) > 0
    array = array if is_shareable else array.copy()
    if array.dtype.type.__name__ == "bfloat16":  # foreign to PyTorch, whose own has the same bits
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _array(tensor: torch.Tensor) -> Array:
    """A NumPy array on the memory of a contiguous tensor."""
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(numpy_dtype("bfloat16"))
    return tensor.numpy()
