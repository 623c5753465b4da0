"""Runs a few problems by the harness's own runner, and asks the report's own code what it says about two backends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends import ConvProblem
from harness import runner, stats
from harness.cases import Case
from harness.plan import RunSettings
from harness.records import Cell, RunHeader
from harness.report.cases import is_timed
from harness.report.findings import find
from harness.report.verdict import ratio_between

_CASE_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a report says of two backends on one problem."""

    problem: str
    first: Cell
    second: Cell
    ratio: stats.Interval
    """Time of the second over that of the first."""
    faster: str | None
    """The backend that the report calls faster; None for a tie."""


def cells_of(
    problems: Sequence[str], backends: Sequence[str], *, threads: int = 1, seed: int = 0, budget_s: float
) -> tuple[Cell, ...]:
    """Every cell of a run over these problems.

    Args:
        problems: Descriptors.
        backends: Specs.
        threads: Per backend.
        seed: Of data and order.
        budget_s: Wall time for everything, in seconds.
    """
    cases = [Case(problem=ConvProblem.parse(problem), suite="trust", group="trust") for problem in problems]
    settings = RunSettings(
        backends=tuple(backends), threads=threads, seed=seed, budget_s=budget_s, case_timeout_s=_CASE_TIMEOUT_S
    )
    return tuple(event for event in runner.run(cases, settings) if isinstance(event, Cell))


def comparisons(cells: Sequence[Cell], first: str, second: str) -> tuple[Comparison, ...]:
    """What the report says of two backends, problem by problem, as if the run had had only these two.

    The noise floor is the whole run's.
    """
    pair = [cell for cell in cells if cell.key.backend in (first, second)]
    findings = find(_header((first, second), len(pair)), pair, noise_floor=noise_floor(cells))
    found = []
    for case, verdict in findings.verdicts.items():
        if {first, second} <= case.timed.keys():
            ours, theirs = case.timed[first], case.timed[second]
            found.append(
                Comparison(
                    problem=case.descriptor,
                    first=ours,
                    second=theirs,
                    ratio=ratio_between(theirs, ours),
                    faster=verdict.outright,
                )
            )
    return tuple(found)


def failures(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Why cells have no time, one line each."""
    return tuple(
        f"{cell.key.backend} on {cell.key.problem}: {cell.status.value}: {cell.reason}"
        for cell in cells
        if not is_timed(cell)
    )


def noise_floor(cells: Sequence[Cell]) -> float:
    """The smallest relative difference that a run with these cells can see, as its report takes it."""
    backends = tuple(dict.fromkeys(cell.key.backend for cell in cells))
    return find(_header(backends, len(cells)), cells).noise_floor


def _header(backends: tuple[str, ...], cells_planned: int) -> RunHeader:
    return RunHeader(
        command=("python", "-m", "benchmarks.trust"),
        started_utc="",
        seed=0,
        budget_s=None,
        case_timeout_s=_CASE_TIMEOUT_S,
        memory_limit_bytes=None,
        threads=1,
        dtype=None,
        suites=("trust",),
        backends=backends,
        cells_planned=cells_planned,
    )
