"""Run folders on disk: run.json, the append-only journal cells.jsonl, and atomic writing of everything else.

A results folder is data: it is parsed with types and never executed. The journal gains one line a cell, fsynced as the
cell ends, so whatever happens only the cell in flight is lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from harness.errors import UserError
from harness.records import SCHEMA_VERSION, Cell, RunHeader

HEADER = "run.json"
JOURNAL = "cells.jsonl"

_CELLS = msgspec.json.Decoder(Cell)


class StoreError(UserError):
    """A folder or file that cannot be used as asked; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """What a run folder holds."""

    folder: Path
    header: RunHeader
    cells: tuple[Cell, ...]
    torn_line: str | None
    """The start of a last line that was cut off while it was written, or None."""


def require_new(folder: Path) -> None:
    """Make sure that a run may be created in a folder, without making anything.

    Raises:
        StoreError: It is a file or holds something already, or a part of its path is a file.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise StoreError(f"{folder} already holds files; give --out a new folder, or --resume to finish its run")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        what = "is not a folder" if not nearest.is_dir() else "may not be written by you"
        raise StoreError(f"cannot write to {folder}: {nearest} {what}; give --out a folder that you may write")


def create(folder: Path, header: RunHeader) -> None:
    """Make a new run folder with its header.

    Raises:
        StoreError: The folder holds something already, or cannot be made or written.
    """
    require_new(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / HEADER, msgspec.json.format(msgspec.json.encode(header), indent=1))
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}; give --out another folder") from error


def load(folder: Path) -> StoredRun:
    """Read a run folder; a torn last line of the journal is left out and told.

    Raises:
        StoreError: It is no run folder, of another schema version, or a line inside the journal is damaged.
    """
    try:
        text = (folder / HEADER).read_bytes()
    except OSError as error:
        what = f"has no readable {HEADER} ({error.strerror})"
        raise StoreError(f"{folder} is no run folder: it {what}; give a folder that `run` wrote") from error
    header = _header(folder / HEADER, text)
    journal = folder / JOURNAL
    try:
        cells, torn_line = _journal(journal, journal.read_bytes())
    except OSError as error:
        raise StoreError(f"{journal} cannot be read ({error.strerror}): the samples of this run are gone") from error
    return StoredRun(folder=folder, header=header, cells=cells, torn_line=torn_line)


def _header(path: Path, text: bytes) -> RunHeader:
    try:
        version = msgspec.json.decode(text, type=_Versioned).schema_version
        if not 1 <= version <= SCHEMA_VERSION:
            age = "newer" if version > SCHEMA_VERSION else "older"
            raise StoreError(f"{path} has schema version {version}, {age} than this program's {SCHEMA_VERSION}")
        return msgspec.json.decode(text, type=RunHeader)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path} is damaged: {error}; restore it, or run again into a new folder") from error


class _Versioned(msgspec.Struct):
    schema_version: int


def _journal(path: Path, content: bytes) -> tuple[tuple[Cell, ...], str | None]:
    lines = content.split(b"\n")
    tail = lines.pop()  # empty when the last line was ended
    if _is_cell(tail):
        lines, tail = [*lines, tail], b""
    cells = []
    for number, line in enumerate(lines, 1):
        try:
            cell = _CELLS.decode(line)
        except msgspec.MsgspecError as error:
            raise StoreError(f"{path} line {number} is damaged: {error}; remove that line to use the rest") from error
        if not all(0 < sample < math.inf for sample in cell.samples_ns) or len(cell.rounds) != len(cell.samples_ns):
            raise StoreError(f"{path} line {number} is damaged: its samples are no times; remove that line")
        cells.append(cell)
    return tuple(cells), tail[:60].decode(errors="replace") if tail else None


def _is_cell(line: bytes) -> bool:
    try:
        _CELLS.decode(line)
    except msgspec.MsgspecError:
        return False
    return True


class Journal:
    """Appends cells to a run folder's journal, each on disk before the call returns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Journal:
        self._file = self._path.open("ab")
        try:
            # Held until the file is closed, also by a process that dies; whoever comes second must not cut lines.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise StoreError(f"{self._path.parent} is being written by another run; wait for it to end") from error
        self._mend_last_line()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, cell: Cell) -> None:
        """Write one cell as one line and wait until it is on disk."""
        if self._file is None:
            raise RuntimeError("the journal is not open; use it in a with statement")
        self._file.write(msgspec.json.encode(cell) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _mend_last_line(self) -> None:
        """End a whole last line that lacks its newline; move an unfinished one aside, so that the next starts anew."""
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        tail = content[whole:]
        if _is_cell(tail):
            with self._path.open("ab") as file:
                file.write(b"\n")
        elif tail:
            with (self._path.parent / f"{JOURNAL}.torn").open("ab") as file:
                file.write(tail + b"\n")
            with self._path.open("r+b") as file:
                file.truncate(whole)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part: temporary name, fsync, rename."""
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; results are for everyone who may read the folder.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
