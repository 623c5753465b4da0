"""What the cells of a run come to: how many problems each backend decided, and the exit code that sums it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.records import CaseKey, Cell, RunHeader, Status
from harness.units import duration_text

EXIT_OK, EXIT_WRONG, EXIT_INCOMPLETE = 0, 2, 3

# A backend that is right, wrong or declines has answered; the others leave a problem open.
_DECIDED = (Status.OK, Status.NOISY, Status.WRONG, Status.UNSUPPORTED)
BROKEN_OFF = (Status.CRASHED, Status.TIMEOUT, Status.OUT_OF_MEMORY)
_LEFT_OPEN = (Status.SKIPPED, Status.MISTRUSTED)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How far a check of one backend went. A problem that several groups show counts once."""

    backend: str
    planned: int
    decided: int
    undecided: dict[Status, int]
    """Problems by what became of them."""
    spent_s: float
    """What its own steps took: preparing and checking, not the reference."""

    def __str__(self) -> str:
        holes = ", ".join(f"{count:,} {status.value.replace('_', ' ')}" for status, count in self.undecided.items())
        problems = "problem" if self.planned == 1 else "problems"
        text = f"{self.backend}: {self.decided:,} of {self.planned:,} {problems} decided"
        return f"{text}{f' ({holes})' if holes else ''} in {duration_text(self.spent_s)}"


def coverage(header: RunHeader, cells: Sequence[Cell]) -> tuple[Coverage, ...]:
    """One for each backend of the run, in its order."""
    last: dict[CaseKey, Cell] = {cell.key: cell for cell in cells}
    planned = Counter(key.backend for key in set(header.plan))
    found = []
    for backend in header.backends:
        own = [cell for cell in last.values() if cell.key.backend == backend]
        undecided = Counter(cell.status for cell in own if cell.status not in _DECIDED)
        found.append(
            Coverage(
                backend=backend,
                planned=planned[backend],
                decided=len(own) - undecided.total(),
                undecided={status: undecided[status] for status in Status if undecided[status]},
                spent_s=sum(cell.spent_ns or 0 for cell in own) * 1e-9,
            )
        )
    return tuple(found)


def exit_code(header: RunHeader, cells: Sequence[Cell], *, was_interrupted: bool = False) -> int:
    """2 where a result is wrong, 3 where a cell broke off or nothing is known of a backend, else 0.

    Skipped and mistrusted cells alone are no failure while each backend has some that are decided: a sweep over
    everything always has such cells. A timed run has failed only where all of them were skipped.
    """
    statuses = {cell.status for cell in cells}
    if Status.WRONG in statuses:
        return EXIT_WRONG
    if was_interrupted or statuses.intersection(BROKEN_OFF):
        return EXIT_INCOMPLETE
    if header.is_timed:
        return EXIT_INCOMPLETE if statuses == {Status.SKIPPED} else EXIT_OK
    return EXIT_OK if all(each.decided for each in coverage(header, cells)) else EXIT_INCOMPLETE


def what_is_open(header: RunHeader, cells: Sequence[Cell]) -> str | None:
    """What a person should know of cells without an answer, or None: silence would be taken for success."""
    if header.is_timed:
        if cells and all(cell.status is Status.SKIPPED for cell in cells):
            return f"every cell was skipped: {cells[0].reason}"
        return None
    counts = Counter(cell.status for cell in cells if cell.status in _LEFT_OPEN)
    if not counts:
        return None
    what = " and ".join(f"{counts[status]:,} {status.value}" for status in _LEFT_OPEN if counts[status])
    lost = [each.backend for each in coverage(header, cells) if not each.decided]
    nothing = f", nothing is known of {', '.join(lost)}" if lost else ""
    return f"of {len(cells):,} cells {what}{nothing}"
