"""What Ctrl-C, a termination and a hang-up do to a run: the first lets it finish what it is at, the second stops it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Counts the signals that ask a run to end. Nothing is in flight at first, so that the first one stops at once."""

    def __init__(self) -> None:
        self._count = 0
        self._may_finish: str | None = None
        self._is_deferring = False
        self._is_stopping = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        # What is ignored from the start is ignored on purpose: nohup does so, and shells for what runs in background.
        heard = (name for name in _SIGNALS if signal.getsignal(name) is not signal.SIG_IGN)
        self._before = {name: signal.signal(name, self._note) for name in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def is_asked(self) -> bool:
        """Whether the run should end after what is in flight."""
        return self._count > 0

    def let_finish(self, what: str) -> None:
        """From now on a first signal lets this be finished; the next stops it, even if something was stopped before."""
        self._may_finish = what
        self._is_stopping = False

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Keep a signal from stopping what is done here; it stops what comes after.

        Raises:
            KeyboardInterrupt: At the end, if a signal would have stopped something.
        """
        before = self._count
        self._is_deferring = True
        try:
            yield
        finally:
            self._is_deferring = False
        if self._count > before and self._count > 1:
            self._stop()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler's parameters
        self._count += 1
        if number == signal.SIGHUP:
            _let_go_of_the_terminal()
        if self._count == 1 and self._may_finish is not None:
            _tell(f"finishing {self._may_finish}; interrupt again to stop at once")
        elif not self._is_deferring:
            self._stop()

    def _stop(self) -> None:
        # Once: what ends the workers must not be stopped halfway.
        if not self._is_stopping:
            self._is_stopping = True
            raise KeyboardInterrupt


def _tell(message: str) -> None:
    """One line on stderr, past Python's buffers: the handler may run in the middle of another write to them."""
    start = "\n" if sys.stderr is not None and sys.stderr.isatty() else ""
    with contextlib.suppress(OSError):
        os.write(2, f"{start}{message}\n".encode())


def _let_go_of_the_terminal() -> None:
    """Let output go nowhere where the terminal that it went to is gone, or the next word to it would end the run."""
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a name, not a path that anything is made of
                os.dup2(nowhere.fileno(), descriptor)
