"""What this processor can do, for tests that depend on it."""

from __future__ import annotations

from pathlib import Path


def has_amx() -> bool:
    """Whether it multiplies bfloat16 matrices by AMX; False where that cannot be known."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "amx_bf16" in cpuinfo.read_text()
