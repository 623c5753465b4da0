"""What of a check's plan is worth its time: every cell that ends within its limit, and with a budget the cheapest.

A check has nothing to compare, so each cell counts the same, and most of them are decided where the cheapest are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from backends import ConvProblem
from harness.budget import evenly, why_nothing_is_left
from harness.check_time import CheckTime
from harness.entry import Entry
from harness.plan import RunSettings
from harness.records import Status
from harness.units import duration_text

# Steps take twice their prediction now and then, and one that is broken off has been for nothing.
_MARGIN = 0.5
# Whatever the verdict, they took as long as they did; what crashed or was declined did not get far.
_TELLING = (Status.OK, Status.WRONG, Status.MISTRUSTED, Status.TIMEOUT)


class CheckBudget:
    """The budget of a check.

    Args:
        settings: Budget, limits, and the number of jobs, each of which has the whole wall time.
    """

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        self._checks = {backend: CheckTime() for backend in settings.backends}
        self._references = CheckTime()

    def share_s(self, problem: ConvProblem, later: Sequence[ConvProblem], elapsed_s: float) -> float:
        """The longest that a cell may take so that all others that take no longer fit into the time left as well."""
        if math.isinf(self._settings.budget_s):
            return math.inf
        left_s = (self._settings.budget_s - elapsed_s) * self._settings.jobs
        weighed = evenly(later)
        needs_s = [(need_s, 1.0) for need_s in self._needs_s(problem)]
        for each in weighed:
            needs_s += [(need_s, len(later) / len(weighed)) for need_s in self._needs_s(each)]
        for need_s, count in sorted(needs_s):
            left_s -= need_s * count
            if left_s < 0:
                return need_s
        return math.inf

    def why_skipped(self, problem: ConvProblem, backend: str, share_s: float, elapsed_s: float) -> str | None:
        """The budget is spent or better spent on others, or a step would be broken off by its limit."""
        if (spent := why_nothing_is_left(self._settings, elapsed_s)) is not None:
            return spent
        limit_s = self._settings.case_timeout_s
        for step, time in (("computing the reference", self._references), ("checking", self._checks[backend])):
            step_s = time.predict_s(problem)
            if step_s is not None and step_s > _MARGIN * limit_s:
                return (
                    f"{step} is predicted to take {duration_text(step_s)} from the last {len(time)} problems, which"
                    f" could be broken off by --case-timeout {limit_s:g}s; give twice what is predicted"
                )
        need_s = self._need_s(problem, backend)
        if need_s >= share_s:
            return f"predicted to take {need_s:.2g} s; the budget suffices for what takes less than {share_s:.2g} s"
        return None

    def order(self, problem: ConvProblem, backends: Sequence[str]) -> list[str]:  # noqa: ARG002  # all get their share
        """As they are."""
        return list(backends)

    def learn(self, problem: ConvProblem, entry: Entry) -> None:
        """Remember what a check took."""
        if entry.status in _TELLING and entry.spent_s > 0:
            self._checks[entry.backend].learn(problem, entry.spent_s)

    def learn_reference(self, problem: ConvProblem, spent_s: float) -> None:
        """Remember what a reference took."""
        self._references.learn(problem, spent_s)

    def _needs_s(self, problem: ConvProblem) -> list[float]:
        return [self._need_s(problem, backend) for backend in self._settings.backends]

    def _need_s(self, problem: ConvProblem, backend: str) -> float:
        """A check and its part of the reference; 0 for what is not known yet."""
        reference_s = self._references.predict_s(problem) or 0.0
        return (self._checks[backend].predict_s(problem) or 0.0) + reference_s / len(self._settings.backends)
