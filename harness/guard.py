"""The process between coordinator and worker: starts the worker, sees it end, and kills whatever it leaves behind.

Run as `python -m harness.guard REQUEST_FD REPLY_FD STATUS_FD LIFELINE_FD CRASH_FD`.

The guard loads no foreign code. It is the subreaper of everything below it (prctl(2)): a process whose parent ends is
handed to it, whatever session, group or environment it has given itself, so that none gets away. The coordinator holds
the other end of the lifeline; when that closes, because the worker is to end or because the coordinator was killed, all
below the guard is killed. (PR_SET_PDEATHSIG alone would reach the worker but not its children, as it is not inherited.)

What it cannot help: a backend that kills its guard loses its worker with it, and what had left that is found by the
mark in its environment only; one that kills every process of its user ends the run.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from pathlib import Path

from harness import process_tree

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# A process that waits for a disk dies late; the coordinator looks for what is left then.
_ENDING_LIMIT_S = 5.0
_PAUSE_S = 0.001


def main(request_fd: int, reply_fd: int, status_fd: int, lifeline_fd: int, crash_fd: int) -> int:
    """Start a worker, wait for it, end what it started, and say how it ended on status_fd.

    Returns:
        Exit code of the process: 0 when nothing is left below it.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    guard = os.getpid()
    worker = os.fork()
    if worker == 0:
        os.close(status_fd)
        os.close(lifeline_fd)
        _settle(guard, crash_fd)
        from harness import serving

        serving.serve(request_fd, reply_fd)
        return 0
    os.write(reply_fd, b"%d\n" % worker)  # the worker itself says nothing before it is asked
    os.close(request_fd)
    os.close(reply_fd)
    ending = threading.Lock()
    threading.Thread(target=_kill_when_told, args=(lifeline_fd, worker, ending), daemon=True).start()
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    with ending:
        # Its number is still taken, by the zombie: the group is its own.
        _kill_group(worker)
        _, status, usage = os.wait4(worker, 0)
        code = os.waitstatus_to_exitcode(status)
        peak_bytes = usage.ru_maxrss << 10 if sys.platform == "linux" else usage.ru_maxrss
        with contextlib.suppress(BrokenPipeError):
            os.write(status_fd, b"%d %d\n" % (code, peak_bytes))
        return 0 if _end_descendants() else 1


def _settle(guard: int, crash_fd: int) -> None:
    """Make this process a worker's: in a session of its own, the first to go when memory runs out, never an orphan."""
    faulthandler.enable(crash_fd)
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(1)  # it died before it could be watched
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _kill_when_told(lifeline_fd: int, worker: int, ending: threading.Lock) -> None:
    os.read(lifeline_fd, 1)
    if ending.acquire(blocking=False):  # else the worker has ended, and its number may be another's soon
        _kill_group(worker)
        ending.release()


def _kill_group(worker: int) -> None:
    for kill in (os.kill, os.killpg):  # before it has made its group there is only itself
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(worker, signal.SIGKILL)


def _end_descendants() -> bool:
    """Kill and reap all below this process; whether all are gone. Stopped first, none can start another meanwhile."""
    deadline = time.monotonic() + _ENDING_LIMIT_S
    stopped: set[int] = set()
    while time.monotonic() < deadline:
        _reap()
        found = set(process_tree.descendants(os.getpid()))
        if not found:
            return True
        ending = signal.SIGKILL if found <= stopped else signal.SIGSTOP
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, ending)
        stopped |= found
        if ending == signal.SIGKILL:
            time.sleep(_PAUSE_S)
    return False


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _prctl(option: int, value: int) -> None:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None and sys.platform == "linux":
        prctl(option, value)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
