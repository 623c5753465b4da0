"""Cells arranged as a reader meets them: cases (one problem, every backend), groups of cases, sweeps along an axis."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from backends.problem import ConvProblem
from harness.records import Cell, Status
from harness.stats import Interval, median_interval

TIMED_STATUSES = (Status.OK, Status.NOISY)
CHECKED_STATUSES = (*TIMED_STATUSES, Status.WRONG, Status.MISTRUSTED)

# File systems allow 255 bytes for a name; a reader wants fewer.
_LONGEST_SLUG = 80

_AXIS_WORDS = {
    "spatial": "input size",
    "kernel": "kernel size",
    "stride": "stride",
    "dilation": "dilation",
    "channels": "channels",
    "N": "batch size",
    "groups": "groups",
}


# What keeps two points off one line of a plot: axis, number of spatial axes, dtype, data.
_Line = tuple[str, int, str, str | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One problem on one kind of data, with what every backend made of it. Compared and hashed by identity."""

    suite: str
    group: str
    title: str
    problem: ConvProblem
    descriptor: str
    data: str | None
    axis: str | None
    axis_value: float | None
    count: int
    cells: Mapping[str, Cell]

    @property
    def full_title(self) -> str:
        """The title with its group's name: "spatial 2-D: spatial 16"."""
        return f"{self.group}: {self.title}" if self.group else self.title

    @cached_property
    def timed(self) -> dict[str, Cell]:
        """The cells that are right and have samples, by backend."""
        return {backend: cell for backend, cell in self.cells.items() if is_timed(cell)}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Cases that differ along one axis, ordered by it."""

    title: str
    axis: str
    cases: tuple[Case, ...]

    @property
    def axis_label(self) -> str:
        """The axis as a plot names it."""
        return axis_words(self.axis)


@dataclass(frozen=True, kw_only=True)
class CaseGroup:
    """Cases that belong in one table."""

    suite: str
    name: str
    title: str
    cases: tuple[Case, ...]

    @cached_property
    def backends(self) -> tuple[str, ...]:
        """Every backend with a cell here, in the run's order."""
        return tuple(dict.fromkeys(backend for case in self.cases for backend in case.cells))

    @cached_property
    def sweeps(self) -> tuple[Sweep, ...]:
        """The group's sweeps: 2-D and 3-D, and each dtype, are lines of their own."""
        lines: dict[_Line, list[Case]] = {}
        for case in self.cases:
            if case.axis is not None and case.axis_value is not None:
                lines.setdefault((case.axis, case.problem.ndim, case.problem.dtype, case.data), []).append(case)
        lines = {key: cases for key, cases in lines.items() if len({case.axis_value for case in cases}) > 1}
        return tuple(
            Sweep(title=title, axis=key[0], cases=tuple(sorted(cases, key=lambda case: case.axis_value or 0.0)))
            for title, (key, cases) in zip(_sweep_titles(self.title, list(lines)), lines.items(), strict=True)
        )

    @property
    def is_swept(self) -> bool:
        """Every case has its place on an axis."""
        return bool(self.cases) and all(case.axis is not None for case in self.cases)


def is_timed(cell: Cell) -> bool:
    """Whether the cell's samples may be compared: right (or right and noisy), and there are some."""
    return cell.status in TIMED_STATUSES and bool(cell.samples_ns)


def time_of(cell: Cell) -> Interval | None:
    """The median time of one call in ns with its interval; None where nothing comparable was measured."""
    return median_interval(cell.samples_ns) if is_timed(cell) else None


def backends_of(cells: Iterable[Cell], asked: Sequence[str] = ()) -> tuple[str, ...]:
    """Every backend of the run: in the order asked for, then any others as they came."""
    present = {cell.key.backend: None for cell in cells}
    return tuple(dict.fromkeys([*(name for name in asked if name in present), *present]))


