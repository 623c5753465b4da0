"""One line of the verdict, and what kinds of them there are."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class LineKind(enum.Enum):
    """What a line of the verdict is about."""

    WRONG = "wrong"
    RIGHT = "right"
    FASTEST = "fastest"
    WHEN = "when"
    BITS = "bits"
    PEAK = "peak"
    MEMORY = "memory"
    SURE = "sure"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One sentence or two of the verdict."""

    kind: LineKind
    text: str
    about: str = ""
    """The group or sweep it is about, if it is about one."""
