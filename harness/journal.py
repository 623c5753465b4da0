"""The journal of a run, cells.jsonl: one line a cell, on disk before the next is measured; the last of a place counts.

Whatever happens to its writer, only the line being written can be hurt, and it is the last one.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from harness.errors import StoreError, WriteFailed, disk_remedy
from harness.plan import CellPlace, place_of
from harness.records import Cell

JOURNAL = "cells.jsonl"
TORN = f"{JOURNAL}.torn"
"""Where unfinished last lines are moved to, so that nothing is thrown away."""

_CELLS = msgspec.json.Decoder(Cell)


class Journal:
    """Appends cells to a run folder's journal, each on disk before the call returns.

    One writer at a time: whoever opens a journal holds the folder's lock (`harness.run_lock`).
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._descriptor: int | None = None
        self._end = 0

    def __enter__(self) -> Journal:
        """Open the journal, made if need be, with its last line mended.

        Raises:
            WriteFailed: It cannot be opened or mended.
        """
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._mend_last_line()
        except OSError as error:
            self._close()
            raise self._failed(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def append(self, cell: Cell) -> None:
        """Write one cell as one line and wait until it is on disk.

        Raises:
            WriteFailed: The disk refused. The line is taken back, so that the journal ends with a whole one.
        """
        self._append(msgspec.json.encode(cell) + b"\n")

    def _append(self, line: bytes) -> None:
        if self._descriptor is None:
            raise RuntimeError("the journal is not open; use it in a with statement")
        try:
            # Unbuffered: a buffer would try again at closing, when nobody is there to be told.
            _write_all(self._descriptor, line)
            os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
            raise self._failed(error) from error
        self._end += len(line)

    def _mend_last_line(self) -> None:
        """End a whole last line that lacks its newline; move an unfinished one aside, so that the next starts anew."""
        assert self._descriptor is not None  # noqa: S101  # opened by the only caller
        content = self._path.read_bytes()
        whole, tail = split(content)
        self._end = len(whole)
        if _is_cell(tail):
            self._end += len(tail)
            self._append(b"\n")
        elif tail:
            with (self._path.parent / TORN).open("ab") as file:
                file.write(tail.removesuffix(b"\n") + b"\n")
            os.ftruncate(self._descriptor, self._end)

    def _failed(self, error: OSError) -> WriteFailed:
        return WriteFailed(f"{self._path} cannot be written ({error.strerror}); {disk_remedy(error)}")

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read(path: Path) -> tuple[tuple[Cell, ...], str | None]:
    """The cells of a journal as they were written, and the start of a torn last line or None.

    Raises:
        StoreError: It cannot be read, or a line before the last is damaged.
    """
    try:
        whole, tail = split(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}): the samples of this run are gone") from error
    lines = whole.split(b"\n")[:-1]
    if _is_cell(tail):
        lines, tail = [*lines, tail], b""
    return tuple(_cell(path, number, line) for number, line in enumerate(lines, 1)), (
        tail[:60].decode(errors="replace") if tail else None
    )


def last_of_each_place(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """One cell a place, the later of several, in the order in which the places were filled first."""
    last: dict[CellPlace, Cell] = {}
    for cell in cells:
        last[place_of(cell)] = cell
    return tuple(last.values())


def split(content: bytes) -> tuple[bytes, bytes]:
    """A journal's whole lines, and what comes after them: nothing, or a last line that was not finished.

    A last line may have its newline and still not be whole: of several blocks that were on their way when the power
    went, any may have arrived.
    """
    start = content.rfind(b"\n") + 1
    if start == len(content) and content:
        start = content.rfind(b"\n", 0, -1) + 1
        if _is_json(content[start:]):
            return content, b""
    return content[:start], content[start:]


def _cell(path: Path, number: int, line: bytes) -> Cell:
    try:
        cell = _CELLS.decode(line)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path} line {number} is damaged: {error}; remove that line to use the rest") from error
    times = (*cell.samples_ns, *cell.twin_ns)
    if not all(0 < sample < math.inf for sample in times) or len(cell.rounds) != len(cell.samples_ns):
        raise StoreError(f"{path} line {number} is damaged: its samples are no times; remove that line")
    return cell


def _is_cell(line: bytes) -> bool:
    try:
        _CELLS.decode(line)
    except msgspec.MsgspecError:
        return False
    return True


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.MsgspecError:
        return False
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
