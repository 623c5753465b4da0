"""Empties the processor's caches: every core streams through memory of its own, larger than the caches together."""

from __future__ import annotations

import contextlib
import os
import threading

import numpy as np

# A cache that was streamed through twice over holds nothing older, whatever its policy of replacement.
_TIMES_CACHE = 2
_LEAST_BYTES = 32 << 20
# Clouds report the host's shared cache of hundreds of megabytes, of which a guest gets a part.
_MOST_BYTES = 1 << 30


def flush_bytes(last_level_bytes: int | None) -> int:
    """How much memory is streamed through for a last-level cache of this size, or of unknown size."""
    return min(_MOST_BYTES, max(_LEAST_BYTES, _TIMES_CACHE * (last_level_bytes or 0)))


class Flusher:
    """Memory to stream through, a part for each core, made once.

    Args:
        total_bytes: Of all parts together.
    """

    def __init__(self, total_bytes: int) -> None:
        self._cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
        words = max(1, total_bytes // len(self._cores) // 8)
        self._parts = [np.zeros(words, np.int64) for _ in self._cores]

    def flush(self) -> None:
        """Write to all of it, each part from its own core, since second-level caches belong to cores."""
        threads = [
            threading.Thread(target=_stream, args=(part, core))
            for part, core in zip(self._parts, self._cores, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _stream(part: np.ndarray[tuple[int], np.dtype[np.int64]], core: int) -> None:
    with contextlib.suppress(AttributeError, OSError):  # where threads cannot be bound, they spread by themselves
        os.sched_setaffinity(0, {core})  # of this thread only, which ends with the flush
    np.add(part, 1, out=part)
