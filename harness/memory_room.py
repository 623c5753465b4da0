"""How much memory this process may still take: what the system has available, and what its container leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def available_bytes(root: Path = Path("/")) -> int | None:
    """Memory that can be had now without swapping, the machine's or a control group's limit; None if unknown.

    Source: Documentation/filesystems/proc.rst (MemAvailable), Documentation/admin-guide/cgroup-v2.rst and
    cgroup-v1/memory.rst of the Linux kernel.

    Args:
        root: Where /proc and /sys are.
    """
    amounts = [left for folder in _memory_groups(root) if (left := _left_in_group(folder)) is not None]
    meminfo = _lines(root / "proc/meminfo")
    amounts += [int(line.split()[1]) << 10 for line in meminfo if line.startswith("MemAvailable:")]
    return max(0, min(amounts)) if amounts else None


def _memory_groups(root: Path) -> Iterator[Path]:
    """Folders of the control groups that this process is in: its own, and all above it, each of which may limit it."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        # A container may see only its own part of the tree, as if that were all: what is not there is passed over.
        own = mount / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount) and folder.is_dir())


def _left_in_group(folder: Path) -> int | None:
    """What a control group may still take; None where it has no limit."""
    limits = [_integer(folder / name) for name in ("memory.max", "memory.high", "memory.limit_in_bytes")]
    used = _integer(folder / "memory.current")
    if used is None:
        used = _integer(folder / "memory.usage_in_bytes")
    known = [limit for limit in limits if limit is not None]
    if not known or used is None:
        return None
    # Pages of files that nobody uses are counted as used, and given up as soon as something else is wanted.
    reclaimable = {}
    for line in _lines(folder / "memory.stat"):
        name, _, value = line.partition(" ")
        reclaimable[name] = value
    spare = reclaimable.get("total_inactive_file", reclaimable.get("inactive_file", "0"))
    return min(known) - used + int(spare)


def _integer(path: Path) -> int | None:
    text = "".join(_lines(path)[:1])
    return int(text) if text.isdecimal() else None  # "max" is no limit


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
