"""What a script found: a claim, whether it holds, and the table that shows it, as text, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Row = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One claim, measured."""

    name: str
    """Of the script."""
    claim: str
    holds: bool
    columns: Row
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    """Everything behind the table, for JSON."""
    is_quick: bool = False
    machine: str = ""
    command: str = ""
    wall_s: float = 0.0

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"rows of {self.name} must have {len(self.columns)} entries, one for each column")

    def as_json(self) -> dict[str, Any]:
        """What a file of results holds."""
        return asdict(self)

    @staticmethod
    def of_json(stored: dict[str, Any]) -> Outcome:
        """The outcome that `as_json` wrote."""
        lists = {name: tuple(stored[name]) for name in ("columns", "notes")}
        return Outcome(**{**stored, **lists, "rows": tuple(map(tuple, stored["rows"]))})


def as_text(outcome: Outcome) -> str:
    """For a terminal: claim, aligned table, notes, verdict."""
    table = [outcome.columns, *outcome.rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(outcome.columns))]
    lines = [_aligned(row, widths) for row in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"note: {note}" for note in outcome.notes]
    quick = " (a smoke run: too little for a verdict)" if outcome.is_quick else ""
    verdict = f"{'holds' if outcome.holds else 'FAILS'}{quick}: {outcome.claim}"
    return "\n".join([outcome.machine, "", *lines, "", *notes, verdict])


def as_markdown(outcome: Outcome) -> str:
    """A section of a page."""
    table = [outcome.columns, tuple("---" for _ in outcome.columns), *outcome.rows]
    quick = " (smoke run)" if outcome.is_quick else ""
    return "\n".join(
        [
            f"## {outcome.name.replace('_', ' ').capitalize()}",
            "",
            f"{outcome.claim} **{'Holds' if outcome.holds else 'Does not hold'}{quick}.**",
            "",
            *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table),
            "",
            *(f"- {note}" for note in outcome.notes),
            *([""] if outcome.notes else []),
            f"`{outcome.command}`, {_duration(outcome.wall_s)}, on {outcome.machine}.",
        ]
    )


def _duration(wall_s: float) -> str:
    return f"{wall_s:.0f} s" if wall_s < 120 else f"{wall_s / 60:.0f} min"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()
