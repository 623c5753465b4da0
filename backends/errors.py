"""Every mistake a caller of `backends` can make, one class each.

ConvError (ValueError)
├── InvalidGeometry      an axis, stride, padding, dilation or group count that defines no convolution
├── ShapeMismatch        arrays whose shapes disagree with each other or with the problem
├── DescriptorError      text that is not a problem descriptor
├── BackendSpecError     text that is not a backend spec, or names an unknown backend or option
├── BackendUnavailable   a known backend whose library is not installed or does not load here
└── UnsupportedProblem   a backend declined the problem; the message is its reason
DtypeMismatch (TypeError)    arrays or a dtype that the operation is not defined for
"""

from __future__ import annotations


class ConvError(ValueError):
    """A call that cannot be carried out; the message says what was given, what was expected and what to do."""


class InvalidGeometry(ConvError):
    """Sizes, strides, padding, dilation or groups that define no convolution."""


class ShapeMismatch(ConvError):
    """Arrays whose shapes disagree with each other or with the problem."""


class DescriptorError(ConvError):
    """Text that is not a problem descriptor."""


class BackendSpecError(ConvError):
    """Text that is not a backend spec, or one that names an unknown backend or option."""


class BackendUnavailable(ConvError):
    """A known backend whose library is missing or does not load on this machine."""


class UnsupportedProblem(ConvError):
    """A backend declined a problem; the message is the reason it gave."""


class DtypeMismatch(TypeError):
    """Arrays of different, unknown or non-floating dtypes."""
