"""Whether a cell kept to the threads that it was given, in words for its row."""

from __future__ import annotations

from harness.records import Cell

# CPU time over wall time this far above what was asked is not the measurement that was asked for.
EXTRA_THREADS = 1.25
# Under this share of its threads' time a call left some of them idle, waited, or had its cores taken. Two threads of
# which one does everything stand at a half, and those of a well-spread call at nine tenths.
BUSY_SHARE = 0.75


def thread_note(cell: Cell) -> str | None:
    """What was other than asked: "asked for 2, used 1.0", "openblas is set to 4, asked for 2"; None if nothing was.

    It says what is so, not that it is a fault: a backend that computes on one thread by its nature is told as well.
    """
    is_off = is_greedy(cell) or is_idle(cell)
    used = [f"asked for {cell.threads_asked}, used {cell.threads_seen:.1f}"] if is_off else []
    return "; ".join([*used, *pool_notes(cell)]) or None


def pool_notes(cell: Cell) -> list[str]:
    """The libraries that are set to another number than was asked for, each in words."""
    return [
        f"{library} is set to {threads}, asked for {cell.threads_asked}"
        for library, threads in sorted(cell.thread_pools.items())
        if threads != cell.threads_asked
    ]


def is_greedy(cell: Cell) -> bool:
    """Whether more CPU time was used than the threads asked for can."""
    return cell.threads_seen is not None and cell.threads_seen > cell.threads_asked * EXTRA_THREADS


def is_idle(cell: Cell) -> bool:
    """Whether threads that were asked for did not compute."""
    return cell.threads_seen is not None and cell.threads_seen < cell.threads_asked * BUSY_SHARE
