"""Claim: less than 10 % of a run's wall time goes to anything but preparing, checking and timing.

Method: `python -m harness run` in a process of its own, from before its start to after its end. What it spent on
measuring is what its header says of its parts: preparing, checking (with the references that checks need), timing and
the machine's ceilings. The rest is the run's own cost: starting, loading libraries, waiting, writing the report. A run
whose header says nothing is taken apart as far as its cells allow. Takes as long as the run, by default two minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.trust import script
from benchmarks.trust.command_line import TimedRun, timed_run
from benchmarks.trust.outcome import Outcome

_MOST_OWN_SHARE = 0.10
_MEASURING = ("prepare", "reference", "check", "time", "ceilings")
"""Parts of a header's `spent_s` that are the purpose of a run."""
_TOTAL = "total"


def measure(options: argparse.Namespace) -> Outcome:
    """Carry out the run and divide its time."""
    suite, budget_s = ("smoke", 10.0) if options.quick else (options.suite, options.budget)
    with tempfile.TemporaryDirectory() as folder:
        run = timed_run(Path(folder) / "run", ["--suite", suite], budget_s)
    spent_s, source = breakdown_s(run)
    own_s = run.wall_s - sum(spent_s.get(part, 0.0) for part in _MEASURING)
    unnamed_s = run.wall_s - sum(value for part, value in spent_s.items() if part != _TOTAL)
    parts = {part: value for part, value in spent_s.items() if part != _TOTAL} | {"not named": unnamed_s}
    return Outcome(
        name="own_cost",
        claim="Less than 10 % of a run's wall time goes to anything but preparing, checking and timing.",
        holds=own_s < _MOST_OWN_SHARE * run.wall_s,
        columns=("part", "time", "share of the wall", "counts as"),
        rows=(
            *(
                (part, f"{value:.2f} s", f"{value / run.wall_s:.1%}", "measuring" if part in _MEASURING else "own cost")
                for part, value in parts.items()
            ),
            ("all of it", f"{run.wall_s:.2f} s", "100.0%", ""),
            ("own cost", f"{own_s:.2f} s", f"{own_s / run.wall_s:.1%}", ""),
        ),
        notes=(
            f"suite {suite}, budget {budget_s:g} s, {len(run.measurements)} measurements; {source}",
            f"inside timed blocks alone: {in_blocks_s(run):.2f} s, {in_blocks_s(run) / run.wall_s:.1%} of the wall",
        ),
        numbers={"wall_s": run.wall_s, "own_s": own_s, "spent_s": spent_s, "in_blocks_s": in_blocks_s(run)},
    )


def breakdown_s(run: TimedRun) -> tuple[Mapping[str, float], str]:
    """Seconds by what they went to, and where that is from."""
    if run.stored.header.spent_s:
        return run.stored.header.spent_s, "parts as the run's header has them"
    in_cells_s = sum((cell.spent_ns or 0) * 1e-9 for cell in run.measurements)
    prepare_s = sum(((cell.prepare_ns or 0) + (cell.first_call_ns or 0)) * 1e-9 for cell in run.measurements)
    blocks_s = in_blocks_s(run)
    parts = {"prepare": prepare_s, "time": blocks_s, "other steps of cells": in_cells_s - prepare_s - blocks_s}
    return parts, "the header has no parts: taken from the cells, whose other steps are checks, warming up and waiting"


def in_blocks_s(run: TimedRun) -> float:
    """Seconds inside timed blocks, which are what results come from."""
    return sum(sum(cell.samples_ns) * (cell.calls_per_block or 1) * 1e-9 for cell in run.measurements)


def options(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument("--suite", default="default", metavar="NAME", help="what the run measures [default]")
    parser.add_argument("--budget", type=float, default=120.0, metavar="S", help="of the run, in seconds [120]")


if __name__ == "__main__":
    sys.exit(script.main("own_cost", __doc__, measure, options))
