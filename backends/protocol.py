"""What every way of computing a convolution offers: the ConvBackend and Device protocols.

A backend is any object with these members; nothing is registered and nothing is inherited. `prepare` once, call many.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    from backends.problem import ConvProblem

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


class Algorithm(enum.Enum):
    """How outputs are computed, which decides the error model that they must meet."""

    DIRECT = "direct"
    """Products summed in some order: element-wise bound."""
    GEMM = "gemm"
    """Lowered to a matrix product: element-wise bound."""
    FFT = "fft"
    """Products of spectra: norm-wise bound only."""
    WINOGRAD = "winograd"
    """Minimal filtering: bound from the transforms."""
    VENDOR = "vendor"
    """A library chooses; it must meet the element-wise bound."""


class Device(Protocol):
    """Where a backend computes."""

    @property
    def name(self) -> str:
        """What a table shows: "host", "cuda:0"."""
        ...

    def put(self, array: Array) -> Any:
        """The array on the device."""
        ...

    def get(self, native: Any) -> Array:
        """The device's array on the host."""
        ...

    def synchronize(self) -> None:
        """Return when everything asked of the device is done."""
        ...


class HostDevice:
    """The CPU and NumPy arrays: nothing to move, nothing to wait for."""

    name = "host"

    def put(self, array: Array) -> Array:
        """The array itself."""
        return array

    def get(self, native: Array) -> Array:
        """The array itself."""
        return native

    def synchronize(self) -> None:
        """Return at once: host results are complete on return."""


HOST: Final = HostDevice()

ConvCall: TypeAlias = Callable[[Any], Any]

NUMPY_DTYPES = ("float32", "float64")


def dtype_reason(problem: ConvProblem, supported: tuple[str, ...] = NUMPY_DTYPES) -> str | None:
    """Why a backend that computes only the supported dtypes declines a problem, or None."""
    if problem.dtype in supported:
        return None
    return f"{problem.dtype} is not implemented; it computes {', '.join(supported)}"


class PredictsWorkspace(Protocol):
    """What a backend may have besides: a prediction of its memory, so that what cannot fit is never begun.

    Nobody's class must have it; without it, only the arrays themselves are counted.
    """

    def workspace_bytes(self, problem: ConvProblem) -> int | None:
        """Host memory in bytes that `prepare` and one call need at their peak, beyond weights, bias, input and output.

        Found from the geometry alone, within moments and without allocating. None where it cannot be known beforehand.

        Args:
            problem: One for which `why_unsupported` is None.
        """
        ...


class ConvBackend(Protocol):
    """One way of computing a convolution."""

    @property
    def name(self) -> str:
        """The spec that recreates the backend: "torch[layout=channels_last]"."""
        ...

    @property
    def algorithm(self) -> Algorithm:
        """Which error model the results must meet."""
        ...

    @property
    def device(self) -> Device:
        """Where inputs are expected and outputs appear."""
        ...

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        """The reason why this problem is declined, or None if it is computed."""
        ...

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        """A callable from x (N, C_in, *spatial) on the device to y (N, C_out, *out) there.

        May compile, choose an algorithm, transform or pack weights, and allocate. The callable never modifies its
        input, and each output is valid until the next call.

        Args:
            problem: One for which `why_unsupported` is None.
            weight: Host array, shape (C_out, C_in // groups, *kernel).
            bias: Host array, shape (C_out,), where problem.bias.
        """
        ...
