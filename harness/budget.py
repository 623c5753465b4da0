"""How a timed run's budget is shared among its cases, and which cells are hopeless. Pure: elapsed time is given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from backends import ConvProblem
from harness.entry import Entry
from harness.plan import RunSettings
from harness.prediction import CostModel
from harness.units import duration_text, time_text

# Checking takes about so many calls: the first, one on integers, and a warm-up; timing needs one more at least.
_CALLS_TO_TIME = 4
# Seconds that a case needs besides its calls: oracle, messages, and enough blocks of the quick backends.
_CASE_OVERHEAD_S = 1.2
# Checks cannot be cut short, so cases overrun their shares: shares are made of this part of the budget, and a case that
# comes when those are spent still gets a little while the budget itself lasts.
_SHARED_OUT = 0.9
_LEAST_SHARE_S = 0.5
# Calls that a slow backend deserves in all, and seconds at most that they may weigh in the plan: hopeless cells are
# skipped and must not take time from the others.
_CALLS_WANTED = 10
_MOST_WEIGHT_S = 4.0
# What comes later is weighed by at most so many of its cases, evenly spaced in the plan's order: weighing each of ten
# thousand before each of ten thousand would take hours.
_MOST_WEIGHED = 200
# Cases come in order of size: the latest are the nearest, and each prediction goes over all that are remembered.
_CELLS_REMEMBERED = 64


class Budget(Protocol):
    """Decides what is worth the time that is left. Problems come in the order of the plan, smallest first."""

    def share_s(self, problem: ConvProblem, later: Sequence[ConvProblem], elapsed_s: float) -> float:
        """The time for a problem, given those after it and the time since measuring began."""

    def why_skipped(self, problem: ConvProblem, backend: str, share_s: float, elapsed_s: float) -> str | None:
        """Why a cell is not worth starting, with the prediction, or None."""

    def learn(self, problem: ConvProblem, entry: Entry) -> None:
        """Remember what a finished cell took."""

    def learn_reference(self, problem: ConvProblem, spent_s: float) -> None:
        """Remember what a reference took."""


class TimedBudget:
    """The budget of a timed run: each case gets a share, half of which is for what comes before timing.

    Args:
        settings: Budget and limits.
    """

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        self._costs = {backend: CostModel() for backend in settings.backends}

    def share_s(self, problem: ConvProblem, later: Sequence[ConvProblem], elapsed_s: float) -> float:
        """The part of the time left that is in proportion to what the case and those after it are predicted to need."""
        if math.isinf(self._settings.budget_s):
            return math.inf
        remaining = _SHARED_OUT * self._settings.budget_s - elapsed_s
        own = self._weight_s(problem)
        weighed = evenly(later)
        rest = sum(map(self._weight_s, weighed)) * len(later) / max(1, len(weighed))
        return max(_LEAST_SHARE_S, remaining * own / (own + rest))

    def why_skipped(self, problem: ConvProblem, backend: str, share_s: float, elapsed_s: float) -> str | None:
        """The budget is spent, or checking and a first call would take too much of the share."""
        if (spent := why_nothing_is_left(self._settings, elapsed_s)) is not None:
            return spent
        predicted_ns = self._costs[backend].predict_ns(problem)
        if predicted_ns is None:
            return None
        needed_s = predicted_ns * 1e-9 * _CALLS_TO_TIME
        limit_s = min(share_s / 2, self._settings.case_timeout_s)
        if needed_s <= limit_s:
            return None
        return (
            f"predicted {time_text(predicted_ns)} a call from {len(self._costs[backend].call_ns)} finished cells;"
            f" checking and timing it would take {duration_text(needed_s)}, its limit here is {duration_text(limit_s)}"
        )

    def learn(self, problem: ConvProblem, entry: Entry) -> None:
        """Remember what a call took."""
        if entry.call_ns is not None:
            cost = self._costs[entry.backend]
            cost.learn(problem, entry.call_ns)
            for values in (cost.outputs, cost.macs, cost.call_ns):
                del values[:-_CELLS_REMEMBERED]

    def learn_reference(self, problem: ConvProblem, spent_s: float) -> None:
        """References are part of the overhead of a case."""

    def _weight_s(self, problem: ConvProblem) -> float:
        needs = (cost.predict_ns(problem) for cost in self._costs.values())
        calls_s = (min(_CALLS_WANTED * need * 1e-9, _MOST_WEIGHT_S) for need in needs if need is not None)
        return _CASE_OVERHEAD_S + sum(calls_s)


def evenly(problems: Sequence[ConvProblem]) -> Sequence[ConvProblem]:
    """All of them, or so many at even distances that stand for the rest."""
    return problems[:: math.ceil(len(problems) / _MOST_WEIGHED) or 1]


def why_nothing_is_left(settings: RunSettings, elapsed_s: float) -> str | None:
    """That the budget is spent, or None."""
    if elapsed_s < settings.budget_s:
        return None
    return f"the budget of {duration_text(settings.budget_s)} is spent; give a larger --budget"
