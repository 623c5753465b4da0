"""What noise did to one cell, in a few words for its row."""

from __future__ import annotations

from harness import noise
from harness.noise import Outlier
from harness.records import Cell
from harness.report.wording import count_text
from harness.units import MISSING

SEVERE = (Outlier.SEVERELY_LOW, Outlier.SEVERELY_HIGH)


def recorded_blocks(cell: Cell) -> int:
    """The blocks of which the record says whether something disturbed them."""
    return min(len(cell.samples_ns), max(len(cell.cores), len(cell.preemptions), len(cell.stolen)))


def disturbed_blocks(cell: Cell) -> int | None:
    """How many blocks were disturbed; None where it was not recorded."""
    if not recorded_blocks(cell):
        return None
    return sum(kind is not None for kind in noise.disturbances(cell))


def outlier_number(cell: Cell) -> int | None:
    """How many samples lie outside Tukey's inner fences; None of too few samples."""
    if len(cell.samples_ns) < noise.LEAST_FOR_FENCES:
        return None
    return sum(noise.outlier_counts(cell.samples_ns).values())


def noise_note(cell: Cell) -> str:
    """The column of a table: "5 of 40 blocks disturbed; 2 severe outliers", "quiet", or a dash for nothing known."""
    disturbed, outliers = disturbed_blocks(cell), outlier_number(cell)
    if disturbed is None and outliers is None:
        return MISSING
    parts = []
    if disturbed:
        parts.append(f"{disturbed} of {count_text(recorded_blocks(cell), 'block')} disturbed")
    counts = noise.outlier_counts(cell.samples_ns)
    severe = sum(counts[kind] for kind in SEVERE)
    if severe:
        parts.append(count_text(severe, "severe outlier"))
    return "; ".join(parts) or "quiet"
