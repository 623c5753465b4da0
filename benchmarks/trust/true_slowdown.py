"""Claim: a backend that does 5 % more work is called slower in at least 95 of 100 tries on one thread.

Method: backends that repeat one convolution 100, 102, 105 and 110 times in a call, so that the true ratio is known
without any clock, and one that repeats it 100 times under another name, in which a difference is a false alarm. Each
try is a problem of a run; the verdict is the report's own, noise floor included. From the same samples it is counted
what other tools' rules would have said. Without and with busy neighbours; about fifteen minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from benchmarks.trust import measured, rival_rules, script
from benchmarks.trust.controlled_backends import repeats
from benchmarks.trust.neighbour import Manner, neighbours
from benchmarks.trust.outcome import Outcome

# Each problem is one try; those that take 10 to 40 us a convolution, so that a call takes 1 to 4 ms.
PROBLEMS = tuple(f"ic{channels}ih{size}oc{channels}kh3ph1" for channels in (1, 2, 3, 4) for size in (6, 8, 10, 12, 14))
_BASE = repeats(100)
_OTHERS = {0: repeats(100, twin=True), 2: repeats(102), 5: repeats(105), 10: repeats(110)}
"""Specs by per cent more work."""
_CLAIMED_PERCENT, _LEAST_FOUND_SHARE = 5, 0.95
_REPORT = "this harness's report"
_SECONDS_A_PROBLEM = 4.0

_Found = Counter[tuple[Manner, int, str]]


def measure(options: argparse.Namespace) -> Outcome:
    """Try, count, and hold against the claim."""
    problems = PROBLEMS[::7] if options.quick else PROBLEMS
    runs = 1 if options.quick else options.runs
    manners = (Manner.STEADY,) if options.quick else tuple(map(Manner, options.neighbours))
    found: _Found = Counter()
    tries: Counter[tuple[Manner, int]] = Counter()
    ratios: dict[str, list[float]] = {}
    lost: list[str] = []
    floors: list[float] = []
    budget_s = _SECONDS_A_PROBLEM * len(problems)
    for manner in manners:
        with neighbours(manner, limit_s=120 + runs * (60 + 2 * budget_s)):
            for seed in range(runs):
                cells = measured.cells_of(
                    problems, [_BASE, *_OTHERS.values()], threads=options.threads, seed=seed, budget_s=budget_s
                )
                lost += measured.failures(cells)
                floors.append(measured.noise_floor(cells))
                for percent, spec in _OTHERS.items():
                    for comparison in measured.comparisons(cells, _BASE, spec):
                        tries[manner, percent] += 1
                        ratios.setdefault(f"{manner.value} {percent}", []).append(comparison.ratio.estimate)
                        found.update(
                            (manner, percent, words) for words in _said_slower(comparison, is_same=not percent)
                        )
                script.progress(
                    f"{manner.words}, run {seed + 1} of {runs}: {found[manner, _CLAIMED_PERCENT, _REPORT]} of"
                    f" {tries[manner, _CLAIMED_PERCENT]} slowdowns of {_CLAIMED_PERCENT} % found"
                )
    return Outcome(
        name="true_slowdown",
        claim=f"A true slowdown of {_CLAIMED_PERCENT} % is found in at least {100 * _LEAST_FOUND_SHARE:g} % of tries.",
        holds=not lost
        and all(
            found[manner, _CLAIMED_PERCENT, _REPORT] >= _LEAST_FOUND_SHARE * tries[manner, _CLAIMED_PERCENT]
            for manner in manners
        ),
        columns=("surroundings", "rule", *("0 % (false alarms)" if not p else f"{p} %" for p in _OTHERS)),
        rows=tuple(
            (manner.words, words, *(f"{found[manner, p, words]} of {tries[manner, p]}" for p in _OTHERS))
            for manner in manners
            for words in (_REPORT, *rival_rules.RULES)
        ),
        notes=(
            f"found, by how much more work is done; {options.threads} thread(s); {len(lost)} cells without a time",
            f"noise floors {min(floors):.1%} to {max(floors):.1%}",
            "all rules see the same interleaved samples; a rule that calls everything different finds every slowdown",
        ),
        numbers={
            "found": [[manner.value, percent, words, n] for (manner, percent, words), n in found.items()],
            "tries": [[manner.value, percent, n] for (manner, percent), n in tries.items()],
            "ratios": ratios,
            "noise_floors": floors,
            "lost": lost,
        },
    )


def _said_slower(comparison: measured.Comparison, *, is_same: bool) -> list[str]:
    """The rules that call the second slower; or, where both do the same work, that call them different."""
    first, second = comparison.first, comparison.second
    report_says = comparison.faster is not None if is_same else comparison.faster == first.key.backend
    said = rival_rules.verdicts(first.samples_ns, second.samples_ns)
    if not is_same and sum(second.samples_ns) * len(first.samples_ns) <= sum(first.samples_ns) * len(second.samples_ns):
        said = dict.fromkeys(said, False)  # a difference the wrong way round finds nothing
    return [words for words, differs in {_REPORT: report_says, **said}.items() if differs]


def options(parser: argparse.ArgumentParser) -> None:
    """How many tries, and where."""
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of 20 tries in each surrounding [5]")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each backend [1]")
    script.add_neighbours_option(parser)


if __name__ == "__main__":
    sys.exit(script.main("true_slowdown", __doc__, measure, options))
