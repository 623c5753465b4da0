"""A process group that can be stopped and let go on, addressed so that nothing else is hit when it is gone."""

from __future__ import annotations

import contextlib
import os
import signal

_PIDFD_SIGNAL_PROCESS_GROUP = 1 << 2  # from linux/pidfd.h, Linux 6.9


def can_freeze() -> bool:
    """Whether a coordinator can freeze the process that asks."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError):
        return False
    return True


class ProcessHandle:
    """The leader of a process group, and the group where the system can address it safely; nothing outside Linux.

    Args:
        pid: The leader's, not yet waited for.
    """

    def __init__(self, pid: int) -> None:
        self._fd: int | None = None
        self._flags = _PIDFD_SIGNAL_PROCESS_GROUP
        with contextlib.suppress(OSError, AttributeError):
            self._fd = os.pidfd_open(pid)

    def freeze(self) -> None:
        """Let nothing of it run."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run."""
        self._send(signal.SIGCONT)

    def close(self) -> None:
        """Forget it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _send(self, number: signal.Signals) -> None:
        if self._fd is None:
            return
        try:
            signal.pidfd_send_signal(self._fd, number, None, self._flags)
        except ProcessLookupError:
            pass  # who asks next finds out how it ended
        except OSError:
            if self._flags:
                self._flags = 0  # an older kernel: the leader alone
                self._send(number)
