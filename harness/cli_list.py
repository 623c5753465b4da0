"""The commands that only tell: list and doctor."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from backends import registry
from harness import workloads
from harness.cli_console import PlainConsole
from harness.selection import DEFAULT_SUITE
from harness.units import digits

_LEVEL_STYLES = {"ok": "green", "note": "cyan", "warning": "bold yellow"}


def print_backends() -> None:
    """Every registered backend, whether it loads here, and its specs."""
    table = Table("backend", "loads here", box=None, pad_edge=False)
    for name in (*registry.ROWS, *(n for n in registry.names() if n not in registry.ROWS)):
        reason = registry.why_not(name) if name in registry.ROWS else None
        table.add_row(Text(name), Text("yes" if reason is None else f"no: {reason}"))
        if reason is None and name in registry.ROWS:
            for variant in registry.ROWS[name].variants:
                table.add_row(Text(variant), Text("yes"))
    _console().print(table)
    _console().print("\nAnyone's class works too: --backend package.module:Class\\[option=value]", highlight=False)


def print_suites() -> None:
    """Shipped suites with their descriptions."""
    table = Table("suite", "what it holds", box=None, pad_edge=False)
    for name in workloads.suite_names():
        table.add_row(Text(name), Text(workloads.suite_description(name)))
    _console().print(table)
    _console().print("\nA file of your own works too: --suite FILE.toml or FILE.csv", highlight=False)


def print_problems(suites: Sequence[str]) -> None:
    """One line a problem: its descriptor with name, group and multiply-adds; plain text, made for grep."""
    console = _console()
    for name in suites or (DEFAULT_SUITE,):
        for case in workloads.load_suite(name).cases:
            mmacs = digits(case.problem.macs_nominal / 1e6)
            line = f"{case.problem}  # {case.group}, {mmacs} M multiply-adds"
            console.print(Text(line), soft_wrap=True)


def print_findings() -> None:
    """What `doctor` found, worst first."""
    from harness import doctor

    findings = doctor.examine_thoroughly()
    table = Table("", "about", "seen", "what to do", box=None, pad_edge=False)
    for finding in findings:
        level = finding.level.value
        table.add_row(
            Text(level, style=_LEVEL_STYLES[level]), Text(finding.topic), Text(finding.seen), Text(finding.remedy or "")
        )
    console = _console()
    console.print(table)
    count = len(doctor.warnings(findings))
    console.print(
        f"\n{count} warning{'s' * (count != 1)}: figures from this machine need wide intervals to be believed"
        if count
        else "\nNothing here spoils a measurement.",
        highlight=False,
    )


def _console() -> PlainConsole:
    return PlainConsole(soft_wrap=False)
