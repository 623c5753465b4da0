"""What the checks of a run come to: by backend and probe, and what is worth knowing beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.probes import CALLING_PROBES, EVERY_PROBE
from harness.records import Cell, ProbeOutcome, Status
from harness.report.accuracy import accuracy_of, error_share, likeness_of
from harness.report.cases import CHECKED_STATUSES, TIMED_STATUSES
from harness.report.gist import Gist, gists

# Kept or broken; by how much says little.
KEPT_PROBES = ("exact", "nan", "infinity", *CALLING_PROBES)
# Pictures are probes as well, under names of their own, and measure errors like these.
ERROR_PROBES = tuple(name for name in EVERY_PROBE if name not in KEPT_PROBES)


@dataclass(frozen=True, kw_only=True)
class Slack:
    """The share of an allowed error that was used, and where."""

    share: float
    probe: str
    cell: Cell


@dataclass(frozen=True, kw_only=True)
class ProbeTally:
    """One probe of one backend over all problems that it was made on."""

    made: int
    failed: int
    excused: int
    """Passed with errors beyond the bound, for a reason that a note gives."""
    worst: Slack | None
    """The largest error that was within its bound."""


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What one backend's errors say of its arithmetic on one dtype: the worst over results that no mistake spoils."""

    dtype: str
    problems: int
    effective_bits: float | None
    operand_bits: float | None
    """None where no result had any error."""
    narrow: int
    """Problems on which it is narrower than the dtype."""
    likeness: str | None
    """"computes like tf32 or float16", if it is."""


@dataclass(frozen=True, kw_only=True)
class BackendTally:
    """One backend over all problems."""

    backend: str
    statuses: Mapping[Status, int]
    probes: Mapping[str, ProbeTally]
    arithmetic: tuple[Arithmetic, ...]
    closest: Slack | None
    """The error that came closest to its bound where results are right."""

    @property
    def right(self) -> int:
        """Problems that it is right on."""
        return sum(self.statuses.get(status, 0) for status in TIMED_STATUSES)

    @property
    def wrong(self) -> int:
        """Problems that it is wrong on."""
        return self.statuses.get(Status.WRONG, 0)

    @property
    def declined(self) -> int:
        """Problems that it does not take on."""
        return self.statuses.get(Status.UNSUPPORTED, 0)

    @property
    def undecided(self) -> int:
        """Problems on which it is neither."""
        return sum(self.statuses.values()) - self.right - self.wrong - self.declined


@dataclass(frozen=True, kw_only=True)
class Correctness:
    """The checks of a run."""

    probes: tuple[str, ...]
    backends: tuple[BackendTally, ...]
    notes: tuple[Gist, ...]
    """What passed and is worth knowing."""
    left_out: tuple[Gist, ...]
    open_cells: Mapping[Status, tuple[Gist, ...]]
    """Why cells are neither right nor wrong."""

    @property
    def is_empty(self) -> bool:
        """Nothing was examined, and nothing was left undecided."""
        return not self.probes and not self.open_cells and not any(tally.wrong for tally in self.backends)


def correctness_of(cells: Sequence[Cell], backends: Sequence[str]) -> Correctness:
    """What the checks of these cells come to.

    Args:
        cells: One of each problem and backend.
        backends: All of theirs, in the order of a table.
    """
    by_backend: dict[str, list[Cell]] = {backend: [] for backend in backends}
    for cell in cells:
        by_backend[cell.key.backend].append(cell)
    tallies = tuple(_backend_tally(backend, own) for backend, own in by_backend.items())
    made = {name for tally in tallies for name in tally.probes}
    known = (*ERROR_PROBES, *KEPT_PROBES)
    return Correctness(
        probes=(*(name for name in known if name in made), *sorted(made.difference(known))),
        backends=tallies,
        notes=gists(_notes(cells)),
        left_out=_left_out(cells),
        open_cells=_open_cells(cells),
    )


