"""Shape tables: the rows of a CSV file, shipped or a user's, as problems.

A table has one column per number, as `tables/README.md` lists them, or a `descriptor` column with optional `name` and
`count`; both may have a `group`. Only the sizes of the axes in use are needed. What is left out or left empty is stride
1, padding 0, dilation 1, groups 1, N 1 and count 1. Columns that can be derived (out_*, macs) are checked where given.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from backends.errors import ConvError
from backends.problem import MAX_NDIM, ConvProblem
from harness.cases import WorkloadError, did_you_mean

_AXES = ("d", "h", "w")
_NAMES = ("name", "count", "group")
_GEOMETRY = (
    *("source", "ndim", "N", "C_in", "C_out", "groups"),
    *(f"{size}_{axis}" for size in ("in", "k", "stride", "dil", "out") for axis in _AXES),
    *(f"pad_{axis}_{side}" for axis in _AXES for side in ("begin", "end")),
    # Derived; "symmetric_pad" says whether begin equals end everywhere and is for readers of the file only.
    *("symmetric_pad", "macs"),
)
_NEEDED = ("ndim", "C_in", "C_out", "in_w", "k_w")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table, not yet a problem: tables are long, and most suites want few of their rows."""

    place: str
    """File and line, for messages."""
    cells: Mapping[str, str]
    """Text by column, without the empty cells."""

    @property
    def name(self) -> str:
        """What `match` looks at, and the problem's label (a descriptor that has no name beside it keeps its own)."""
        return self.cells.get("name", "")

    @property
    def source(self) -> str:
        """What `source_match` looks at: `suite:file[:set]`."""
        return self.cells.get("source", "")

    @property
    def group(self) -> str:
        """The heading that the table itself gives, or nothing."""
        return self.cells.get("group", "")

    def problem(self) -> ConvProblem:
        """The row's problem, checked against the derived columns.

        Raises:
            WorkloadError: The row defines no convolution, or its out_* or macs are not those of its problem.
        """
        try:
            problem = self._from_descriptor() if "descriptor" in self.cells else self._from_numbers()
        except (ConvError, TypeError) as error:
            raise WorkloadError(f"{self.place}: {error}") from error
        self._check_derived(problem)
        return problem

    def _from_descriptor(self) -> ConvProblem:
        problem = ConvProblem.parse(self.cells["descriptor"])
        return problem.replace(label=self.name or problem.label, count=self._number("count", problem.count))

    def _from_numbers(self) -> ConvProblem:
        axes = self._axes()
        return ConvProblem(
            N=self._number("N", 1),
            C_in=self._number("C_in"),
            C_out=self._number("C_out"),
            groups=self._number("groups", 1),
            spatial=[self._number(f"in_{axis}") for axis in axes],
            kernel=[self._number(f"k_{axis}") for axis in axes],
            stride=[self._number(f"stride_{axis}", 1) for axis in axes],
            dilation=[self._number(f"dil_{axis}", 1) for axis in axes],
            # A negative end only says that trailing input is never read, which the output formula's floor does anyway.
            padding=[
                (self._number(f"pad_{axis}_begin", 0), max(0, self._number(f"pad_{axis}_end", 0))) for axis in axes
            ],
            label=self.name,
            count=self._number("count", 1),
        )

    def _axes(self) -> tuple[str, ...]:
        ndim = self._number("ndim")
        if not 1 <= ndim <= MAX_NDIM:
            raise WorkloadError(f"{self.place}, column ndim: {ndim} spatial axes; give 1 to {MAX_NDIM}")
        return _AXES[-ndim:]

    def _check_derived(self, problem: ConvProblem) -> None:
        outs = (1,) * (MAX_NDIM - problem.ndim) + problem.out
        derived = {f"out_{axis}": out for axis, out in zip(_AXES, outs, strict=True)} | {"macs": problem.macs_nominal}
        for column, expected in derived.items():
            given = self._number(column, expected)
            if given != expected:
                raise WorkloadError(
                    f"{self.place}, column {column}: {given}, but the row's sizes give {expected};"
                    f" correct the row, or empty {column}"
                )

    def _number(self, column: str, default: int | None = None) -> int:
        text = self.cells.get(column)
        if text is None:
            if default is None:
                raise WorkloadError(f"{self.place}, column {column}: empty; give an integer")
            return default
        try:
            return int(text)
        except ValueError:
            raise WorkloadError(f"{self.place}, column {column}: {text!r} is not an integer; give one") from None


def shipped_tables() -> list[str]:
    """File names of the tables that come with the harness."""
    return sorted(file.name for file in _folder().iterdir() if file.name.endswith(".csv"))


def shipped_table(file_name: str) -> Traversable:
    """The file behind a name from `shipped_tables`."""
    return _folder() / file_name


def read_rows(file: Traversable) -> list[Row]:
    """Every row of a CSV file.

    Raises:
        WorkloadError: The file cannot be read, has columns that are unknown or missing, or a row of another length.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        return list(_rows(csv.reader(io.StringIO(text), strict=True), file.name))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WorkloadError(f"{file.name}: cannot be read as a CSV table in UTF-8: {error}") from error


def _rows(reader: Iterator[list[str]], file_name: str) -> Iterator[Row]:
    columns = [column.strip() for column in next(reader, [])]
    _check_columns(columns, file_name)
    for line, cells in zip(itertools.count(2), reader, strict=False):
        if not cells:
            continue
        place = f"{file_name}, row {line}"
        if len(cells) != len(columns):
            raise WorkloadError(f"{place}: {len(cells)} cells for {len(columns)} columns; give one cell a column")
        filled = {column: cell.strip() for column, cell in zip(columns, cells, strict=True) if cell.strip()}
        if "descriptor" in columns and "descriptor" not in filled:
            raise WorkloadError(f"{place}, column descriptor: empty; give text such as ic64ih56oc64kh3ph1")
        yield Row(place=f"{place} ({filled['name']!r})" if "name" in filled else place, cells=filled)


def _check_columns(columns: list[str], file_name: str) -> None:
    if not any(columns):
        raise WorkloadError(f"{file_name}: empty; its first line names the columns, at least 'descriptor'")
    has_descriptors = "descriptor" in columns
    allowed = ("descriptor", *_NAMES) if has_descriptors else (*_NAMES, *_GEOMETRY)
    for column in columns:
        if column not in allowed:
            raise WorkloadError(f"{file_name}: column {column!r} is unknown{did_you_mean(column, allowed)}")
        if columns.count(column) > 1:
            raise WorkloadError(f"{file_name}: column {column!r} is there twice; keep one")
    missing = [] if has_descriptors else [column for column in _NEEDED if column not in columns]
    if missing:
        raise WorkloadError(
            f"{file_name}: no column {', '.join(missing)}; a table has 'descriptor', or at least {', '.join(_NEEDED)}"
        )


def _folder() -> Traversable:
    return resources.files("harness") / "tables"
