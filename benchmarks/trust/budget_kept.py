"""Claim: a run takes the wall time that `--budget` gives it, within 10 % and the case in flight when it ran out.

Method: `python -m harness run` for suites and budgets, from before each process's start to after its end, report
included. What a case in flight may add is what its cells spent in all: the costliest case of the run. Using less is no
failure, as a run ends when everything is known well enough. Takes the sum of the budgets: about eleven minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.trust import script
from benchmarks.trust.command_line import TimedRun, timed_run
from benchmarks.trust.outcome import Outcome

_SLACK = 0.10


def measure(options: argparse.Namespace) -> Outcome:
    """Carry out each run and hold its wall time against its budget."""
    suites = ("smoke",) if options.quick else options.suites
    budgets_s = (10.0,) if options.quick else options.budgets
    rows, numbers, is_kept = [], [], []
    for suite in suites:
        for budget_s in budgets_s:
            with tempfile.TemporaryDirectory() as folder:
                run = timed_run(Path(folder) / "run", ["--suite", suite], budget_s)
            limit_s = (1 + _SLACK) * budget_s + in_flight_s(run)
            is_kept.append(run.wall_s <= limit_s)
            timed = sum(bool(cell.samples_ns) for cell in run.measurements)
            spent_s = run.stored.header.spent_s
            rows.append(
                (
                    suite,
                    f"{budget_s:g} s",
                    f"{run.wall_s:.1f} s",
                    f"{run.wall_s / budget_s - 1:+.0%}",
                    f"{in_flight_s(run):.1f} s",
                    f"{spent_s['open']:.1f} s, {spent_s['report']:.1f} s" if {"open", "report"} <= set(spent_s) else "",
                    f"{timed} of {len(run.measurements)}",
                    "yes" if is_kept[-1] else "NO",
                )
            )
            numbers.append(
                {"suite": suite, "budget_s": budget_s, "wall_s": run.wall_s, "limit_s": limit_s, "spent_s": spent_s}
            )
            script.progress(", ".join(rows[-1]))
    return Outcome(
        name="budget_kept",
        claim="A run takes the wall time that `--budget` gives it, within 10 % and the case in flight.",
        holds=all(is_kept),
        columns=("suite", "budget", "wall", "off", "costliest case", "opening, report", "timed cells", "kept"),
        rows=tuple(rows),
        notes=("wall: of the whole process, opening of workers and the report included",),
        numbers={"runs": numbers},
    )


def in_flight_s(run: TimedRun) -> float:
    """What the costliest case of a run spent, in seconds."""
    spent_s: defaultdict[tuple[str, str | None], float] = defaultdict(float)
    for cell in run.measurements:
        spent_s[cell.key.problem, cell.key.data] += (cell.spent_ns or 0) * 1e-9
    return max(spent_s.values(), default=0.0)


def options(parser: argparse.ArgumentParser) -> None:
    """Which runs."""
    parser.add_argument(
        "--suites", nargs="+", default=["default", "resnet50", "mobilenet"], metavar="NAME", help="what is measured"
    )
    parser.add_argument(
        "--budgets", nargs="+", type=float, default=[30.0, 60.0, 120.0], metavar="S", help="in seconds [30 60 120]"
    )


if __name__ == "__main__":
    sys.exit(script.main("budget_kept", __doc__, measure, options))
