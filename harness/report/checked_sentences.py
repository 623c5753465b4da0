"""The verdict on correctness in plain sentences: who is wrong, who is right, and with how many bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.records import Status
from harness.report.accuracy import SIGNIFICAND_BITS
from harness.report.cases import TIMED_STATUSES, Case
from harness.report.checked_words import bits_text, likeness_text, of_bits_text
from harness.report.lines import Line, LineKind
from harness.report.wording import count_text, names_text

if TYPE_CHECKING:
    from harness.report.correctness import Arithmetic
    from harness.report.findings import Findings


def wrong_lines(findings: Findings) -> Iterator[Line]:
    """Who is wrong on how many problems, the worst first; and whose arithmetic is narrower than its label."""
    tallies = {tally.backend: tally for tally in findings.correctness.backends}
    for item in findings.wrong:
        ranks = f" and ranks nowhere on {'it' if item.wrong == 1 else 'those'}" if findings.header.is_timed else ""
        text = f"{item.backend} is WRONG on {item.wrong:,} of {count_text(item.checked, 'problem')}{ranks}."
        first = f" First: {item.first_case}: {item.first_reason}"
        yield Line(kind=LineKind.WRONG, about=item.backend, text=text + first)
        for found in tallies[item.backend].arithmetic:
            if found.likeness is not None:
                text = (
                    f"{item.backend} in {found.dtype} {likeness_text(found)}: arithmetic narrower than its label,"
                    f" which keeps {of_bits_text(found)} effective bits."
                )
                yield Line(kind=LineKind.WRONG, about=item.backend, text=text)


def right_lines(findings: Findings) -> Iterator[Line]:
    """Who is right where; nothing where no result was."""
    tallies = findings.correctness.backends
    if not any(tally.right for tally in tallies):
        return
    if findings.wrong:
        faultless = [tally for tally in tallies if tally.right and not tally.wrong]
        if faultless:
            counts = ", ".join(f"{tally.backend} on {tally.right:,}" for tally in faultless)
            text = f"Right on every problem that was decided: {counts}."
            yield Line(kind=LineKind.RIGHT, text=text)
    elif findings.header.is_timed:
        yield Line(kind=LineKind.RIGHT, text="Every result that was checked is right.")
    else:
        yield Line(kind=LineKind.RIGHT, text=_all_right_text(findings))


def _all_right_text(findings: Findings) -> str:
    """Where nothing is wrong: on how many problems every backend is right, and what became of the others."""
    kinds = Counter(_settled(verdict.case, len(findings.backends)) for verdict in findings.verdicts.values())
    total, by_all, by_some = kinds.total(), kinds["all"], kinds["some"]
    number = len(findings.backends)
    problems = count_text(total, "problem")
    if by_all:
        who = f"{findings.backends[0]} is" if number == 1 else f"All {number} backends are"
        parts = [f"{who} right on {problems if by_all == total else f'{by_all:,} of {problems}'}"]
        if by_some:
            parts.append(f"on {by_some:,} more, those that answered are right")
    else:
        parts = [f"No backend is wrong: on {by_some:,} of {problems}, those that answered are right"]
    if declined := kinds["declined"]:
        parts.append(f"{declined:,} {'is' if declined == 1 else 'are'} declined{' by all' if number > 1 else ''}")
    if kinds["open"]:
        parts.append(f"{kinds['open']:,} could not be decided")
    return f"{'; '.join(parts)}."


def _settled(case: Case, backends: int) -> str:
    """What became of a problem on which nobody is wrong: right by all or some, declined by all, or open."""
    right = sum(cell.status in TIMED_STATUSES for cell in case.cells.values())
    if right:
        return "all" if right == backends else "some"
    return "declined" if all(cell.status is Status.UNSUPPORTED for cell in case.cells.values()) else "open"


def bits_lines(findings: Findings) -> Iterator[Line]:
    """The fewest effective bits of each backend, a sentence for each dtype."""
    found: dict[str, list[tuple[str, Arithmetic]]] = {}
    for tally in findings.correctness.backends:
        for item in tally.arithmetic:
            if item.effective_bits is not None:
                found.setdefault(item.dtype, []).append((tally.backend, item))
    for dtype, items in found.items():
        bits = ", ".join(f"{backend} {bits_text(item.effective_bits, item)}" for backend, item in items)
        narrow = [backend for backend, item in items if item.likeness is not None]
        whole = f" (of {SIGNIFICAND_BITS[dtype]})" if dtype in SIGNIFICAND_BITS else ""
        judged = f"all but {names_text(narrow)} compute as labelled" if narrow else "computed as labelled"
        yield Line(kind=LineKind.BITS, text=f"Fewest effective bits in {dtype}{whole}: {bits}; {judged}.")
