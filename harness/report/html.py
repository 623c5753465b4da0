"""report.html: one file that opens with no network, every value in it escaped."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from harness.report import checked_tables, lifecycle_tables, tables
from harness.report.cases import CaseGroup, slug
from harness.report.failures import failure_cards
from harness.report.gaps import gaps
from harness.report.lines import LineKind
from harness.report.numbers import number_table
from harness.report.peak import ceiling_tables
from harness.report.sentences import coverage_text, verdict_lines
from harness.report.start_tables import start_tables
from harness.report.trust import spent_rows, trust_rows
from harness.report.wording import machine_rows, machine_text
from harness.units import MISSING, bytes_text, digits

if TYPE_CHECKING:
    from harness.report.canvas import Plot
    from harness.report.findings import Findings, GroupFindings
    from harness.report.plots import PlotSet

TEMPLATES = Path(__file__).parent / "templates"

_SECTIONS = (
    ("verdict", "Verdict"),
    ("failures", "What is wrong"),
    ("reading", "How to read this"),
    ("winners", "Winners"),
    ("groups", "Results by group"),
    ("networks", "Network totals"),
    ("trust", "How far to trust it"),
    ("ceilings", "Ceilings of the machine"),
    ("correctness", "Correctness"),
    ("lifecycle", "When it pays off"),
    ("pictures", "Pictures"),
    ("holes", "What is missing"),
    ("numbers", "Every number"),
    ("machine", "Machine and run"),
)
_ALWAYS = ("verdict", "numbers", "machine")


def html_report(findings: Findings, plots: PlotSet, pictures: Sequence[Plot] = ()) -> str:
    """The page.

    Args:
        findings: What the run says.
        plots: Embedded as images, so that their text cannot act on the page.
        pictures: Edge pictures, likewise.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(_page(findings, plots, pictures))


def _page(findings: Findings, plots: PlotSet, pictures: Sequence[Plot]) -> dict[str, object]:
    header = findings.header
    lines = verdict_lines(findings)
    said = {line.about: line.text for line in lines if line.kind is LineKind.WHEN}
    cards = failure_cards(findings)
    holes = tables.hole_rows(findings)
    page: dict[str, object] = {
        "is_timed": header.is_timed,
        "title_suffix": f"{machine_text(header)}, {header.started_utc[:10]}",
        "meta": _meta_text(findings),
        **{kind.value: [line for line in lines if line.kind is kind] for kind in LineKind},
        "any_checked": tables.was_checked(findings.cells),
        "failures": cards,
        "card_of": {card.backend: card.identifier for card in cards},
        "correctness": checked_tables.correctness_tables(findings),
        "reasons": () if holes else checked_tables.reason_rows(findings),
        "accuracy_plots": [_embedded(plot) for plot in plots.accuracy],
        "reading": header.is_timed,
        "noise_floor": f"{digits(100 * findings.noise_floor, 2)} %" if findings.noise_floor else "",
        "backends": findings.backends,
        "winners": tables.wins_rows(findings),
        "coverage": f"Last row: {coverage_text(findings.overall)}",
        "groups": header.is_timed and _groups(findings, plots, said),
        "networks": tables.network_tables(findings),
        "ceilings": ceiling_tables(findings.header.ceilings),
        "roofs": [_embedded(plot) for plot in plots.roofs],
        "trust": trust_rows(findings),
        "spent": spent_rows(header),
        "twin_plots": [_embedded(plot) for plot in plots.twins],
        **_lifecycle(findings),
        "pictures": [_embedded(plot) for plot in pictures],
        "holes": holes,
        "gaps": gaps(findings) if header.is_timed else (),
        "numbers": number_table(findings),
        "command": shlex.join(header.command),
        "warnings": header.warnings,
        "facts": _facts(findings),
    }
    filled = {key for key, _ in _SECTIONS if key in _ALWAYS or page[key]} | ({"holes"} if page["gaps"] else set())
    page["contents"] = [(key, name) for key, name in _SECTIONS if key in filled]
    return page


