"""Claim: a backend whose calls last exactly 0.2, 2 or 20 ms is reported within 1 %, also beside a busy neighbour.

Method: the backend waits on the process's clock until its call has lasted exactly so long, and answers rightly. The
three are measured in one run on one thread, several times with other seeds, without and with busy neighbours; the
reported time is the cell's median. The worst of all runs counts. Takes about two minutes.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.trust import controlled_backends, measured, script
from benchmarks.trust.neighbour import Manner, neighbours
from benchmarks.trust.outcome import Outcome
from harness.stats import median

_DURATIONS_US = (200, 2_000, 20_000)
_MOST_OFF = 0.01
_BUDGET_S = 12.0


def measure(options: argparse.Namespace) -> Outcome:
    """Measure each duration in each surrounding."""
    tries = 1 if options.quick else options.tries
    budget_s = 4.0 if options.quick else _BUDGET_S
    specs = {microseconds: controlled_backends.lasts(microseconds) for microseconds in _DURATIONS_US}
    rows, numbers, worst, lost = [], [], 0.0, 0
    for manner in (Manner.STEADY,) if options.quick else map(Manner, options.neighbours):
        medians_us: dict[int, list[float]] = {microseconds: [] for microseconds in _DURATIONS_US}
        with neighbours(manner, limit_s=60 + tries * (60 + budget_s)):
            for seed in range(tries):
                script.progress(f"{manner.words}, run {seed + 1} of {tries}")
                cells = measured.cells_of(
                    [controlled_backends.TINY], list(specs.values()), seed=seed, budget_s=budget_s
                )
                lost += len(measured.failures(cells))
                for microseconds, spec in specs.items():
                    medians_us[microseconds] += [
                        median(cell.samples_ns) / 1000 for cell in cells if cell.key.backend == spec and cell.samples_ns
                    ]
        for microseconds, found in medians_us.items():
            off = [value / microseconds - 1 for value in found]
            worst = max([worst, *map(abs, off)])
            numbers.append({"manner": manner.value, "microseconds": microseconds, "medians_us": found})
            rows.append(
                (
                    manner.words,
                    f"{microseconds / 1000:g} ms",
                    f"{median(found) / 1000:.4f} ms" if found else "",
                    f"{min(off):+.2%} to {max(off):+.2%}" if off else "not measured",
                )
            )
    return Outcome(
        name="known_duration",
        claim="A backend whose calls last exactly 0.2, 2 or 20 ms is reported within 1 %.",
        holds=lost == 0 and worst <= _MOST_OFF,
        columns=("surroundings", "true", "reported (median of runs)", "off, all runs"),
        rows=tuple(rows),
        notes=(f"{tries} runs each; worst {worst:.2%}; {lost} cells without a time",),
        numbers={"measured": numbers, "worst": worst, "cells_lost": lost},
    )


def options(parser: argparse.ArgumentParser) -> None:
    """How often."""
    parser.add_argument("--tries", type=int, default=5, metavar="N", help="runs in each surrounding [5]")
    script.add_neighbours_option(parser)


if __name__ == "__main__":
    sys.exit(script.main("known_duration", __doc__, measure, options))
