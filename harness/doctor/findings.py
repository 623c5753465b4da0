"""What a look at the machine yields."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Level(enum.Enum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at: what was seen, and what to do where it spoils measurements."""

    level: Level
    topic: str
    seen: str
    """Of a warning this is stored with a run, so it names nothing that is the user's own business."""
    remedy: str | None = None
    """For the terminal only."""


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Warnings, notes, and what is well, each in the order of looking."""
    order = list(Level)
    return sorted(findings, key=lambda finding: -order.index(finding.level))


def warnings(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The findings that spoil measurements, one line each."""
    return tuple(f"{f.topic}: {f.seen}" for f in findings if f.level is Level.WARNING)
