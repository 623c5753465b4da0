"""What a run says when it ends: its tables, its files, and the cells to look at with the line that repeats each."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import click

from harness import report, tally
from harness.cli_console import PlainConsole
from harness.errors import disk_remedy
from harness.failure_text import explanation_lines, labelled
from harness.records import Cell, Explanation, RunHeader, Status

# More cells of a kind than this are a pattern that the first of them shows.
_MOST_SAID = 5
_ALL_OF_THEM = "summary.csv in --out DIR has all of them, each with its reason and the line that repeats it"
# A check skips whole classes of problems, and what it skipped is counted in its tables.
_SAID_OF_A_CHECK = tally.BROKEN_OFF
_SAID_OF_A_RUN = (*tally.BROKEN_OFF, Status.NOISY, Status.SKIPPED)


def say(message: str) -> None:
    """One message for a person, on stderr."""
    with _reader_may_leave(sys.stderr):
        click.echo(message, err=True)


def show_tables(header: RunHeader, cells: Sequence[Cell]) -> None:
    """Tables on the terminal. A reader who leaves early, as head does, ends neither the run nor what else it writes."""
    with _reader_may_leave(sys.stdout):
        console = PlainConsole()
        console.print(report.terminal_tables(header, cells, width=console.width))
        if not header.is_timed:
            lines = "\n".join(map(str, tally.coverage(header, cells)))
            console.print(f"\n{lines}", highlight=False, markup=False, soft_wrap=True)


def show_cells(header: RunHeader, cells: Sequence[Cell]) -> None:
    """The cells that a person should look at: wrong ones first, each with the line that repeats exactly it."""
    place = {key: number for number, key in enumerate(header.plan)}
    # Jobs end their cells in any order; two runs of the same plan should read the same.
    wrong = [cell for cell in cells if cell.status is Status.WRONG]
    wrong.sort(key=lambda cell: (_explanation_of(cell) is None, place.get(cell.key, len(place))))
    for cell in wrong[:_MOST_SAID]:
        say(f"WRONG: {_name(cell)}: {cell.reason}")
        explanation = _explanation_of(cell)
        if explanation is None:
            say(f"  repeat: {report.repeat_line(header, cell)}")
        else:
            say("\n".join(explanation_lines(cell.key.backend, explanation, header.seed)))
            say(labelled("as found", report.repeat_line(header, cell)))
    if len(wrong) > _MOST_SAID:
        say(f"WRONG: {len(wrong) - _MOST_SAID} more; {_ALL_OF_THEM}")
    for status in _SAID_OF_A_RUN if header.is_timed else _SAID_OF_A_CHECK:
        for line in _lines_of(status, header, cells):
            say(line)


def write_files(header: RunHeader, cells: Sequence[Cell], folder: Path) -> bool:
    """Write the report and say where it is; whether the disk took it."""
    # Pictures need NumPy and matplotlib, which no other part of a command line has to wait for.
    from harness.report.edges import pictures_of

    try:
        paths = report.write_report(folder, header, cells, pictures_of(cells))
    except OSError as error:
        say(
            f"error: the report in {folder} cannot be written ({error.strerror}); every cell is kept:"
            f" {disk_remedy(error)}, then make it with: {report_command(folder)}"
        )
        return False
    with _reader_may_leave(sys.stdout):
        click.echo(f"\nreport:  {paths.html}\ntable:   {paths.summary}\nplots:   {folder / 'plots'}")
    return True


def resume_command(header: RunHeader, folder: Path) -> str:
    """The line that finishes a run."""
    command = "run" if header.is_timed else "check"
    return f"python -m harness {command} --resume --out {shlex.quote(str(folder))}"


def report_command(folder: Path) -> str:
    """The line that makes a run's report again."""
    return f"python -m harness report {shlex.quote(str(folder))}"


def _lines_of(status: Status, header: RunHeader, cells: Sequence[Cell]) -> Iterator[str]:
    word = status.value.upper().replace("_", " ")
    of_it = [cell for cell in cells if cell.status is status]
    for cell in of_it[:_MOST_SAID]:
        yield f"{word}: {_name(cell)}: {cell.reason}"
        yield f"  repeat: {report.repeat_line(header, cell)}"
    if len(of_it) > _MOST_SAID:
        yield f"{word}: {len(of_it) - _MOST_SAID} more; {_ALL_OF_THEM}"


def _name(cell: Cell) -> str:
    return f"{cell.key.backend} on {cell.label or cell.key.problem}"


def _explanation_of(cell: Cell) -> Explanation | None:
    return cell.check.explanation if cell.check else None


@contextlib.contextmanager
def _reader_may_leave(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # What Python still holds for it goes nowhere, or its last flush would complain again.
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a name, not a path that anything is made of
            os.dup2(nowhere.fileno(), stream.fileno())
