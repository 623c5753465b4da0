"""Ends a worker and all that it started when its coordinator is gone, however that went.

The kernel kills a worker whose coordinator dies, but not the worker's children, and a worker that is stuck in foreign
code hears nothing. So a small process stays in the worker's process group and does nothing but wait for the pipe on
which requests come to be hung up.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys

# It leaves its parent at once: a backend that waits for its own children must not find one that never ends.
_PROGRAM = """
import os, select, signal, sys
if os.fork():
    os._exit(0)
request_pipe = select.poll()
request_pipe.register(int(sys.argv[1]), 0)  # nothing but the hang-up, so that no request is taken away
request_pipe.poll()
os.killpg(0, signal.SIGKILL)
"""


def start(request_fd: int) -> None:
    """Watch the end of the pipe that this process, the leader of its group, reads requests from."""
    # A machine that has no room for another process has more urgent problems than orphans.
    with contextlib.suppress(OSError):
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, str(request_fd)],
            pass_fds=(request_fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
