"""How much memory one call takes at its peak, and what this process holds, as the kernel counts it.

Linux and glibc only; elsewhere nothing is known. The kernel keeps the highest resident size of a process, which can be
reset (proc(5), clear_refs). What it says of a call depends on where freed memory lies: told to keep it, as workers are,
glibc hands out pages that are resident already, and no peak would show. So freed memory goes back before the call.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_SELF = Path("/proc/self")
# From glibc's malloc.h and Linux' prctl.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _PR_SET_THP_DISABLE, _PR_GET_THP_DISABLE = -1, -2, 41, 42
# What mallopt takes for "never"; and the heap's growth that a process starts with, unless its environment says.
_NEVER, _DEFAULT_THRESHOLD = -1, 128 << 10
_LARGEST_INT = (1 << 31) - 1
# A call that took longer is not made again: its one measurement must do.
_LONG_S = 2.0


def give_back() -> None:
    """Return freed memory to the system: told to keep it, a worker would hoard its peak."""
    gc.collect()
    _trim()


def held_bytes() -> int | None:
    """Anonymous memory of this process without what is freed, exact to the page; None where the kernel does not tell.

    Pages of files, such as code that is run for the first time, are not counted: the system may drop them at will.
    """
    _trim()
    return _resident("Anonymous")


def retained_bytes(held_before: int | None, kept: Any) -> int | None:
    """How much more than before this process holds, besides one array that is kept for other ends.

    Args:
        held_before: `held_bytes` of then.
        kept: The array; anything else counts as nothing.
    """
    if held_before is None or (held := held_bytes()) is None:
        return None
    return max(0, held - held_before - _size(kept))


def workspace_bytes(call: Callable[[], Any], clock: Callable[[], float] = time.monotonic) -> int | None:
    """Peak of one call beyond what was there before and the output that it returns; None where it cannot be seen.

    An output that was allocated beforehand, and is filled anew by each call, is no part of the peak and is not taken
    off. Whether it was shows in how much is freed with it.

    Exact to about 32 pages for each core that the call runs on, in which the kernel counts; where the peak may not be
    reset, memory that a library maps by itself, past glibc, and unmaps within the call goes unseen.

    Args:
        call: Called once or, if that is quick, twice.
        clock: Seconds.
    """
    if _trim is _nothing or _resident("Rss") is None:
        return None
    gc.collect()
    with _exact_pages(), _restored_allocator():
        start = clock()
        # What threads freed is returned to the system by what they free next only, hence a call that returns it.
        found = _peak_beyond(call, is_freed_kept=False)
        if clock() - start < _LONG_S or not _reset_peak():
            found = _peak_beyond(call, is_freed_kept=True)
    return found


def _peak_beyond(call: Callable[[], Any], *, is_freed_kept: bool) -> int | None:
    """Peak of a call beyond what is resident before and its output.

    What is freed within the call and kept stays resident, so that the size afterwards is a peak too: of all that glibc
    gave out, exact where the kernel's own is a little behind, and the only one where that may not be reset.
    """
    _return_freed()
    _trim()
    before = _resident("Rss")
    can_reset = _reset_peak()
    if is_freed_kept:
        _keep_freed()
    y = call()
    after, peak = _resident("Rss"), _peak() if can_reset else None
    _return_freed()
    _trim()
    with_output = _resident("Rss")
    size = _size(y)
    del y
    _trim()
    without = _resident("Rss")
    if before is None or after is None or with_output is None or without is None:
        return None
    own = min(size, max(0, with_output - without))
    return max(0, max(after, peak or 0) - before - own)


def _size(array: Any) -> int:
    size = getattr(array, "nbytes", 0)
    return size if isinstance(size, int) else 0


def _resident(field: str) -> int | None:
    """A field of smaps_rollup in bytes. It walks the page tables; counters in status lag on several cores."""
    return _kilobytes(_SELF / "smaps_rollup", field)


def _peak() -> int | None:
    return _kilobytes(_SELF / "status", "VmHWM")


def _kilobytes(path: Path, field: str) -> int | None:
    try:
        text = path.read_text()
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) << 10
    return None


def _reset_peak() -> bool:
    """Make the highest resident size the current one; False where that is denied."""
    try:
        (_SELF / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _exact_pages() -> Iterator[None]:
    """No huge pages meanwhile: a byte touched in one would count as 2 MiB."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        yield
        return
    was_disabled = prctl(_PR_GET_THP_DISABLE, 0, 0, 0, 0)
    prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_THP_DISABLE, max(0, was_disabled), 0, 0, 0)


@contextlib.contextmanager
def _restored_allocator() -> Iterator[None]:
    """The allocator is afterwards as the process's environment has it."""
    try:
        yield
    finally:
        threshold = int(os.environ.get("MALLOC_TRIM_THRESHOLD_", _DEFAULT_THRESHOLD))
        _set_allocator(
            trim_threshold=_NEVER if threshold > _LARGEST_INT else threshold,
            top_pad=int(os.environ.get("MALLOC_TOP_PAD_", _DEFAULT_THRESHOLD)),
        )


def _keep_freed() -> None:
    _set_allocator(trim_threshold=_NEVER, top_pad=int(os.environ.get("MALLOC_TOP_PAD_", _DEFAULT_THRESHOLD)))


def _return_freed() -> None:
    """Let each thread's heap shrink when something is freed at its end: trimming reaches only its other gaps."""
    _set_allocator(trim_threshold=0, top_pad=0)


def _set_allocator(*, trim_threshold: int, top_pad: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, trim_threshold)
        mallopt(_M_TOP_PAD, top_pad)


def _nothing() -> None:
    pass


def _found_trim() -> Callable[[], object]:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; elsewhere there is nothing to undo
    return _nothing if trim is None else lambda: trim(0)


_trim = _found_trim()
