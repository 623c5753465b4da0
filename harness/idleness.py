"""Waits until a process has gone quiet: pools of OpenMP and BLAS spin for a while after a parallel region.

The process's CPU time cannot tell: the kernel brings that of other running threads up to date at its ticks only, every
4 to 10 ms.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

_NAP_S = 0.001
# Pools spin for up to about 30 ms; one that never stops must not hold up the run.
_LONGEST_WAIT_S = 0.25


def wait_until_idle() -> None:
    """Return as soon as no other thread of this process runs, at once where none does."""
    waited = 0.0
    while waited < _LONGEST_WAIT_S and other_threads_run():
        time.sleep(_NAP_S)
        waited += _NAP_S


def other_threads_run() -> bool:
    """Whether a thread of this process besides the caller's is on a core or waits for one."""
    own = threading.get_native_id()
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) == own:
            continue
        try:
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue  # it has just ended
        if state == "R":
            return True
    return False
