"""report.md: the same for a pull request, short, with links to the plots."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jinja2

from harness.report import tables
from harness.report.html import TEMPLATES
from harness.report.sentences import LineKind, coverage_text, verdict_lines
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
        ],
        networks=tables.network_tables(findings),
        accuracy=tables.accuracy_rows(findings),
        accuracy_plots=[*plots.accuracy, *pictures],
        holes=tables.hole_rows(findings),
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


def _one_line(text: str) -> str:
    return " ".join(text.split())
