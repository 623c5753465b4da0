"""One writer a run folder: a lock that dies with its holder, and says who that is."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.errors import StoreError, disk_remedy

LOCK = "lock"

# Whoever only asks holds the lock for microseconds; a run that starts just then asks again.
_TRIES = 5
_PAUSE_S = 0.02


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes a folder."""

    pid: int
    started_utc: str


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only one who writes a folder. What had to be made for that and holds nothing afterwards is gone again.

    Raises:
        StoreError: Another process holds it, or it cannot be made or written.
    """
    # The innermost first: a folder is empty once those in it are gone.
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(folder)
    except OSError as error:
        _remove_if_empty(made)
        raise StoreError(f"cannot write to {folder}: {error.strerror}; {_remedy(error)}") from error
    try:
        yield
    finally:
        # Removed before it is let go: whoever waits for it sees that it is gone and makes a new one.
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        os.close(descriptor)
        _remove_if_empty(made)


def holder(folder: Path) -> Holder | None:
    """Who writes a folder at this moment, or None."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _locked(folder: Path) -> int:
    """A descriptor that holds the lock, with this process's name in the file.

    Raises:
        StoreError: Another process holds it.
        OSError: The file cannot be made or locked.
    """
    path = folder / LOCK
    other = None
    for _ in range(_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = _read(descriptor)
            else:
                if _is_still_there(path, descriptor):
                    on_failure.callback(path.unlink)
                    _write(descriptor)
                    on_failure.pop_all()
                    return descriptor
        time.sleep(_PAUSE_S)
    raise StoreError(_refusal(folder, other))


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOLCK, errno.ENOTSUP):
        return "its file system keeps no locks, give --out a folder on a local disk"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_remedy(error)
    return "give --out a folder that you may write"


def _refusal(folder: Path, by: Holder | None) -> str:
    who = "another run" if by is None else f"process {by.pid}, which began at {by.started_utc}"
    return f"{folder} is being written by {who}; wait for it to end, or give --out another folder"


def _is_still_there(path: Path, descriptor: int) -> bool:
    """Whether the file that was locked is the one that others would open: its last holder removes it."""
    own = os.fstat(descriptor)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)


def _write(descriptor: int) -> None:
    own = Holder(pid=os.getpid(), started_utc=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, msgspec.json.encode(own) + b"\n", 0)


def _read(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None  # not written yet


def _remove_if_empty(made: list[Path]) -> None:
    with contextlib.suppress(OSError):
        for path in made:
            path.rmdir()
