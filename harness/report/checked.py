"""What a check without timing found, as one table: a row a backend, a column a data set with its worst slack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from harness.records import Cell, DataOutcome, Status
from harness.units import MISSING, digits

if TYPE_CHECKING:
    from harness.report.findings import Findings

_RIGHT = (Status.OK, Status.NOISY)
_EXACT = "exact"


def check_table(findings: Findings) -> Table:
    """Per backend: problems right and wrong (the rest was not decided), then the worst slack for each data set.

    Slack is the largest error over its bound. Integers have none: a tick says that all of them came out equal.
    """
    cells = {name: [c for c in findings.cells if c.key.backend == name] for name in findings.backends}
    names = list(dict.fromkeys(o.name for c in findings.cells if c.check for o in c.check.outcomes))
    table = Table(
        title=Text("Checked against the reference: largest error over its bound (1 is the limit)", style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("backend", overflow="fold", min_width=12)
    for heading in ("right", "wrong", *names, "bits"):
        lines = heading.replace(" ", "\n").replace("-", "-\n")
        table.add_column(lines, justify="right", no_wrap=True)
    for backend, own in cells.items():
        right = sum(cell.status in _RIGHT for cell in own)
        wrong = sum(cell.status is Status.WRONG for cell in own)
        style = "bold red" if wrong else "green" if right == len(own) else "yellow"
        slacks = [Text(_slack_text(own, name)) for name in names]
        counts = (Text(str(right)), Text(str(wrong), style="bold red" if wrong else ""))
        table.add_row(Text(backend.replace("[", "\n["), style=style), *counts, *slacks, _fewest_bits(own))
    return table


def _slack_text(cells: list[Cell], name: str) -> str:
    outcomes = [outcome for cell in cells if cell.check and (outcome := cell.check.outcome(name)) is not None]
    if not outcomes:
        return MISSING
    if not all(outcome.passed for outcome in outcomes):
        return "✗"
    if name == _EXACT:
        return "✓"
    return digits(max(map(_slack, outcomes)), 2)


def _slack(outcome: DataOutcome) -> float:
    if outcome.error is None or not outcome.error_bound:
        return 0.0
    return outcome.error / outcome.error_bound


def _fewest_bits(cells: list[Cell]) -> str:
    """Fewest effective bits on ordinary data over all problems."""
    bits = [o.effective_bits for c in cells if c.check for o in c.check.outcomes if o.effective_bits is not None]
    return digits(min(bits), 3) if bits else MISSING
