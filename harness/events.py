"""What a run tells while it goes on: the step under way, what the machine can do, cells as they end, the account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from harness.cases import Case
from harness.records import Ceilings, Cell


@dataclass(frozen=True, kw_only=True)
class CaseStarted:
    """Progress: a case begins."""

    case: Case
    number: int
    total: int


@dataclass(frozen=True, kw_only=True)
class BackendStarted:
    """Progress: a backend is being prepared, checked or timed on a case."""

    case: Case
    backend: str
    step: str


@dataclass(frozen=True, kw_only=True)
class CeilingsMeasured:
    """What the machine can do at most, at the start or at the end."""

    ceilings: Ceilings


@dataclass(frozen=True, kw_only=True)
class RunEnded:
    """All cells are done."""

    spent_s: dict[str, float]
    """Wall time by what it went to."""


Event: TypeAlias = CaseStarted | BackendStarted | CeilingsMeasured | RunEnded | Cell
"""A cell may come again with more samples: the later one counts."""
