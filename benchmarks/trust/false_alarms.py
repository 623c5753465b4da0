"""Claim: of 200 comparisons of a backend with itself, a report calls at most 2 a difference, busy neighbour or not.

Method: 40 small problems are timed by one backend under two names, in several runs with other seeds. The verdict is
the report's own, noise floor included. It is counted what other tools' rules would have said: of the same samples,
which flatters them, and of two runs one after the other, which is how those tools take theirs. Without and with busy
neighbours; about twenty minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.trust import measured, rival_rules, script
from benchmarks.trust.neighbour import Manner, neighbours
from benchmarks.trust.outcome import Outcome
from harness.records import Cell

_FIRST, _SECOND = "im2col", "backends.im2col_gemm:Im2colBackend"
PROBLEMS = tuple(
    f"ic{channels}ih{size}oc{channels}kh{kernel}ph{kernel // 2}"
    for channels in (4, 8, 16, 32)
    for size in (7, 10, 14, 20, 28)
    for kernel in (1, 3)
)
_MOST_FALSE_SHARE = 0.01
_REPORT = "this harness's report"
_SECONDS_A_PROBLEM = 1.5


def measure(options: argparse.Namespace) -> Outcome:
    """Compare, count, and hold against the claim."""
    problems = PROBLEMS[::8] if options.quick else PROBLEMS
    runs = 1 if options.quick else options.runs
    manners = (Manner.STEADY,) if options.quick else tuple(map(Manner, options.neighbours))
    counts: dict[Manner, Counter[str]] = {}
    compared: dict[Manner, int] = {}
    lost: list[str] = []
    alarms, floors = [], []
    budget_s = _SECONDS_A_PROBLEM * len(problems)
    for manner in manners:
        counts[manner], compared[manner] = Counter(), 0
        with neighbours(manner, limit_s=120 + runs * (180 + 4 * budget_s)):
            for seed in range(runs):
                cells = measured.cells_of(
                    problems, [_FIRST, _SECOND], threads=options.threads, seed=seed, budget_s=budget_s
                )
                lost += measured.failures(cells)
                floors.append(measured.noise_floor(cells))
                for comparison in measured.comparisons(cells, _FIRST, _SECOND):
                    compared[manner] += 1
                    counts[manner].update(_false_alarms(comparison))
                    if comparison.faster is not None:
                        alarms.append(_alarm(comparison, manner, seed))
                for name, differs in _said_of_separate_runs(problems, options.threads, seed, budget_s / 2):
                    counts[manner][name] += differs
                script.progress(
                    f"{manner.words}, run {seed + 1} of {runs}: {counts[manner][_REPORT]} false of {compared[manner]}"
                )
    return Outcome(
        name="false_alarms",
        claim=f"Of {max(compared.values())} comparisons of a backend with itself, at most "
        f"{100 * _MOST_FALSE_SHARE:g} % are called a difference, also beside a busy neighbour.",
        holds=not lost and all(counts[manner][_REPORT] <= _MOST_FALSE_SHARE * compared[manner] for manner in manners),
        columns=("rule", *(manner.words for manner in manners)),
        rows=tuple(
            (words, *(f"{counts[manner][words]} of {compared[manner]}" for manner in manners))
            for words in (_REPORT, *rival_rules.RULES, *map(_apart, rival_rules.RULES))
        ),
        notes=(
            f"false alarms; {options.threads} thread(s); {len(lost)} cells without a time",
            f"noise floors {min(floors):.1%} to {max(floors):.1%}",
            "all rules see the same interleaved samples, but where it says that one run came after the other",
        ),
        numbers={
            "counts": {manner.value: dict(counts[manner]) for manner in manners},
            "compared": {manner.value: compared[manner] for manner in manners},
            "alarms": alarms,
            "noise_floors": floors,
            "lost": lost,
        },
    )


def _false_alarms(comparison: measured.Comparison) -> list[str]:
    """The rules that call the two different."""
    said = rival_rules.verdicts(comparison.first.samples_ns, comparison.second.samples_ns)
    return [words for words, differs in {_REPORT: comparison.faster is not None, **said}.items() if differs]


def _said_of_separate_runs(
    problems: Sequence[str], threads: int, seed: int, budget_s: float
) -> Iterator[tuple[str, bool]]:
    """What each rule says where one backend is timed on all problems, and then the other."""
    first, second = (
        {cell.key.problem: cell.samples_ns for cell in cells}
        for cells in (
            measured.cells_of(problems, [backend], threads=threads, seed=seed, budget_s=budget_s)
            for backend in (_FIRST, _SECOND)
        )
    )
    for problem, samples_ns in first.items():
        for words, differs in rival_rules.verdicts(samples_ns, second[problem]).items():
            yield _apart(words), differs


def _apart(words: str) -> str:
    return f"{words}; one run after the other"


def _alarm(comparison: measured.Comparison, manner: Manner, seed: int) -> dict[str, object]:
    return {
        "manner": manner.value,
        "seed": seed,
        "problem": comparison.problem,
        "ratio": (comparison.ratio.low, comparison.ratio.estimate, comparison.ratio.high),
        "samples_ns": _times(comparison.first, comparison.second),
    }


def _times(*cells: Cell) -> list[tuple[float, ...]]:
    return [cell.samples_ns for cell in cells]


def options(parser: argparse.ArgumentParser) -> None:
    """How many comparisons, and where."""
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of 40 problems in each surrounding [5]")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each backend [1]")
    script.add_neighbours_option(parser)


if __name__ == "__main__":
    sys.exit(script.main("false_alarms", __doc__, measure, options))
