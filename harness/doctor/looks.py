"""Every look at the machine, in order."""

from __future__ import annotations

from harness.doctor import (
    clock,
    competition,
    frequency,
    interruptions,
    libraries,
    memory,
    processors,
    variables,
)
from harness.doctor.findings import Finding, worst_first


def examine() -> list[Finding]:
    """What can be seen in about a second, worst first: enough before a run."""
    looks = (
        clock.look,
        competition.look,
        interruptions.look,
        frequency.look,
        processors.look,
        memory.look,
        variables.look,
        libraries.look,
    )
    return worst_first(finding for look in looks for finding in look())


def examine_thoroughly() -> list[Finding]:
    """Every finding, those for which each backend must be loaded as well, worst first."""
    return worst_first(dict.fromkeys([*examine(), *libraries.look_inside()]))
