"""Ways of computing a convolution behind one protocol.

    import backends

    backends.names()                                # those that can load here
    backends.conv(x, weight, padding=1, backend="im2col")
    backends.get("torch[layout=channels_last]").prepare(problem, weight)(x)

The operation is cross-correlation (no kernel flip): x (N, C_in, *spatial), weight (C_out, C_in // groups, *kernel),
y (N, C_out, *out), for 1 to 3 spatial axes.
"""

from backends.errors import (
    BackendSpecError,
    BackendUnavailable,
    ConvError,
    DescriptorError,
    DtypeMismatch,
    InvalidGeometry,
    ShapeMismatch,
    UnsupportedProblem,
)
from backends.functional import conv
from backends.problem import ConvProblem
from backends.protocol import HOST, Algorithm, Array, ConvBackend, ConvCall, Device
from backends.registry import get, names

__all__ = [
    "HOST",
    "Algorithm",
    "Array",
    "BackendSpecError",
    "BackendUnavailable",
    "ConvBackend",
    "ConvCall",
    "ConvError",
    "ConvProblem",
    "DescriptorError",
    "Device",
    "DtypeMismatch",
    "InvalidGeometry",
    "ShapeMismatch",
    "UnsupportedProblem",
    "conv",
    "get",
    "names",
]
