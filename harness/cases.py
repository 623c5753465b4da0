"""What a suite is made of: its cases, and the one error of describing them wrongly."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import UserError

if TYPE_CHECKING:
    from backends.problem import ConvProblem

PICTURES = ("photograph", "mri")
# All suites and keys fit; a table's names do not, and a message is read, not searched.
_MOST_LISTED = 20


class WorkloadError(UserError):
    """A suite, table or descriptor that cannot be used; one line with what was given, what was expected, what to do."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One convolution to check and time, and where a report shows it."""

    problem: ConvProblem
    """With its label and its count."""
    suite: str
    """Name of the suite, the stem of the user's file, or "command line"."""
    group: str
    """The heading under which a report shows the case."""
    axis: str | None = None
    """What a sweep varies: spatial, kernel, stride, dilation, channels or N; None outside sweeps."""
    axis_value: float | None = None
    """The value of `axis` here."""
    data: str | None = None
    """The picture that is convolved, one of PICTURES; None for seeded random data."""

    def __post_init__(self) -> None:
        if self.data is not None and self.data not in PICTURES:
            known = ", ".join(repr(picture) for picture in PICTURES)
            raise WorkloadError(
                f"no picture is called {self.data!r}; use one of {known}, or leave data out for random data"
            )
        if (self.axis is None) != (self.axis_value is None):
            raise WorkloadError(f"axis={self.axis!r} with axis_value={self.axis_value!r}; give both or neither")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Cases that are run together, in the order in which they are shown."""

    name: str
    description: str
    budget_s: float | None = None
    """Seconds that a run of it takes unless told otherwise; None leaves that to the command line."""
    cases: tuple[Case, ...]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: "; did you mean 'smoke'? There are default, smoke, edges"."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1)
    question = f"; did you mean {close[0]!r}? There are" if close else "; there are"
    more = f", ... ({len(words) - _MOST_LISTED} more)" if len(words) > _MOST_LISTED else ""
    return f"{question} {', '.join(words[:_MOST_LISTED]) or 'none'}{more}"
