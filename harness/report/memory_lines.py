"""The verdict's sentence on memory: the largest workspace of each backend, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.report.cases import is_timed
from harness.report.lines import Line, LineKind
from harness.units import bytes_text

if TYPE_CHECKING:
    from harness.report.findings import Findings


def memory_lines(findings: Findings) -> Iterator[Line]:
    """Who needs how much beside inputs and outputs, the most first; nothing where it was not measured."""
    largest: dict[str, tuple[int, str, str]] = {}
    for case in findings.verdicts:
        for backend, cell in case.cells.items():
            size = cell.workspace_bytes
            if is_timed(cell) and size is not None and size > largest.get(backend, (-1, "", ""))[0]:
                operands = bytes_text(case.problem.bytes_compulsory)
                largest[backend] = size, case.title, operands
    if not largest:
        return
    ranked = sorted(largest.items(), key=lambda item: -item[1][0])
    parts = [
        f"{backend} {bytes_text(size)} (on {title}, whose operands take {operands})" if size else f"{backend} none"
        for backend, (size, title, operands) in ranked
    ]
    yield Line(
        kind=LineKind.MEMORY,
        text=f"Largest workspace of one call, beyond operands and what was kept before: {'; '.join(parts)}.",
    )
