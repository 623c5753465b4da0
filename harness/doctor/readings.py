"""Small files in which the system tells about itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def read(path: str) -> str | None:
    """A file's text without blanks around it; None where it cannot be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def cpu_times() -> dict[str, int] | None:
    """Ticks that all cores together spent since boot, by kind."""
    line = (read("/proc/stat") or "").partition("\n")[0].split()
    return dict(zip(_CPU_FIELDS, (int(value) for value in line[1:9]), strict=True)) if len(line) > 8 else None


def group_folders(controller: str) -> Iterator[str]:
    """Folders of this process's control group for a controller and of all groups above, innermost first."""
    yield from dict.fromkeys(_group_folders(controller))


def _group_folders(controller: str) -> Iterator[str]:
    for line in (read("/proc/self/cgroup") or "0::/").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" or controller in controllers.split(","):
            top = PurePosixPath("/sys/fs/cgroup" if number == "0" else f"/sys/fs/cgroup/{controller}")
            inner = PurePosixPath(path.lstrip("/"))
            yield from (str(top / part) for part in (inner, *inner.parents))
