"""How much memory this process may still take: what the system has available, and what its container leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


def available_bytes(root: Path = _ROOT) -> int | None:
    """The least of what the system says can be had without swapping and what each control group above leaves.

    Args:
        root: Where proc and sys are; for tests.

    Returns:
        None where neither is told.
    """
    free = [_system_bytes(root), *(_group_bytes(folder) for folder in _groups(root))]
    told = [value for value in free if value is not None]
    return min(told) if told else None


def _system_bytes(root: Path) -> int | None:
    return _fields(root / "proc/meminfo").get("MemAvailable", None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the process's memory control group and all above it, of either version."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mount = root / "sys/fs/cgroup"
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top = mount
        elif "memory" in controllers.split(","):
            top = mount / "memory"
        else:
            continue
        inner = PurePosixPath(path.lstrip("/"))
        # Inside a container the path may be the host's, and only the top is there.
        yield from (top / part for part in (inner, *inner.parents))


def _group_bytes(folder: Path) -> int | None:
    """What one control group leaves; files that it holds in memory can be dropped. None without a limit."""
    for limit_name, used_name in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            limit = (folder / limit_name).read_text().strip()
            used = int((folder / used_name).read_text())
        except (OSError, ValueError):
            continue
        if limit == "max" or int(limit) >= 1 << 62:  # version 1 writes a very large number for none
            return None
        return max(0, int(limit) - used + _droppable(folder / "memory.stat"))
    return None


def _droppable(path: Path) -> int:
    try:
        words = dict(line.split() for line in path.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(words.get("total_inactive_file", words.get("inactive_file", 0)))


def _fields(path: Path) -> dict[str, int]:
    """Fields of a file like meminfo in bytes."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {words[0].rstrip(":"): int(words[1]) << 10 for words in pairs if len(words) == 3 and words[2] == "kB"}
