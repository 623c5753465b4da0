"""The verdict in plain sentences: what is wrong, what is fastest when, how sure that is, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.records import Status
from harness.report.cases import TIMED_STATUSES, Sweep, axis_value_text
from harness.report.checked_sentences import bits_lines, right_lines, wrong_lines
from harness.report.lines import Line, LineKind
from harness.report.memory_lines import memory_lines
from harness.report.peak import peak_lines
from harness.report.sureness import sureness_lines
from harness.report.wording import count_text, names_text
from harness.units import MISSING, fixed

if TYPE_CHECKING:
    from harness.report.crossovers import Crossover
    from harness.report.findings import Findings, GroupFindings, SweepFindings
    from harness.report.verdict import CaseVerdict, GroupVerdict, Standing

# More changes of lead than this along one sweep are a scatter, not a rule worth spelling out.
_MANY_CROSSOVERS = 3


def verdict_lines(findings: Findings) -> tuple[Line, ...]:
    """Every line of the verdict, the loudest first."""
    if not findings.header.is_timed:
        return (*wrong_lines(findings), *right_lines(findings), *_missing_lines(findings))
    return (
        *wrong_lines(findings),
        *right_lines(findings),
        *_overall_lines(findings.overall),
        *(line for group in findings.groups for line in _when_lines(group)),
        *bits_lines(findings),
        *peak_lines(findings),
        *memory_lines(findings),
        *sureness_lines(findings),
        *_missing_lines(findings),
    )


def crossover_text(crossover: Crossover, sweep: Sweep) -> str:
    """One crossover: "fft overtakes numba between kernel size 7 and 9"."""
    last, first = axis_value_text(crossover.last), axis_value_text(crossover.first)
    ties = [axis_value_text(value) for value in crossover.tied_at]
    tied = f" (a tie at {names_text(ties)})" if ties else ""
    doubt = "" if crossover.is_sure else ", on few samples"
    return f"{crossover.after} overtakes {crossover.before} between {sweep.axis_label} {last} and {first}{doubt}{tied}"


def coverage_text(verdict: GroupVerdict) -> str:
    """What the means of a set of cases are over: "over the 7 of 9 cases that all 5 backends were timed on; ..."."""
    compared = [item for item in verdict.standings if item.ratio_to_best is not None]
    if not compared:
        return "no mean: there is no set of cases that two backends share"
    text = (
        f"geometric mean over the {verdict.common} of {count_text(verdict.contested, 'case')}"
        f" that {names_text([item.backend for item in compared])} were all timed on"
    )
    left_out = [
        f"{item.backend} ({item.timed})" for item in verdict.standings if item.ratio_to_best is None and item.timed
    ]
    return f"{text}; too few for a mean: {', '.join(left_out)}" if left_out else text


def _overall_lines(overall: GroupVerdict) -> Iterator[Line]:
    if not any(verdict.contenders for verdict in overall.verdicts):
        yield Line(kind=LineKind.FASTEST, text="Nothing was timed, so nothing is fastest.")
        return
    if not overall.contested:
        only = sorted({name for verdict in overall.verdicts for name in verdict.by_backend})
        yield Line(
            kind=LineKind.FASTEST,
            text=f"No case had two right and timed backends to compare; timed: {names_text(only)}.",
        )
        return
    best = max(overall.standings, key=lambda item: (item.outright, item.tied))
    won = f"{best.backend} wins most often: {best.outright} of {count_text(overall.contested, 'case')} outright"
    tied = f", and it shares the lead in {best.tied} more" if best.tied else ""
    yield Line(kind=LineKind.FASTEST, text=f"{won}{tied}.")
    ranked = [item for item in overall.standings if item.ratio_to_best is not None]
    if len(ranked) > 1:
        means = [f"{item.backend} {_times(item.ratio_to_best)}" for item in ranked]
        yield Line(
            kind=LineKind.FASTEST,
            text=f"Distance from the best (1× is always best): {', '.join(means)}; {coverage_text(overall)}.",
        )


def _when_lines(found: GroupFindings) -> Iterator[Line]:
    if found.sweeps:
        for item in found.sweeps:
            verdict_of = {verdict.case: verdict for verdict in found.verdict.verdicts}
            text = _sweep_text(item, [verdict_of[case] for case in item.sweep.cases])
            if text:
                yield Line(kind=LineKind.WHEN, about=item.sweep.title, text=text)
    elif found.verdict.contested:
        yield Line(kind=LineKind.WHEN, about=found.group.title, text=_wins_text(found.verdict))


def _sweep_text(found: SweepFindings, verdicts: Sequence[CaseVerdict]) -> str:
    contested = [verdict for verdict in verdicts if verdict.is_contested]
    if not contested:
        return ""
    if len(found.crossovers) > _MANY_CROSSOVERS:
        return f"the lead changes {len(found.crossovers)} times along {found.sweep.axis_label}; the plot shows where."
    if found.crossovers:
        changes = "; ".join(crossover_text(item, found.sweep) for item in found.crossovers)
        return f"{found.crossovers[0].before} leads at first; {changes}.{_ties_text(contested)}"
    return _steady_text(found.sweep, contested)


def _steady_text(sweep: Sweep, contested: Sequence[CaseVerdict]) -> str:
    """A sweep along which no lead changes hands."""
    always = set.intersection(*(set(verdict.leaders) for verdict in contested))
    values = [axis_value_text(verdict.case.axis_value) for verdict in contested]
    if len(values) == 1:
        return f"{_lone_text(contested[0])} at {sweep.axis_label} {values[0]}, the only one with two times to compare."
    span = f"at every {sweep.axis_label} measured, {values[0]} to {values[-1]}"
    ties = _ties_text(contested)
    if all(verdict.outright is not None for verdict in contested) and always:
        return f"{always.pop()} is fastest {span}{_lead_text(contested)}."
    if len(always) == 1:
        return f"{always.pop()} leads, alone or in a tie, {span}.{ties}"
    if always:
        return f"{' ≈ '.join(sorted(always))} {span}: no difference was seen."
    return f"no clear change of lead {span}.{ties}"


def _ties_text(contested: Sequence[CaseVerdict]) -> str:
    """Where nobody leads alone: " Tied: a ≈ b at 64 and 128."."""
    places: dict[str, list[str]] = {}
    for verdict in contested:
        if verdict.outright is None:
            places.setdefault(" ≈ ".join(sorted(verdict.leaders)), []).append(axis_value_text(verdict.case.axis_value))
    ties = "; ".join(f"{names} at {names_text(values)}" for names, values in places.items())
    return f" Tied: {ties}." if ties else ""


def _lead_text(contested: Sequence[CaseVerdict]) -> str:
    """By how much the next backend is behind: ", 1.3× to 2.1× ahead of the next"."""
    leads = [verdict.contenders[1].ratio.estimate for verdict in contested]
    low, high = _times(min(leads)), _times(max(leads))
    return f", {low} ahead of the next" if low == high else f", {low} to {high} ahead of the next"


def _lone_text(verdict: CaseVerdict) -> str:
    """One case: "numba is fastest, 1.30× ahead of the next", or a tie."""
    if verdict.outright is None:
        return f"{' ≈ '.join(sorted(verdict.leaders))}: no difference was seen"
    return f"{verdict.outright} is fastest{_lead_text([verdict])}"


def _wins_text(verdict: GroupVerdict) -> str:
    contested = [item for item in verdict.verdicts if item.is_contested]
    if len(contested) == 1:
        return f"{_lone_text(contested[0])}."
    wins = [item for item in verdict.standings if item.outright]
    wins.sort(key=lambda item: -item.outright)
    parts = [f"{item.backend} {item.outright}" for item in wins]
    ties = Counter(" ≈ ".join(sorted(v.leaders)) for v in verdict.verdicts if v.is_contested and v.outright is None)
    parts += [f"{names} tie in {number}" for names, number in ties.most_common()]
    text = f"of {count_text(verdict.contested, 'contested case')}: {', '.join(parts)}"
    best = _best_mean(verdict.standings)
    if best is None:
        return f"{text}."
    return f"{text}; nearest to the best throughout is {best.backend} ({_times(best.ratio_to_best)})."


def _best_mean(standings: Sequence[Standing]) -> Standing | None:
    ranked = [item for item in standings if item.ratio_to_best is not None]
    return ranked[0] if len(ranked) > 1 else None


def _missing_lines(findings: Findings) -> Iterator[Line]:
    if findings.header.is_timed:
        holes, lack = [hole.cell for hole in findings.holes], "have no time"
    else:
        decided = (*TIMED_STATUSES, Status.WRONG, Status.UNSUPPORTED)
        holes, lack = [cell for cell in findings.cells if cell.status not in decided], "were not decided"
    if holes:
        kinds = Counter(cell.status.value.replace("_", " ") for cell in holes)
        listed = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
        yield Line(
            kind=LineKind.MISSING,
            text=f"{len(holes):,} of {count_text(len(findings.cells), 'cell')} {lack}: {listed}.",
        )
    unfinished = findings.header.cells_planned - len(findings.cells)
    if unfinished > 0:
        yield Line(
            kind=LineKind.MISSING,
            text=f"{unfinished:,} of {count_text(findings.header.cells_planned, 'planned cell')} were not reached;"
            " the same command with --resume goes on where it stopped.",
        )


def _times(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{fixed(max(1.0, ratio))}×"
