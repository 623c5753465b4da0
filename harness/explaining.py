"""Has failures explained by the workers in which they happen: wrong results shrunk and diagnosed, crashes shrunk."""

from __future__ import annotations

import dataclasses
import enum
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from backends import ConvProblem
from harness import messages, shrinking
from harness.cases import Case
from harness.entry import Entry
from harness.plan import RunSettings
from harness.probes import EVERY_PROBE
from harness.worker_process import WorkerLost, WorkerTimeout

# A pattern of failures shows in the first few; each takes seconds to shrink.
_MOST_EXPLAINED = 5
_LIMIT_S = 8.0
# Every problem that crashes costs the start of a worker, about a second where it loads a large library.
_CRASH_LIMIT_S = 20.0
_MOST_CRASHES = 60


class _End(enum.Enum):
    """How an attempt ended that gave no answer."""

    LOST = enum.auto()
    RAISED = enum.auto()


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """Explains the first failures of each backend.

    Attributes:
        settings: Seed and limits.
        ask: Sends a request to a backend's worker, opened anew if need be.
        drop: Ends a backend's worker, if it has one.
        explained: What has been explained, by backend; sessions that work side by side share it.
    """

    settings: RunSettings
    ask: Callable[[str, messages.Request], messages.Reply]
    drop: Callable[[str], None]
    explained: dict[str, set[str]] = field(default_factory=dict)

    def explain_wrong(self, case: Case, entry: Entry, checked: messages.Checked) -> None:
        """Add the smallest problem and a diagnosis to a wrong cell, once for each probe and a few times in all.

        A worker that does not live through that costs the explanation, not the verdict.
        """
        failed = next((item.name for item in checked.outcome.outcomes if not item.passed), None)
        if failed not in EVERY_PROBE or not self._is_new(entry.backend, failed):
            return
        limit_s = min(_LIMIT_S, self.settings.case_timeout_s / 2)
        reply = self._attempt(entry.backend, case.problem, failed, limit_s)
        if isinstance(reply, messages.Explained):
            outcome = dataclasses.replace(checked.outcome, explanation=reply.explanation)
            entry.checked = msgspec.structs.replace(checked, outcome=outcome)

    def explain_crash(self, case: Case, entry: Entry) -> None:
        """Add to the reason of a crash the smallest problem that ends in the same way, once for each backend."""
        if not self._is_new(entry.backend, "crash"):
            return
        ending = self._attempt(entry.backend, case.problem, "exact", 0.0)
        if not isinstance(ending, _End):
            return
        found = shrinking.smallest(
            case.problem,
            lambda smaller: self._attempt(entry.backend, smaller, "exact", 0.0) is ending,
            limit_s=min(_CRASH_LIMIT_S, self.settings.case_timeout_s),
            clock=time.monotonic,
            most_tries=_MOST_CRASHES,
        )
        if found.problem != case.problem:
            entry.reason = f"{entry.reason}; the smaller {found.problem} ends in the same way"

    def _is_new(self, backend: str, failure: str) -> bool:
        explained = self.explained.setdefault(backend, set())
        if failure in explained or len(explained) >= _MOST_EXPLAINED:
            return False
        explained.add(failure)
        return True

    def _attempt(self, backend: str, problem: ConvProblem, probe: str, limit_s: float) -> messages.Reply | _End | None:
        """What comes of explaining a probe's failure; None after the limit of a case's steps."""
        request = messages.Explain(problem=str(problem), probe=probe, seed=self.settings.seed, limit_s=limit_s)
        try:
            reply = self.ask(backend, request)
        except WorkerLost:
            self.drop(backend)
            return _End.LOST
        except WorkerTimeout:
            self.drop(backend)
            return None
        return _End.RAISED if isinstance(reply, messages.Failed) else reply
