"""Run folders on disk: run.json beside the journal, and atomic writing of everything else.

A results folder is data: it is parsed with types and never executed.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness import journal
from harness.errors import StoreError, WriteFailed, disk_remedy
from harness.records import SCHEMA_VERSION, Cell, RunHeader
from harness.run_lock import LOCK

HEADER = "run.json"


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """What a run folder holds."""

    folder: Path
    header: RunHeader
    cells: tuple[Cell, ...]
    """One a place of the plan, in the order in which the places were filled first."""
    torn_line: str | None
    """The start of a last line that was cut off while it was written, or None."""


def require_new(folder: Path) -> None:
    """Make sure that a run may be created in a folder, without making anything.

    Raises:
        StoreError: It is a file or holds something already, or a part of its path is a file.
    """
    if folder.is_dir() and not all(map(_is_left_by_a_start, folder.iterdir())):
        how = ", or --resume to finish its run" if (folder / HEADER).exists() else ""
        raise StoreError(f"{folder} already holds files; give --out a new folder{how}")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        what = "is not a folder" if not nearest.is_dir() else "may not be written by you"
        raise StoreError(f"cannot write to {folder}: {nearest} {what}; give --out a folder that you may write")


def create(folder: Path, header: RunHeader) -> None:
    """Make a new run folder with its header and an empty journal.

    Raises:
        StoreError: The folder holds something already, or cannot be made or written.
    """
    require_new(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Before the header, so that no folder is a run without having one: a header alone reads as samples lost.
        (folder / journal.JOURNAL).touch()
        write_atomically(folder / HEADER, _encoded(header))
        _sync_folder(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            (folder / journal.JOURNAL).unlink()
        raise StoreError(
            f"cannot write to {folder}: {error.strerror}; {disk_remedy(error)}, or give --out another folder"
        ) from error


def replace_header(folder: Path, header: RunHeader) -> None:
    """Write a run's header anew, with what came to be known while it went on.

    Raises:
        WriteFailed: The disk does not take it; the old one is still there.
    """
    try:
        write_atomically(folder / HEADER, _encoded(header))
    except OSError as error:
        raise WriteFailed(f"cannot write {folder / HEADER} ({error.strerror}); {disk_remedy(error)}") from error


def _encoded(header: RunHeader) -> bytes:
    return msgspec.json.format(msgspec.json.encode(header), indent=1)


def _is_left_by_a_start(path: Path) -> bool:
    """Whether a file is what a run leaves that was killed before it had a header."""
    if path.name == journal.JOURNAL:
        return path.stat().st_size == 0
    return path.name == LOCK or path.name.startswith(f".{HEADER}.")


def load(folder: Path) -> StoredRun:
    """Read a run folder; a torn last line of the journal is left out and told, as are lines that later ones replace.

    Raises:
        StoreError: It is no run folder, of another schema version, or a line inside the journal is damaged.
    """
    try:
        text = (folder / HEADER).read_bytes()
    except OSError as error:
        what = f"has no readable {HEADER} ({error.strerror})"
        raise StoreError(f"{folder} is no run folder: it {what}; give a folder that `run` wrote") from error
    header = _header(folder / HEADER, text)
    cells, torn_line = journal.read(folder / journal.JOURNAL)
    return StoredRun(folder=folder, header=header, cells=journal.last_of_each_place(cells), torn_line=torn_line)


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


def _sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on disk, where the file system can tell: a file is under its name only then."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
