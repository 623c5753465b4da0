"""Whether there is memory enough, and what the system does with its pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness import memory_room
from harness.doctor.findings import Finding, Level
from harness.doctor.readings import read
from harness.units import bytes_text

_LEAST_BYTES = 2 << 30
_SWAPPED_BYTES = 256 << 20
_HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"


def look() -> Iterator[Finding]:
    """Read what there is."""
    yield from _amount()
    yield from _pages()


def _amount() -> Iterator[Finding]:
    info = {}
    for line in (read("/proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        info[name] = int(value.split()[0]) << 10
    available = memory_room.available_bytes()
    if not info or available is None:
        return
    seen = f"{bytes_text(available)} of {bytes_text(info['MemTotal'])} available"
    if available < info["MemAvailable"] / 2:
        seen += ", which a container limits"
    if available < _LEAST_BYTES:
        remedy = "close programs, raise the container's limit, or give --memory-limit"
        yield Finding(level=Level.WARNING, topic="memory", seen=seen, remedy=remedy)
    else:
        yield Finding(level=Level.OK, topic="memory", seen=seen)
    swapped = info.get("SwapTotal", 0) - info.get("SwapFree", 0)
    if swapped > _SWAPPED_BYTES:
        seen = f"{bytes_text(swapped)} swapped out"
        yield Finding(level=Level.WARNING, topic="swap", seen=seen, remedy="free memory before measuring")


def _pages() -> Iterator[Finding]:
    mode = re.search(r"\[(\w+)\]", read(_HUGE_PAGES) or "")
    if mode is not None:
        seen = f"transparent huge pages: {mode[1]}"
        if mode[1] == "madvise":
            yield Finding(level=Level.OK, topic="huge pages", seen=f"{seen}; NumPy asks for them for large arrays")
        else:
            why = (
                "any array may have them or not, by chance"
                if mode[1] == "always"
                else "large arrays pay for more pages"
            )
            remedy = f"echo madvise | sudo tee {_HUGE_PAGES}"
            yield Finding(level=Level.NOTE, topic="huge pages", seen=f"{seen}: {why}", remedy=remedy)
    if read("/proc/sys/kernel/randomize_va_space") not in {None, "0"}:
        seen = "addresses are drawn anew in each process, and with them what collides in a cache"
        remedy = "one worker is one draw: repeat runs before believing differences of a few per cent"
        yield Finding(level=Level.NOTE, topic="addresses", seen=seen, remedy=remedy)
