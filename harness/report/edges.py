"""The pictures of a run with their edges, as the float64 reference computes them.

Every backend that is ok on a picture has been checked against exactly these values, so one picture speaks for all.
"""

from __future__ import annotations

from collections.abc import Sequence

from backends import ConvProblem
from harness import inputs, reference
from harness.records import Cell, Status
from harness.report.pictures import Picture

_TITLES = {"photograph": "a photograph", "mri": "an MRI slice"}
_CHECKED = (Status.OK, Status.NOISY)


def pictures_of(cells: Sequence[Cell]) -> tuple[Picture, ...]:
    """One picture for each that some backend convolved correctly, in the order of the cells."""
    problems = {cell.key.data: cell.key.problem for cell in cells if cell.key.data and cell.status in _CHECKED}
    return tuple(_picture(name, ConvProblem.parse(text)) for name, text in problems.items())


def _picture(name: str, problem: ConvProblem) -> Picture:
    y = reference.convolve(problem, inputs.case_arrays(problem, name, seed=0))
    return Picture(name=_TITLES.get(name, name), image=inputs.picture(name), vertical=y[0, 0], horizontal=y[0, 1])
