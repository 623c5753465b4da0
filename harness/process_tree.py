"""Which processes belong to a worker: its descendants, and those that bear its mark in their environment.

Everything is read from /proc. Without one there is nothing to be found, and process groups have to do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

_PAUSE_S = 0.002


def descendants(pid: int) -> list[int]:
    """Processes that a process started, directly or not, parents first, zombies included.

    Those whose own parent is gone are among them only if the process is a subreaper.
    """
    children: dict[int, list[int]] = {}
    for child in _every_pid():
        with contextlib.suppress(OSError, ValueError, IndexError):
            # pid (name) state parent ...; the name may hold spaces and brackets.
            parent = int(_read(f"/proc/{child}/stat").rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(child)
    found = list(children.get(pid, ()))
    for one in found:
        found += children.get(one, ())
    return found


def marked(mark: str) -> list[int]:
    """Processes of this user that were started with this `NAME=value` in their environment."""
    return [pid for pid in _every_pid() if _bears(pid, mark)]


def kill_marked(mark: str, limit_s: float) -> bool:
    """Kill every process that bears the mark, again until none is left; whether that was reached within the limit."""
    deadline = time.monotonic() + limit_s
    while found := marked(mark):
        for pid in found:
            _kill_if_marked(pid, mark)
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


def _kill_if_marked(pid: int, mark: str) -> None:
    """Kill the process that bears the mark, never a newer one that has come by its number meanwhile."""
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            if _bears(pid, mark):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _bears(pid: int, mark: str) -> bool:
    try:
        # A zombie's environment is empty, another user's cannot be read.
        return mark.encode() in _read(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return False


def _every_pid() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208  # as below
    except OSError:
        return []


def _read(path: str) -> bytes:
    """All of a file. As a Path for each of hundreds of processes it would take three times as long."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()