def groups_of(cells: Iterable[Cell], asked: Sequence[str] = ()) -> tuple[CaseGroup, ...]:
    """The cells as groups of cases, all in the order they came; of two cells of one case and backend the later counts.

    Args:
        cells: What the run stored.
        asked: Backends in the order the run was asked for, which every case keeps.
    """
    cells = list(cells)
    order = {backend: place for place, backend in enumerate(backends_of(cells, asked))}
    members: dict[tuple[str, str], dict[tuple[str, str | None], dict[str, Cell]]] = {}
    for cell in cells:
        cases = members.setdefault((cell.suite, cell.group), {})
        cases.setdefault((cell.key.problem, cell.key.data), {})[cell.key.backend] = cell
    names = Counter(name for _, name in members)
    return tuple(
        CaseGroup(
            suite=suite,
            name=name,
            title=_group_title(suite, name, is_unique=names[name] == 1),
            cases=_titled(
                _case(dict(sorted(by_backend.items(), key=lambda item: order[item[0]])))
                for by_backend in cases.values()
            ),
        )
        for (suite, name), cases in members.items()
    )


def axis_words(axis: str) -> str:
    """What an axis of a sweep is called: "kernel size"."""
    return _AXIS_WORDS.get(axis, axis)


def axis_value_text(value: float | None) -> str:
    """A place on an axis: "7", or "0.5" where it is not whole."""
    return "" if value is None else f"{value:g}"


def geometry_text(problems: Sequence[ConvProblem]) -> str:
    """What all these problems have in common: "N=1, 32→64 channels, 56×56 input, 3×3 kernel, float32"."""
    columns = [_geometry_parts(problem) for problem in problems]
    if not columns:
        return ""
    shared = [parts[0] for parts in zip(*columns, strict=True) if len(set(parts)) == 1 and parts[0]]
    return ", ".join(shared)


def slug(text: str) -> str:
    """The text as part of a file name or an HTML id: lower-case letters, digits and hyphens only."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:_LONGEST_SLUG].strip("-") or "unnamed"


def _geometry_parts(problem: ConvProblem) -> tuple[str, ...]:
    def sizes(values: Sequence[int]) -> str:
        return "×".join(map(str, values))

    return (
        f"{problem.ndim}-D",
        f"N={problem.N}",
        f"{problem.C_in}→{problem.C_out} channels",
        f"{sizes(problem.spatial)} input",
        f"{sizes(problem.kernel)} kernel",
        f"stride {sizes(problem.stride)}" if set(problem.stride) != {1} else "",
        f"dilation {sizes(problem.dilation)}" if set(problem.dilation) != {1} else "",
        f"{problem.groups} groups" if problem.groups > 1 else "",
        problem.dtype,
    )


def _sweep_titles(group: str, keys: Sequence[_Line]) -> list[str]:
    """The group's title, with what tells its lines apart where there are several."""
    words = [(axis_words(axis), f"{ndim}-D", dtype, data or "") for axis, ndim, dtype, data in keys]
    differing = [place for place in range(4) if len({parts[place] for parts in words}) > 1]
    return [", ".join([group, *(parts[place] for place in differing if parts[place])]) for parts in words]


def _group_title(suite: str, name: str, *, is_unique: bool) -> str:
    if not name:
        return suite or "all problems"
    return name if is_unique or not suite else f"{suite}: {name}"


def _case(by_backend: Mapping[str, Cell]) -> Case:
    cell = next(iter(by_backend.values()))
    return Case(
        suite=cell.suite,
        group=cell.group,
        title=_case_title(cell),
        problem=ConvProblem.parse(cell.key.problem),
        descriptor=cell.key.problem,
        data=cell.key.data,
        axis=cell.axis,
        axis_value=cell.axis_value,
        count=cell.count,
        cells=by_backend,
    )


def _case_title(cell: Cell) -> str:
    if cell.label:
        return cell.label
    if cell.axis is not None and cell.axis_value is not None:
        return f"{cell.axis} {axis_value_text(cell.axis_value)}"
    return cell.key.problem


def _titled(cases: Iterable[Case]) -> tuple[Case, ...]:
    """The cases with titles that tell them apart: what differs (rank, dtype, data, else the descriptor) is added."""
    titled = list(cases)
    tellers: tuple[Callable[[Case], str], ...] = (
        lambda case: case.data or "",
        lambda case: f"{case.problem.ndim}-D",
        lambda case: case.problem.dtype,
        lambda case: case.descriptor,
    )
    for tell in tellers:
        told: dict[str, list[str]] = {}
        for case in titled:
            told.setdefault(case.title, []).append(tell(case))
        # Told of all cases where it tells any two apart: a table with "2-D" at some rows only would puzzle.
        if any(len(set(words)) > 1 for words in told.values()):
            titled = [replace(case, title=" · ".join(filter(None, (case.title, tell(case))))) for case in titled]
    return tuple(titled)
