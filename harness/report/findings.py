"""Everything that a report says, worked out once: groups, verdicts, crossovers, wrong backends, holes, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from backends.protocol import HOST
from harness import noise
from harness.noise import NoiseFloor
from harness.records import Cell, RunHeader, Status
from harness.report.cases import Case, CaseGroup, Sweep, backends_of, groups_of, is_timed, time_of
from harness.report.correctness import Correctness, correctness_of
from harness.report.crossovers import Crossover, crossovers
from harness.report.verdict import (
    CaseVerdict,
    GroupVerdict,
    WrongBackend,
    judge_group,
    wrong_backends,
)
from harness.roofline import Roofline, roofline_of


@dataclass(frozen=True, kw_only=True)
class SweepFindings:
    """A sweep and where the lead changes along it."""

    sweep: Sweep
    crossovers: tuple[Crossover, ...]


@dataclass(frozen=True, kw_only=True)
class GroupFindings:
    """A group and what was found in it."""

    group: CaseGroup
    verdict: GroupVerdict
    sweeps: tuple[SweepFindings, ...]


@dataclass(frozen=True, kw_only=True)
class Hole:
    """A cell without a time, and why."""

    group: CaseGroup
    case: Case
    cell: Cell

    @property
    def reason(self) -> str:
        """Why there is no time."""
        if self.cell.reason:
            return self.cell.reason
        return "checked, not timed" if self.cell.status is Status.OK else "no reason was recorded"


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A run, understood."""

    header: RunHeader
    cells: tuple[Cell, ...]
    backends: tuple[str, ...]
    groups: tuple[GroupFindings, ...]
    overall: GroupVerdict
    wrong: tuple[WrongBackend, ...]
    holes: tuple[Hole, ...]
    verdicts: Mapping[Case, CaseVerdict]
    noise_floor: float
    """The smallest relative difference that counts; smaller ones are ties."""
    twins: NoiseFloor | None
    """What backends run against themselves showed; None where none was."""

    @cached_property
    def correctness(self) -> Correctness:
        """What all checks come to."""
        return correctness_of(self.cells, self.backends)

    @cached_property
    def rooflines(self) -> Mapping[tuple[str, int], Roofline]:
        """What the machine could do at most, by dtype and threads; nothing where a run did not measure it."""
        kinds = dict.fromkeys((item.dtype, item.threads) for item in self.header.ceilings)
        found = {kind: roofline_of(self.header.ceilings, *kind) for kind in kinds}
        return {kind: roofline for kind, roofline in found.items() if roofline is not None}

    def peak_fraction(self, case: Case, cell: Cell) -> float | None:
        """The cell's effective rate over what the machine could do at most; None where either is not known."""
        roofline, time = self.rooflines.get((cell.dtype, cell.threads_asked)), time_of(cell)
        # The ceilings are the host's, and say nothing of a device.
        if roofline is None or time is None or cell.device not in (None, HOST.name):
            return None
        return roofline.peak_fraction(case.problem, time.estimate, self.header.cache)


def find(header: RunHeader, cells: Sequence[Cell], noise_floor: float | None = None) -> Findings:
    """What these cells say.

    Args:
        header: Of the run; its order of backends is kept.
        cells: In the order they ended. Of two of the same case and backend the later counts.
        noise_floor: The smallest relative difference this run can see; smaller ones are called ties. None for what
            the cells' twins give.
    """
    place = {key: number for number, key in enumerate(header.plan)}
    # Cells end in whatever order was cheapest; readers know the order of the suite.
    cells = sorted(cells, key=lambda cell: place.get(cell.key, len(place)))
    groups = groups_of(cells, header.backends)
    kept = tuple(cell for group in groups for case in group.cases for cell in case.cells.values())
    twins = noise.noise_floor(cell for cell in kept if is_timed(cell))
    if noise_floor is None:
        noise_floor = twins.relative if twins is not None else 0.0
    judged = [judge_group(group.cases, noise_floor) for group in groups]
    verdicts = {verdict.case: verdict for item in judged for verdict in item.verdicts}
    return Findings(
        header=header,
        cells=kept,
        backends=backends_of(cells, header.backends),
        groups=tuple(
            GroupFindings(
                group=group,
                verdict=verdict,
                sweeps=tuple(
                    SweepFindings(sweep=sweep, crossovers=crossovers(sweep, verdicts)) for sweep in group.sweeps
                ),
            )
            for group, verdict in zip(groups, judged, strict=True)
        ),
        overall=judge_group([case for group in groups for case in group.cases], noise_floor),
        wrong=wrong_backends(groups),
        holes=tuple(
            Hole(group=group, case=case, cell=cell)
            for group in groups
            for case in group.cases
            for cell in case.cells.values()
            if not is_timed(cell)
        ),
        verdicts=verdicts,
        noise_floor=noise_floor,
        twins=twins,
    )
