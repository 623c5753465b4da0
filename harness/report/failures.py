"""What is wrong, a card for each wrong backend: the promises it broke, and the smallest problem that shows it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.problem import ConvProblem
from harness.probes import EVERY_PROBE, PROMISES
from harness.records import Cell, Explanation, ProbeOutcome, Status
from harness.report.cases import slug
from harness.report.correctness import BackendTally
from harness.report.gist import without_numbers
from harness.report.grids import ArrayGrids, excerpt_grids
from harness.report.problem_words import geometry_words
from harness.report.wording import count_text, problem_name, repeat_line
from harness.snippets import check_command, torch_call

if TYPE_CHECKING:
    from harness.records import RunHeader
    from harness.report.findings import Findings

# Results of these are rounded before integers are compared.
_TRANSFORMS = ("fft", "winograd")
# A backend with more faults than these shows the others once these are mended.
_MOST_SHOWN = 3
_UNPROBED, _FORM = "timed calls", "form"
_OTHER_PROMISES = {
    _FORM: "an output is an array of the problem's shape and dtype, finite where inputs are",
    _UNPROBED: "what is timed gives what was checked",
}


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A promise that was broken, and how often."""

    probe: str
    promise: str
    failed: int
    made: int | None
    """Problems it was put to; None where no probe was needed to see it."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One failing problem, ready to be read."""

    title: str
    origin: str
    probe: str
    promise: str
    problem: str
    geometry: str
    detail: str
    diagnosis: tuple[str, ...]
    diagnosed: str
    """Descriptor of the problem that the diagnosis is of, if it is another."""
    arrays: tuple[ArrayGrids, ...]
    repeat: str
    torch: str
    explanation: Explanation | None


@dataclass(frozen=True, kw_only=True)
class FailureCard:
    """All that is wrong with one backend."""

    identifier: str
    backend: str
    wrong: int
    checked: int
    promise: str
    """The first that it broke, in words."""
    broken: tuple[Broken, ...]
    shown: tuple[Shown, ...]


def failure_cards(findings: Findings) -> tuple[FailureCard, ...]:
    """A card for each backend with a wrong result, the most often wrong first."""
    wrong: dict[str, list[tuple[ConvProblem, Cell]]] = {}
    for verdict in findings.verdicts.values():
        for cell in verdict.case.cells.values():
            if cell.status is Status.WRONG:
                wrong.setdefault(cell.key.backend, []).append((verdict.case.problem, cell))
    tallies = {tally.backend: tally for tally in findings.correctness.backends}
    cards = []
    for place, item in enumerate(findings.wrong, 1):
        broken = _broken(tallies[item.backend], [cell for _, cell in wrong[item.backend]])
        shown = tuple(_shown(wrong[item.backend], findings.header))
        cards.append(
            FailureCard(
                identifier=f"wrong-{place}-{slug(item.backend)}",
                backend=item.backend,
                wrong=item.wrong,
                checked=item.checked,
                promise=shown[0].promise,
                broken=broken,
                shown=shown,
            )
        )
    return tuple(cards)


def promise_of(probe: str) -> str:
    """What a probe promises, in words; any that is not known by name is a picture."""
    known = PROMISES | _OTHER_PROMISES
    return known.get(probe, f"on the picture {probe}, errors stay within the algorithm's bound")


def _broken(tally: BackendTally, wrong: Sequence[Cell]) -> tuple[Broken, ...]:
    failed = Counter(_kind(outcome) for cell in wrong for outcome in _failed(cell))
    failed[_UNPROBED] = sum(not _failed(cell) for cell in wrong)
    order = (_FORM, *EVERY_PROBE, *(name for name in tally.probes if name not in PROMISES), _UNPROBED)
    return tuple(
        Broken(
            probe=name,
            promise=promise_of(name),
            failed=failed[name],
            made=tally.probes[name].made if name in tally.probes else None,
        )
        for name in order
        if failed[name]
    )


