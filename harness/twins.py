"""Which backend of a problem is timed in a second process too: the A/A pair that shows what the machine's noise is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from harness.entry import Entry

# So many pairs of one run bound the difference between two that do not differ with 95 % confidence, and a few more.
_PAIRS_WANTED = 25
# Twins load their libraries once more; that may take this part of the budget.
_LOADING_SHARE = 0.02
# A twin must not take a case's time from those that are compared: only quick ones have one.
_MOST_CALL_SHARE = 0.01


class Twins:
    """Chooses evenly over the run's problems and at random among the backends that can afford it.

    Args:
        cases: Number of the run's problems.
        budget_s: Of the run, for what loading may cost.
        seed: Of the choice.
    """

    def __init__(self, cases: int, budget_s: float, seed: int) -> None:
        self._every = max(1, cases // _PAIRS_WANTED)
        self._loading_left_s = _LOADING_SHARE * budget_s
        self._choice = random.Random(seed)

    def chosen(
        self, number: int, entries: Sequence[Entry], share_s: float, is_open: Callable[[str], bool]
    ) -> Entry | None:
        """The backend to time twice on the number-th problem, or None.

        Args:
            number: From 0.
            entries: Those that are right on it.
            share_s: The problem's time.
            is_open: Whether a backend's twin is loaded already.
        """
        if number % self._every or not entries:
            return None
        affordable = [
            entry
            for entry in entries
            if entry.call_ns is not None
            and entry.call_ns * 1e-9 <= _MOST_CALL_SHARE * share_s
            and (is_open(entry.backend) or _loading_s(entry) <= self._loading_left_s)
        ]
        if not affordable:
            return None
        entry = self._choice.choice(affordable)
        if not is_open(entry.backend):
            self._loading_left_s -= _loading_s(entry)
        return entry


def _loading_s(entry: Entry) -> float:
    return entry.opened.import_ns * 1e-9 if entry.opened is not None else 0.0
