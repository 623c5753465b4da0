"""A run's folder for what its processes pass to each other in files; what runs that were killed left is removed.

The name carries its owner's pid, and its owner holds a lock on it: pids begin again in a container that shares /tmp.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"convbench-(\d{1,10})-\w+")


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A new folder, private to this user, that is gone afterwards. Folders of dead runs of this user go first."""
    _remove_left_behind(Path(tempfile.gettempdir()))
    path = Path(tempfile.mkdtemp(prefix=f"convbench-{os.getpid()}-"))
    try:
        with _locked(path):
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _remove_left_behind(parent: Path) -> None:
    for path in parent.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is None or _is_alive(int(match[1])):
            continue
        # Another run may be removing it at the same time; a folder that cannot be locked is somebody's.
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                with _locked(path):
                    shutil.rmtree(path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the folder's lock, which its owner's death sets free.

    Raises:
        OSError: Somebody else holds it, or it is gone or no folder.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