def _backend_tally(backend: str, cells: Sequence[Cell]) -> BackendTally:
    probes: dict[str, _Counting] = {}
    for cell in cells:
        for outcome in cell.check.outcomes if cell.check else ():
            counting = probes.get(outcome.name)
            if counting is None:
                counting = probes[outcome.name] = _Counting()
            counting.add(cell, outcome)
    dtypes = dict.fromkeys(cell.dtype for cell in cells if cell.status in CHECKED_STATUSES)
    return BackendTally(
        backend=backend,
        statuses=Counter(cell.status for cell in cells),
        probes={name: counting.tally(name) for name, counting in probes.items()},
        arithmetic=tuple(_arithmetic(dtype, [cell for cell in cells if cell.dtype == dtype]) for dtype in dtypes),
        closest=_closest(cells),
    )


@dataclass
class _Counting:
    """A tally in the making: there may be millions of outcomes."""

    made: int = 0
    failed: int = 0
    excused: int = 0
    worst: Cell | None = None
    most: float = -1.0

    def add(self, cell: Cell, outcome: ProbeOutcome) -> None:
        self.made += 1
        if not outcome.passed:
            self.failed += 1
            return
        share = error_share(outcome)
        if share is None:
            return
        if share > 1:
            self.excused += 1
        elif share > self.most:
            self.worst, self.most = cell, share

    def tally(self, name: str) -> ProbeTally:
        worst = None if self.worst is None else Slack(share=self.most, probe=name, cell=self.worst)
        return ProbeTally(made=self.made, failed=self.failed, excused=self.excused, worst=worst)


def _closest(cells: Iterable[Cell]) -> Slack | None:
    closest: Slack | None = None
    for cell in cells:
        if cell.status in TIMED_STATUSES and cell.check:
            found = accuracy_of(cell)
            share = found.error_over_bound
            if share is not None and found.probe is not None and (closest is None or share > closest.share):
                closest = Slack(share=share, probe=found.probe, cell=cell)
    return closest


def _arithmetic(dtype: str, cells: Sequence[Cell]) -> Arithmetic:
    likenesses = {id(cell): likeness_of(cell) for cell in cells if cell.status is Status.WRONG}
    narrow = [likeness for likeness in likenesses.values() if likeness is not None]
    told = [_telling(cell, is_narrow=likenesses.get(id(cell)) is not None) for cell in cells]
    outcomes = [outcome for telling in told for outcome in telling]
    return Arithmetic(
        dtype=dtype,
        problems=sum(map(bool, told)),
        effective_bits=min((o.effective_bits for o in outcomes if o.effective_bits is not None), default=None),
        operand_bits=min((o.operand_bits for o in outcomes if o.operand_bits is not None), default=None),
        narrow=len(narrow),
        likeness=Counter(narrow).most_common(1)[0][0] if narrow else None,
    )


def _telling(cell: Cell, *, is_narrow: bool) -> list[ProbeOutcome]:
    """The outcomes that tell bits: the errors of a mistake are as large as results and say nothing of rounding."""
    outcomes = cell.check.outcomes if cell.check else ()
    return [o for o in outcomes if o.effective_bits is not None and (o.passed or is_narrow)]


def _notes(cells: Iterable[Cell]) -> Iterable[tuple[str, str]]:
    for cell in cells:
        # Two probes that note the same of one problem say it once.
        for note in {o.note: None for o in cell.check.outcomes if o.note} if cell.check else ():
            yield note, cell.key.backend


def _left_out(cells: Iterable[Cell]) -> tuple[Gist, ...]:
    """Of each problem once: it is left out for its size, whatever the backend."""
    said = {(cell.check.left_out, cell.key.problem): None for cell in cells if cell.check and cell.check.left_out}
    return gists((text, "") for text, _ in said)


def _open_cells(cells: Sequence[Cell]) -> dict[Status, tuple[Gist, ...]]:
    settled = (*TIMED_STATUSES, Status.WRONG)
    open_cells: dict[Status, list[tuple[str, str]]] = {}
    for cell in cells:
        if cell.status not in settled:
            said = open_cells.setdefault(cell.status, [])
            said.append((cell.reason or "no reason was recorded", cell.key.backend))
    return {status: gists(open_cells[status]) for status in Status if status in open_cells}
