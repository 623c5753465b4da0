"""The verdict's sentence on memory: the largest workspace of each backend, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.report.lines import Line, LineKind
from harness.report.wording import names_text
from harness.units import bytes_text, ratio_text

if TYPE_CHECKING:
    from harness.report.cases import Case
    from harness.report.findings import Findings


def memory_lines(findings: Findings) -> Iterator[Line]:
    """Who needs how much beside inputs and outputs, the most first; nothing where it was not measured."""
    largest: dict[str, tuple[int, Case]] = {}
    for case in findings.verdicts:
        for backend, cell in case.timed.items():
            size = cell.workspace_bytes
            if size is not None and (backend not in largest or size > largest[backend][0]):
                largest[backend] = size, case
    if not largest:
        return
    ranked = sorted(largest.items(), key=lambda item: -item[1][0])
    parts = [_text(backend, size, case) for backend, (size, case) in ranked if size]
    none = [backend for backend, (size, _) in ranked if not size]
    if none:
        parts.append(f"none for {names_text(none)}")
    yield Line(
        kind=LineKind.MEMORY,
        text=f"Largest workspace of one call, beyond its operands and what preparing kept: {'; '.join(parts)}.",
    )


def _text(backend: str, size: int, case: Case) -> str:
    share = ratio_text(size / case.problem.bytes_compulsory)
    return f"{backend} {bytes_text(size)} ({share} the operands of {case.full_title})"