def _lifecycle(findings: Findings) -> dict[str, object]:
    cheapest = {
        found.group.title: lifecycle_tables.cheapest_rows(found, findings.noise_floor) for found in findings.groups
    }
    return {
        "lifecycle": lifecycle_tables.lifecycle_rows(findings),
        "starts": start_tables(findings),
        "call_counts": lifecycle_tables.CALL_HEADINGS,
        "cheapest": lifecycle_tables.cheapest_counts(
            (row for rows in cheapest.values() for row in rows), findings.backends
        ),
        "pay_offs": [
            {
                "title": found.group.title,
                "backends": found.group.backends,
                "rows": lifecycle_tables.pay_off_rows(found),
                "cheapest": cheapest[found.group.title],
            }
            for found in findings.groups
            if cheapest[found.group.title]
        ],
    }


def _meta_text(findings: Findings) -> str:
    header = findings.header
    backends = f"{len(findings.backends)} backend{'s' if len(findings.backends) != 1 else ''}"
    parts = [
        machine_text(header),
        header.started_utc,
        f"commit {header.commit}" if header.commit else "",
        f"seed {header.seed}",
        f"{backends}, {len(findings.verdicts):,} cases, {len(findings.cells):,} cells",
    ]
    return " · ".join(part for part in parts if part)


def _groups(findings: Findings, plots: PlotSet, said: Mapping[str, str]) -> list[dict[str, object]]:
    ids = _unique_ids([found.group for found in findings.groups])
    return [_group(found, plots, said, ids[found.group.title]) for found in findings.groups]


def _group(found: GroupFindings, plots: PlotSet, said: Mapping[str, str], identifier: str) -> dict[str, object]:
    title = found.group.title
    abouts = [item.sweep.title for item in found.sweeps] or [title]
    first = [*plots.sweeps.get(title, ()), *_one(plots.rates, title)]
    more = [*_one(plots.ratios, title), *_one(plots.speedups, title)]
    return {
        "id": identifier,
        "title": title,
        "lines": [said[about] if about == title else f"{about}: {said[about]}" for about in abouts if about in said],
        "plots": [_embedded(plot) for plot in first],
        "more_plots": [_embedded(plot) for plot in more],
        "backends": found.group.backends,
        "rows": tables.case_rows(found),
        "coverage": coverage_text(found.verdict),
    }


def _one(plots: Mapping[str, Plot], title: str) -> tuple[Plot, ...]:
    return (plots[title],) if title in plots else ()


def _unique_ids(groups: Sequence[CaseGroup]) -> dict[str, str]:
    return {group.title: f"group-{place}-{slug(group.title)}" for place, group in enumerate(groups, 1)}


def _embedded(plot: Plot) -> dict[str, object]:
    """A plot as an image with its own document: ids do not clash, and nothing in it can run."""
    encoded = base64.b64encode(plot.svg.encode()).decode()
    return {"uri": f"data:image/svg+xml;base64,{encoded}", "alt": plot.alt, "height": _height(plot.svg)}


def _height(svg: str) -> int:
    """The height that goes with the 900 pixels of width that the page reserves."""
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    return round(900 * float(size.group(2)) / float(size.group(1))) if size else 500


def _facts(findings: Findings) -> list[tuple[str, str]]:
    header = findings.header
    rows = [
        ("started (UTC)", header.started_utc),
        ("commit", header.commit or MISSING),
        ("threads asked for", str(header.threads)),
        ("seed", str(header.seed)),
        ("time budget", MISSING if header.budget_s is None else f"{header.budget_s:g} s"),
        ("limit a case", f"{header.case_timeout_s:g} s"),
        ("memory limit", bytes_text(header.memory_limit_bytes)),
        ("suites", ", ".join(header.suites) or MISSING),
        ("backends asked for", ", ".join(header.backends) or MISSING),
    ]
    if header.probes:
        rows.append(("probes asked for", ", ".join(header.probes)))
    return rows + machine_rows(header)
