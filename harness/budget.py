"""How a timed run's budget is shared among its cases, and which cells are hopeless. Pure: elapsed time is given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from backends import ConvProblem
from harness.check_time import CheckTime
from harness.entry import Entry
from harness.plan import RunSettings
from harness.prediction import CostModel
from harness.units import duration_text, time_text

# Seconds that a reference takes, and that preparing, checking and warming takes a backend, before any is known.
_REFERENCE_S = 0.1
_SETUP_S = 0.15
# Seconds of blocks in which a quick backend's interval usually gets narrow enough.
_QUICK_BACKEND_S = 0.3
# The first pass over all cases takes this part of what is left for them, the rest goes to those that are then
# undecided. A case that comes when its part is spent still gets a little while the budget itself lasts.
_FIRST_PASS = 0.75
_LEAST_SHARE_S = 0.3
# Checking calls so often, the first call included.
_CALLS_TO_CHECK = 3
# Seconds of the fewest blocks that give an interval.
_FEW_BLOCKS_S = 0.06
# The longest step has so many calls.
_LONGEST_STEP = 2
# Of each case so many backends are tried, however short the time.
_LEAST_BACKENDS = 2
# Calls that a slow backend deserves in all, and seconds at most that they may weigh in the plan: hopeless cells are
# skipped and must not take time from the others.
_CALLS_WANTED = 8
_MOST_WEIGHT_S = 2.0
# What comes later is weighed by at most so many of its cases, evenly spaced in the plan's order: weighing each of ten
# thousand before each of ten thousand would take hours.
_MOST_WEIGHED = 200
# Cases come in order of size: the latest are the nearest, and each prediction goes over all that are remembered.
_CELLS_REMEMBERED = 64


class Budget(Protocol):
    """Decides what is worth the time that is left. Problems come in the order of the plan, smallest first."""

    def share_s(self, problem: ConvProblem, later: Sequence[ConvProblem], elapsed_s: float) -> float:
        """The time for a problem, given those after it and the time since the run began."""

    def why_skipped(self, problem: ConvProblem, backend: str, share_s: float, elapsed_s: float) -> str | None:
        """Why a cell is not worth starting, with the prediction, or None."""

    def order(self, problem: ConvProblem, backends: Sequence[str]) -> list[str]:
        """The backends in the order in which to try them: where time is short the first ones get it."""

    def learn(self, problem: ConvProblem, entry: Entry) -> None:
        """Remember what a finished cell took."""

    def learn_reference(self, problem: ConvProblem, spent_s: float) -> None:
        """Remember what a reference took."""


class TimedBudget:
    """The budget of a timed run's first pass: each case gets a share by what it is predicted to need.

    Args:
        settings: Budget and limits.
    """

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        self._costs = {backend: CostModel() for backend in settings.backends}
        self._setups = {backend: CheckTime() for backend in settings.backends}
        self._references = CheckTime()

    def share_s(self, problem: ConvProblem, later: Sequence[ConvProblem], elapsed_s: float) -> float:
        """The part of the time left that is in proportion to what the case and those after it are predicted to need."""
        if math.isinf(self._settings.budget_s):
            return math.inf
        left_s = self._settings.budget_s - self._settings.report_s - elapsed_s
        own = self._weight_s(problem)
        weighed = evenly(later)
        rest = sum(map(self._weight_s, weighed)) * len(later) / max(1, len(weighed))
        return max(_LEAST_SHARE_S, _FIRST_PASS * left_s * own / (own + rest))

    def why_skipped(self, problem: ConvProblem, backend: str, share_s: float, elapsed_s: float) -> str | None:
        """The budget is spent, or the case's share is used up by backends that take less time, or a step would be cut.

        Two backends are always tried: one alone says little.
        """
        if (spent := why_nothing_is_left(self._settings, elapsed_s)) is not None:
            return spent
        call_ns = self._costs[backend].predict_ns(problem)
        if call_ns is None:
            return None
        calls = f"predicted {time_text(call_ns)} a call from {len(self._costs[backend].call_ns)} finished cells"
        if call_ns * 1e-9 * _LONGEST_STEP > self._settings.case_timeout_s:
            limit = duration_text(self._settings.case_timeout_s)
            return f"{calls}; checking it could be broken off by --case-timeout {limit}; give more, or another backend"
        needs_s = {name: self._need_s(problem, name) for name in self._settings.backends}
        before = [need for name, need in needs_s.items() if (need, name) < (needs_s[backend], backend)]
        if len(before) < _LEAST_BACKENDS or sum(before) + needs_s[backend] <= max(share_s, _LEAST_SHARE_S):
            return None
        return (
            f"{calls}, {duration_text(needs_s[backend])} to prepare, check and time; its case has"
            f" {duration_text(share_s)}, of which {len(before)} quicker backends need {duration_text(sum(before))}"
        )

    def order(self, problem: ConvProblem, backends: Sequence[str]) -> list[str]:
        """Quickest first."""
        return sorted(backends, key=lambda backend: self._need_s(problem, backend))

    def learn(self, problem: ConvProblem, entry: Entry) -> None:
        """Remember what a call took, and what came before the timed blocks."""
        if entry.call_ns is not None:
            cost = self._costs[entry.backend]
            cost.learn(problem, entry.call_ns)
            for values in (cost.outputs, cost.macs, cost.call_ns):
                del values[:-_CELLS_REMEMBERED]
        setup_s = entry.spent_s - entry.timing_s
        if entry.samples.ns and setup_s > 0:
            self._setups[entry.backend].learn(problem, setup_s)

    def learn_reference(self, problem: ConvProblem, spent_s: float) -> None:
        """Remember what a reference took."""
        self._references.learn(problem, spent_s)

    def _weight_s(self, problem: ConvProblem) -> float:
        weight_s = _known(self._references.predict_s(problem), _REFERENCE_S)
        for backend, cost in self._costs.items():
            calls_s = _CALLS_WANTED * (cost.predict_ns(problem) or 0.0) * 1e-9
            setup_s = _known(self._setups[backend].predict_s(problem), _SETUP_S)
            weight_s += min(_QUICK_BACKEND_S + calls_s + setup_s, _MOST_WEIGHT_S)
        return weight_s

    def _need_s(self, problem: ConvProblem, backend: str) -> float:
        """The least that a backend takes on a problem: what comes before timing, and one block or a few quick ones."""
        call_s = (self._costs[backend].predict_ns(problem) or 0.0) * 1e-9
        setup_s = self._setups[backend].predict_s(problem) or 0.0
        return max(setup_s, _CALLS_TO_CHECK * call_s) + max(_FEW_BLOCKS_S, call_s)


def evenly(problems: Sequence[ConvProblem]) -> Sequence[ConvProblem]:
    """All of them, or so many at even distances that stand for the rest."""
    return problems[:: math.ceil(len(problems) / _MOST_WEIGHED) or 1]


def why_nothing_is_left(settings: RunSettings, elapsed_s: float) -> str | None:
    """That the budget is spent, or None."""
    if elapsed_s < settings.budget_s:
        return None
    return f"the budget of {duration_text(settings.budget_s)} is spent; give a larger --budget"


def _known(predicted_s: float | None, otherwise_s: float) -> float:
    return otherwise_s if predicted_s is None else predicted_s
