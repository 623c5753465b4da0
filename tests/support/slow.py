"""Backends that take long, exactly as long as a test wants: they wait for a file.

WAITS_FOR is the file's name; each writes a file beside it, with `.reached` at the end, as soon as it waits.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from faulty import Correct

from backends import Array, ConvCall, ConvProblem

_PATIENCE_S = 120.0


def wait() -> None:
    """Return as soon as the file is there. A test that failed must not leave a process that waits for ever."""
    awaited = Path(os.environ["WAITS_FOR"])
    awaited.with_name(f"{awaited.name}.reached").touch()
    deadline = time.monotonic() + _PATIENCE_S
    while not awaited.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


class Waits(Correct):
    """Waits before it is prepared for a problem of WAITS_AT columns, and for no other."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "slow:Waits"

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        if problem.spatial[-1] == int(os.environ["WAITS_AT"]):
            wait()
        return super().prepare(problem, weight, bias)


class WaitsToLoad(Correct):
    def __init__(self) -> None:
        wait()
        super().__init__()
