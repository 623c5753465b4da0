"""How the outcome of checks reads, the same in the terminal, in HTML and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import Status
from harness.report.accuracy import SIGNIFICAND_BITS
from harness.report.correctness import KEPT_PROBES, Arithmetic, BackendTally, ProbeTally, Slack
from harness.report.wording import count_text, problem_name
from harness.units import MISSING, digits

if TYPE_CHECKING:
    from harness.report.gist import Gist

EXCUSED = "†"
"""After a number, or in place of one: on some problem an error beyond its bound passed, and a note says why."""
_LARGEST_BELOW = 0.99
_LEAST_SHARE = 0.001

# Of cells, in the order of a table; "right" is said of those that passed.
STATUS_WORDS = {
    Status.UNSUPPORTED: "declined",
    Status.MISTRUSTED: "mistrusted",
    Status.SKIPPED: "skipped",
    Status.TIMEOUT: "timed out",
    Status.OUT_OF_MEMORY: "out of memory",
    Status.CRASHED: "crashed",
}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One probe of one backend in a table."""

    text: str
    """A share of the bound, ✓, or ✗ with the number of problems."""
    state: str
    """kept, wrong or none: a class for styling."""
    hint: str
    """On how many problems, and which was worst."""


def mark_of(name: str, tally: ProbeTally | None) -> Mark:
    """What a table says of a probe; None is one that was not made."""
    if tally is None:
        return Mark(text=MISSING, state="none", hint="not examined")
    if tally.failed:
        return Mark(text=f"✗ {tally.failed:,}", state="wrong", hint=f"broken on {tally.failed:,} of {tally.made:,}")
    excused = EXCUSED if tally.excused else ""
    if name in KEPT_PROBES or (tally.worst is None and not excused):
        return Mark(text=f"✓{excused}", state="kept", hint=f"kept on {tally.made:,}")
    if tally.worst is None:
        return Mark(text=excused, state="kept", hint=f"kept on {tally.made:,}, as a note says")
    hint = f"worst of {tally.made:,}: {problem_name(tally.worst.cell)}"
    return Mark(text=f"{share_text(tally.worst.share)}{excused}", state="kept", hint=hint)


def share_text(share: float) -> str:
    """An error over its bound: "0.63". What is below the bound is never rounded up to it."""
    if 0 < share < _LEAST_SHARE:
        return f"<{_LEAST_SHARE:g}"
    return f"{min(share, _LARGEST_BELOW):.2f}" if _LARGEST_BELOW < share < 1 else digits(share, 2)


def closest_text(slack: Slack | None) -> str:
    """The problem that came closest to its bound: "0.63 (uniform) on ic3ih9oc3kh3"."""
    return MISSING if slack is None else f"{share_text(slack.share)} ({slack.probe}) on {problem_name(slack.cell)}"


def bits_text(bits: float | None, arithmetic: Arithmetic) -> str:
    """Significand bits; "all" where no result has an error to tell them by."""
    if bits is None:
        return "all" if arithmetic.problems else MISSING
    return f"{bits:.1f}"


def of_bits_text(arithmetic: Arithmetic) -> str:
    """Effective bits beside what the dtype has: "22.1 of 24"."""
    least = bits_text(arithmetic.effective_bits, arithmetic)
    whole = SIGNIFICAND_BITS.get(arithmetic.dtype)
    return least if whole is None or arithmetic.effective_bits is None else f"{least} of {whole}"


def likeness_text(arithmetic: Arithmetic) -> str:
    """Whether the arithmetic is that of the label, in plain words."""
    if arithmetic.likeness is None:
        return "as labelled" if arithmetic.problems else MISSING
    return f"{arithmetic.likeness} ({arithmetic.narrow:,} of {count_text(arithmetic.problems, 'problem')})"


def said_of_text(gist: Gist) -> str:
    """Whom a gist is about, with how many problems: "fft on 96 problems, torch on 3"."""
    parts = [f"{backend} on {count:,}" for backend, count in gist.said_of.items()]
    first = count_text(next(iter(gist.said_of.values())), "problem")
    return ", ".join([f"{next(iter(gist.said_of))} on {first}", *parts[1:]])


def counts_of(tally: BackendTally) -> dict[str, int]:
    """Problems by what became of them: right and wrong always, the others where there are any."""
    return {"right": tally.right, "wrong": tally.wrong, **open_counts(tally.statuses)}


def count_words(tallies: Iterable[BackendTally]) -> tuple[str, ...]:
    """Every word that these have a count for, in the order of a table."""
    used = {words for tally in tallies for words in counts_of(tally)}
    return tuple(words for words in ("right", "wrong", *STATUS_WORDS.values()) if words in used)


def open_counts(statuses: Mapping[Status, int]) -> dict[str, int]:
    """Cells that are neither right nor wrong, by the word for it."""
    return {words: count for status, words in STATUS_WORDS.items() if (count := statuses.get(status, 0))}
