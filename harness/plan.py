"""What is to be measured: the settings of a run, the places its cells fill, and its problems in batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from backends import ConvProblem
from harness.cases import Case
from harness.records import CacheState, CaseKey, Cell

CellPlace = tuple[CaseKey, str, str]
"""What is measured, and the suite and group that show it: one measurement may have several places."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a plan is carried out.

    Attributes:
        backends: Specs, in the order of the tables.
        threads: Per backend.
        seed: Of data and order.
        budget_s: Wall time for everything; infinite for none.
        case_timeout_s: Limit of each step (the first call, checking, one block) of a cell.
        prepare_timeout_s: Limit of preparing a cell, which may compile.
        cores: Those that workers are bound to; none leaves them where the system puts them.
        memory_limit_bytes: Beyond what a worker holds after loading its backend; None for most of what is available.
        report_s: The part of the budget that whoever writes the report needs at the end.
        is_timed: False checks only.
        cache: What caches hold before a timed call.
        jobs: Problems that are worked on at a time; 1 where anything is timed.
        probes: By which a backend is examined when nothing is timed; all where none is named.
    """

    backends: tuple[str, ...]
    threads: int
    seed: int
    budget_s: float = math.inf
    report_s: float = 0.0
    case_timeout_s: float = 30.0
    prepare_timeout_s: float = 120.0
    cores: tuple[int, ...] = ()
    memory_limit_bytes: int | None = None
    is_timed: bool = True
    cache: CacheState = CacheState.HOT
    jobs: int = 1
    probes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.is_timed and self.jobs != 1:
            raise ValueError(f"jobs={self.jobs} for a timed run; two measurements at once would disturb each other")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One problem on one kind of data: measured once, and shown by each of its cases."""

    cases: tuple[Case, ...]
    backends: tuple[str, ...]
    """Those for which some case has no cell yet."""

    @property
    def case(self) -> Case:
        """The first case, which stands for all: they differ in name, count and place only."""
        return self.cases[0]

    @property
    def problem(self) -> ConvProblem:
        """What is computed."""
        return self.cases[0].problem


def key_of(case: Case, backend: str) -> CaseKey:
    """What identifies the cell of a case and a backend."""
    return CaseKey(problem=_descriptor(case), backend=backend, data=case.data)


def plan_keys(cases: Sequence[Case], backends: Sequence[str]) -> tuple[CaseKey, ...]:
    """Every cell of a plan, in table order."""
    described = [(_descriptor(case), case.data) for case in cases]
    return tuple(
        CaseKey(problem=problem, backend=backend, data=data) for problem, data in described for backend in backends
    )


def place_of(cell: Cell) -> CellPlace:
    """Which cell of a plan a stored one is."""
    return cell.key, cell.suite, cell.group


def batches_of(
    cases: Sequence[Case], backends: Sequence[str], finished: frozenset[CellPlace] = frozenset()
) -> list[Batch]:
    """What is left to measure, each problem once, fewest multiply-adds first."""
    together: dict[tuple[str, str | None], list[Case]] = {}
    for case in cases:
        together.setdefault((_descriptor(case), case.data), []).append(case)
    batches = []
    for (problem, data), same in together.items():
        keys = [CaseKey(problem=problem, backend=backend, data=data) for backend in backends]
        left = tuple(key.backend for key in keys if any((key, case.suite, case.group) not in finished for case in same))
        if left:
            batches.append(Batch(cases=tuple(same), backends=left))
    return sorted(batches, key=lambda batch: batch.problem.macs_nominal)


def _descriptor(case: Case) -> str:
    return str(case.problem.replace(label="", count=1))
