"""How a worker ended, in words, and whether want of memory was the cause."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from harness.exception_text import speaks_of_memory
from harness.last_words import where
from harness.messages import PIPE_LOST


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What is known of a worker's end."""

    code: int | None = None
    """Its exit code, or minus the signal that killed it; None if there is nobody to tell."""
    peak_bytes: int = 0
    """The most it held at a time."""
    is_running: bool = False
    """It has only closed its pipe."""
    is_stopped_by_us: bool = False
    has_kernel_killed: bool = False
    """Meanwhile the kernel has killed some process because memory ran out, or it does not say whether it has."""
    is_at_limit: bool = False
    """Its peak was as much as it may hold."""
    crash_report: str = ""
    """What Python's faulthandler wrote."""
    said: str = ""
    """What it printed last."""

    @property
    def is_out_of_memory(self) -> bool:
        """Whether memory was the cause, so far as anybody can tell."""
        return self._is_killed_for_memory or self._has_failed_at_limit or self._says_so

    @property
    def reason(self) -> str:
        """How it ended and where, and what it said."""
        how = self._how + where(self.crash_report)
        if self._has_failed_at_limit:
            how += f", as it held {self.peak_bytes / 1e9:.2f} GB and came to its memory limit"
        return f"{how}; its last output: {self.said}" if self.said else how

    @property
    def _is_killed_for_memory(self) -> bool:
        return self.code == -signal.SIGKILL and self.has_kernel_killed and not self.is_stopped_by_us

    @property
    def _has_failed_at_limit(self) -> bool:
        # A C library that does not look at what malloc returns dies of it.
        is_failure = self.code not in (None, 0, -signal.SIGKILL)
        return is_failure and self.is_at_limit and not self.is_stopped_by_us

    @property
    def _says_so(self) -> bool:
        return self.code not in (None, 0) and speaks_of_memory(self.said)

    @property
    def _how(self) -> str:  # noqa: PLR0911  # one return an ending
        if self.is_running:
            return "the worker closed its pipe but did not end"
        if self.is_stopped_by_us:
            return "the worker was stopped"
        if self.code is None:
            return "the worker and the process that guards it were killed"
        if self._is_killed_for_memory:
            return "the worker was killed (SIGKILL), most likely because memory ran out"
        if self.code == -signal.SIGKILL:
            return "the worker was killed (SIGKILL), though memory had not run out"
        if self.code < 0:
            return f"the worker died of {_signal_name(-self.code)}"
        if self.code == PIPE_LOST:
            return "the worker's pipe to the coordinator was closed, so it could not answer"
        return f"the worker exited with code {self.code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
