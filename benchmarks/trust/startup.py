"""Claim: `python -m harness --help` answers in under 0.3 s, `list suites` and `list backends` in under 0.5 s.

Method: the median of 11 starts, each a fresh process, after one that fills the disk cache; the commands take turns.
Takes under half a minute.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.trust import script
from benchmarks.trust.command_line import wall_of
from benchmarks.trust.outcome import Outcome
from harness.stats import median

_LIMITS_S = {("--help",): 0.3, ("list", "suites"): 0.5, ("list", "backends"): 0.5}


def measure(options: argparse.Namespace) -> Outcome:
    """Start each command over and over."""
    starts = 3 if options.quick else options.starts
    walls_s: dict[tuple[str, ...], list[float]] = {command: [] for command in _LIMITS_S}
    for number in range(starts + 1):
        for command, walls in walls_s.items():
            wall_s = wall_of([sys.executable, "-m", "harness", *command], limit_s=60)
            if number:
                walls.append(wall_s)
    return Outcome(
        name="startup",
        claim="`--help` answers in under 0.3 s, `list suites` and `list backends` in under 0.5 s.",
        holds=all(median(walls_s[command]) < limit_s for command, limit_s in _LIMITS_S.items()),
        columns=("command", "median", "least", "most", "limit"),
        rows=tuple(
            (
                f"python -m harness {' '.join(command)}",
                *(f"{value(walls_s[command]):.3f} s" for value in (median, min, max)),
                f"{limit_s} s",
            )
            for command, limit_s in _LIMITS_S.items()
        ),
        notes=(f"{starts} starts each, every one a fresh process",),
        numbers={"walls_s": {" ".join(command): walls for command, walls in walls_s.items()}},
    )


def options(parser: argparse.ArgumentParser) -> None:
    """How often."""
    parser.add_argument("--starts", type=int, default=11, metavar="N", help="of each command [11]")


if __name__ == "__main__":
    sys.exit(script.main("startup", __doc__, measure, options))