def _shown(wrong: Sequence[tuple[ConvProblem, Cell]], header: RunHeader) -> Iterator[Shown]:
    """The explained failures that are not alike, smallest first; else the smallest of the problems that fail."""
    explained = [
        (cell, explanation) for _, cell in wrong if cell.check and (explanation := cell.check.explanation) is not None
    ]
    if not explained:
        problem, cell = min(wrong, key=lambda item: item[0].macs_nominal)
        yield _unexplained(problem, cell, header)
    for cell, explanation in itertools.islice(_unlike(sorted(explained, key=lambda item: _size(item[1]))), _MOST_SHOWN):
        yield _explained(cell, explanation, header.seed)


def _unlike(explained: Iterable[tuple[Cell, Explanation]]) -> Iterator[tuple[Cell, Explanation]]:
    """One of those that share their numbers, or what is said of them: they are one fault."""
    known: set[tuple[str, str]] = set()
    for cell, explanation in explained:
        marks = {(explanation.probe, explanation.problem)}
        marks.update((explanation.probe, without_numbers(text)) for text in explanation.diagnosis[:1])
        if not known & marks:
            yield cell, explanation
        known |= marks


def _size(explanation: Explanation) -> tuple[bool, int]:
    """Those whose numbers are known first, then by multiply-adds."""
    return explanation.excerpt is None, ConvProblem.parse(explanation.problem).macs_nominal


def _explained(cell: Cell, explanation: Explanation, seed: int) -> Shown:
    problem = ConvProblem.parse(explanation.problem)
    outcome = cell.check.outcome(explanation.probe) if cell.check else None
    arrays: list[ArrayGrids] = []
    if explanation.excerpt is not None:
        arrays = excerpt_grids(problem, explanation.excerpt)
    if explanation.tries and explanation.problem != cell.key.problem:
        origin = f"all that is left of {problem_name(cell)} after trying {count_text(explanation.tries, 'problem')}"
    else:
        origin = "as it was found"
    doubt = "" if explanation.is_minimal else "; the time ran out before every simpler one was tried"
    return Shown(
        title="The smallest problem that fails" if explanation.is_minimal else "A small problem that fails",
        origin=f"{origin}{doubt}",
        probe=explanation.probe,
        promise=promise_of(_kind(outcome) if outcome else explanation.probe),
        problem=explanation.problem,
        geometry=geometry_words(problem),
        detail=explanation.detail,
        diagnosis=explanation.diagnosis,
        diagnosed="" if explanation.diagnosed == explanation.problem else explanation.diagnosed,
        arrays=tuple(arrays),
        repeat=check_command(cell.key.backend, problem, probe=explanation.probe, seed=seed),
        torch=torch_call(problem),
        explanation=explanation,
    )


def _unexplained(problem: ConvProblem, cell: Cell, header: RunHeader) -> Shown:
    """A failure of which only is known what the run itself saw."""
    outcome = next(iter(_failed(cell)), None)
    repeat = repeat_line(header, cell)
    if outcome is not None and outcome.name in PROMISES:
        repeat = check_command(cell.key.backend, problem, probe=outcome.name, seed=header.seed)
    return Shown(
        title="The smallest of the problems that fail",
        origin=f"{cell.label}; no smaller one is known" if cell.label else "no smaller one is known",
        probe=outcome.name if outcome else _UNPROBED,
        promise=promise_of(_kind(outcome) if outcome else _UNPROBED),
        problem=cell.key.problem,
        geometry=geometry_words(problem),
        detail=(outcome.detail if outcome else cell.reason) or "no reason was recorded",
        diagnosis=(),
        diagnosed="",
        arrays=(),
        repeat=repeat,
        torch=torch_call(problem),
        explanation=None,
    )


def _failed(cell: Cell) -> list[ProbeOutcome]:
    """The probes that the cell failed; none where it was found wrong otherwise."""
    return [outcome for outcome in cell.check.outcomes if not outcome.passed] if cell.check else []


def _kind(outcome: ProbeOutcome) -> str:
    """The probe's name; or the word for outputs without the form in which any probe could look at them."""
    return outcome.name if outcome.outputs_checked else _FORM
