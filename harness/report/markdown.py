"""report.md: the same for a pull request, short, with links to the plots."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jinja2

from harness.failure_text import explanation_lines
from harness.report import checked_tables, lifecycle_tables, tables
from harness.report.failures import FailureCard, failure_cards
from harness.report.gaps import gaps
from harness.report.html import TEMPLATES
from harness.report.lines import LineKind
from harness.report.peak import ceiling_tables
from harness.report.sentences import coverage_text, verdict_lines
from harness.report.start_tables import START_HEADINGS, start_tables
from harness.report.trust import spent_rows, trust_rows
from harness.report.wording import machine_text

if TYPE_CHECKING:
    from harness.report.canvas import Plot
    from harness.report.findings import Findings
    from harness.report.plots import PlotSet

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# An underscore inside a word is never emphasis, and names are full of them.
_SPECIAL = re.compile(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w))")


class Verbatim(str):
    """Text for a fenced block, where Markdown has no escapes."""

    __slots__ = ()


def markdown_report(findings: Findings, plots: PlotSet, pictures: Sequence[Plot] = ()) -> str:
    """The page; links are relative to the run's folder."""
    environment = jinja2.Environment(  # noqa: S701 - Markdown, not HTML: `finalize` escapes every value for it
        loader=jinja2.FileSystemLoader(TEMPLATES),
        finalize=escaped,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    lines = verdict_lines(findings)
    header = findings.header
    holes = tables.hole_rows(findings)
    text = environment.get_template("report.md.j2").render(
        meta=" · ".join(
            filter(None, (machine_text(header), header.started_utc, header.commit and f"commit {header.commit}"))
        ),
        **{kind.value: [line for line in lines if line.kind is kind] for kind in LineKind},
        backends=findings.backends,
        winners=tables.wins_rows(findings),
        coverage=f"Last row: {coverage_text(findings.overall)}",
        groups=[
            {
                "title": found.group.title,
                "backends": found.group.backends,
                "rows": tables.case_rows(found),
                "plots": plots.of_group(found.group.title),
            }
            for found in findings.groups
            if header.is_timed
        ],
        networks=tables.network_tables(findings),
        ceilings=ceiling_tables(header.ceilings),
        roofs=plots.roofs,
        trust=trust_rows(findings),
        spent=spent_rows(header),
        twin_plots=plots.twins,
        lifecycle=lifecycle_tables.lifecycle_rows(findings),
        cheapest=lifecycle_tables.cheapest_counts(
            (row for found in findings.groups for row in lifecycle_tables.cheapest_rows(found, findings.noise_floor)),
            findings.backends,
        ),
        call_counts=lifecycle_tables.CALL_HEADINGS,
        starts=start_tables(findings),
        start_headings=START_HEADINGS,
        gaps=gaps(findings) if header.is_timed else (),
        is_timed=header.is_timed,
        cards=[(card, _explained(card, header.seed)) for card in failure_cards(findings)],
        correctness=checked_tables.correctness_tables(findings),
        accuracy_plots=[*plots.accuracy, *pictures],
        holes=holes,
        reasons=() if holes else checked_tables.reason_rows(findings),
        command=Verbatim(_one_line(shlex.join(header.command))),
        seed=header.seed,
        threads=header.threads,
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def escaped(value: object) -> object:
    """The value as Markdown that shows exactly it, in a table cell as well."""
    if isinstance(value, Verbatim):
        return value
    text = "".join(_ENTITIES.get(letter, letter) for letter in _one_line(str(value)))
    return _SPECIAL.sub(r"\\\1", text)


def _explained(card: FailureCard, seed: int) -> Verbatim:
    """The first failing problem of a card in lines of plain text."""
    shown = card.shown[0]
    if shown.explanation is not None:
        lines = explanation_lines(card.backend, shown.explanation, seed)
    else:
        lines = [f"  {shown.problem}", f"  {shown.detail}", f"  {shown.repeat}"]
    # A line of text that came with line breaks could end the block.
    return Verbatim("\n".join(f"  {_one_line(line)}" if "\n" in line else line for line in lines))


def _one_line(text: str) -> str:
    return " ".join(text.split())
