"""What a check without timing found, for a terminal: a column a backend, a row a probe, what is notable in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.report.checked_words import (
    EXCUSED,
    bits_text,
    closest_text,
    count_words,
    counts_of,
    mark_of,
    said_of_text,
)
from harness.report.correctness import KEPT_PROBES, Correctness
from harness.units import MISSING

if TYPE_CHECKING:
    from harness.report.correctness import BackendTally
    from harness.report.findings import Findings
    from harness.report.gist import Gist

_STYLES = {"wrong": "bold red", "kept": "", "none": "dim"}
_ROW_WIDTH, _COLUMN_MIN, _COLUMN_MAX = 17, 8, 24
# A blank of padding and one in place of a rule.
_GAP = 2
# Beyond this many different notes a reader looks into the report.
_MOST_NOTES = 12


def check_tables(findings: Findings, width: int) -> RenderableType:
    """Counts, slack and bits by backend, as many tables as the width asks for; below, what is worth knowing in words.

    Slack is the largest error over its bound. Promises that are kept or broken have a tick, or a cross with the number
    of problems on which they are broken.
    """
    found = findings.correctness
    parts: list[RenderableType] = [Text("Checked against the reference", style="bold")]
    for tallies in _blocks(found.backends, width):
        parts += [_table(found, tallies), Text()]
    words = Table.grid(padding=(0, 1))
    words.add_column(no_wrap=True, style="dim")
    words.add_column(overflow="fold")
    for label, text in _labelled(found):
        words.add_row(label, text)
    if words.row_count:
        parts += [words, Text()]
    return Group(*parts)


def _blocks(tallies: Sequence[BackendTally], width: int) -> Iterator[list[BackendTally]]:
    """The backends, as many at a time as fit side by side."""
    block: list[BackendTally] = []
    used = _ROW_WIDTH
    for tally in tallies:
        column = _GAP + min(_COLUMN_MAX, max(_COLUMN_MIN, *map(len, _broken(tally.backend))))
        if block and used + column > width:
            yield block
            block, used = [], _ROW_WIDTH
        block.append(tally)
        used += column
    if block:
        yield block


def _table(found: Correctness, tallies: Sequence[BackendTally]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("", min_width=_ROW_WIDTH - _GAP, no_wrap=True)
    for tally in tallies:
        head = Text("\n".join(_broken(tally.backend)), style="bold red" if tally.wrong else "")
        table.add_column(head, justify="right", overflow="fold", min_width=_COLUMN_MIN, max_width=_COLUMN_MAX)
    counts = [counts_of(tally) for tally in tallies]
    for words in count_words(found.backends):
        is_bad = words == "wrong"
        table.add_row(words, *(_number(column.get(words, 0), is_bad=is_bad) for column in counts))
    errors = [name for name in found.probes if name not in KEPT_PROBES]
    kept = [name for name in found.probes if name in KEPT_PROBES]
    for heading, names in (("error ÷ bound", errors), ("promise kept", kept)):
        if names:
            table.add_section()
            table.add_row(Text(heading, style="dim"))
        for name in names:
            marks = [mark_of(name, tally.probes.get(name)) for tally in tallies]
            table.add_row(f"  {name}", *(Text(mark.text, style=_STYLES[mark.state]) for mark in marks))
    _add_bits(table, found, tallies)
    return table


def _add_bits(table: Table, found: Correctness, tallies: Sequence[BackendTally]) -> None:
    dtypes = dict.fromkeys(each.dtype for tally in found.backends for each in tally.arithmetic if each.problems)
    for dtype in dtypes:
        table.add_section()
        table.add_row(Text(f"bits of {dtype}", style="dim"))
        own = [next((each for each in tally.arithmetic if each.dtype == dtype), None) for tally in tallies]
        styles = ["bold red" if each is not None and each.likeness else "" for each in own]
        for name in ("effective", "operand"):
            texts = [MISSING if each is None else bits_text(getattr(each, f"{name}_bits"), each) for each in own]
            row = (Text(text, style=style) for text, style in zip(texts, styles, strict=True))
            table.add_row(f"  {name}", *row)


def _labelled(found: Correctness) -> Iterator[tuple[str, Text]]:
    """What is worth knowing in words, each under a label that is said once."""
    yield from _under(
        "closest", (f"{tally.backend}: {closest_text(tally.closest)}" for tally in found.backends if tally.closest)
    )
    yield from _under("noted", map(_note, found.notes[:_MOST_NOTES]))
    if len(found.notes) > _MOST_NOTES:
        yield "", Text(f"and {len(found.notes) - _MOST_NOTES} other notes, which --out DIR keeps")
    yield from _under("left out", (f"on {gist.count:,}: {gist.text}" for gist in found.left_out))
    if any(probe.excused for tally in found.backends for probe in tally.probes.values()):
        yield EXCUSED, Text("errors beyond the bound that a note explains")


def _under(label: str, texts: Iterable[str]) -> Iterator[tuple[str, Text]]:
    for place, text in enumerate(texts):
        yield label if place == 0 else "", Text(text)


def _note(gist: Gist) -> str:
    return f"{said_of_text(gist)}: {gist.text}"


def _number(count: int, *, is_bad: bool) -> Text:
    return Text(f"{count:,}", style="bold red" if is_bad and count else "" if count else "dim")


def _broken(backend: str) -> list[str]:
    """A spec as lines of a column head."""
    name, _, options = backend.partition("[")
    module, colon, attribute = name.partition(":")
    heads = [f"{module}:", attribute] if colon else [module]
    return [*heads, *(options.rstrip("]").replace("=", "=\n").replace(",", "\n").split("\n") if options else [])]
