"""Sees to it that a worker and its children together hold no more memory than they may."""

from __future__ import annotations

import time

from harness import process_memory, process_tree

# A look costs the coordinator about a millisecond; blocks of timed calls are shorter than this, and are left alone.
_UNDISTURBED_S = 1.0
_PAUSE_S = 0.1
# The kernel's own limit on private memory comes first, and says more: the exception names what could not be had.
_MARGIN = 1.1


class MemoryWatch:
    """Looks at everything below a worker's guard, once there is a limit.

    Args:
        guard: Its pid.
    """

    def __init__(self, guard: int) -> None:
        self._guard = guard
        self._limit_bytes: int | None = None
        self._most_bytes = float("inf")

    def limit(self, extra_bytes: int) -> None:
        """Allow so much beyond what is held now."""
        self._limit_bytes = extra_bytes
        held = process_memory.held_bytes(process_tree.descendants(self._guard))
        self._most_bytes = held + _MARGIN * extra_bytes

    def first_look(self) -> float:
        """When to look after a request was made, on the clock of time.monotonic, in s."""
        return time.monotonic() + _UNDISTURBED_S if self._limit_bytes is not None else float("inf")

    def next_look(self) -> float:
        """When to look again."""
        return time.monotonic() + _PAUSE_S

    def is_reached_by(self, peak_bytes: int) -> bool:
        """Whether a process that ended had come near to the limit, so that an allocation may have failed."""
        return self._limit_bytes is not None and peak_bytes > 0.9 / _MARGIN * self._most_bytes

    def excess(self) -> str | None:
        """How much more is held than may be, in words; None if it is not."""
        if self._limit_bytes is None:
            return None
        pids = process_tree.descendants(self._guard)
        if process_memory.held_bytes(pids) <= self._most_bytes:
            return None
        held = process_memory.held_bytes_exactly(pids)
        if held <= self._most_bytes:
            return None
        together = f" and what it started, {len(pids)} processes in all," if len(pids) > 1 else ""
        return (
            f"the worker{together} held {held / 1e9:.2f} GB, against a memory limit of {self._limit_bytes / 1e9:.2f} GB"
            " beyond what it held at first"
        )
