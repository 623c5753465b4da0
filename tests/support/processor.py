"""What this processor can do, for tests that depend on it."""

from __future__ import annotations

from pathlib import Path


def has_instructions(name: str) -> bool:
    """Whether Linux lists an extension such as "amx_bf16" for it; False where that cannot be known."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and name in cpuinfo.read_text().split()
