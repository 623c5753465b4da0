"""Where a run's wall time goes: seconds by what they were spent on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

MEASURING = ("reference", "prepare", "check", "memory", "start", "time", "explain")
"""What a run is for. The rest (opening workers, waiting for idle threads, ceilings, reports) is its own cost."""


class Ledger:
    """Adds up seconds by name. One thread writes at a time: jobs that work side by side have a ledger each.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        """Put seconds on an account."""
        self._spent[name] = self._spent.get(name, 0.0) + seconds

    @contextlib.contextmanager
    def spending(self, name: str) -> Iterator[None]:
        """Put the time that the body takes on an account."""
        start = self._clock()
        try:
            yield
        finally:
            self.add(name, self._clock() - start)

    @property
    def spent_s(self) -> dict[str, float]:
        """Seconds by name so far, rounded to the millisecond."""
        return {name: round(seconds, 3) for name, seconds in self._spent.items()}


def own_cost(spent_s: dict[str, float]) -> float | None:
    """Share of a run's whole time that went to anything but what it is for; None where the whole is not known."""
    total = spent_s.get("total")
    if not total:
        return None
    return 1 - sum(spent_s.get(name, 0.0) for name in MEASURING) / total
