"""The rules by which other tools, or a reader of their output, call two sets of samples different.

Each rule is written down here from its description; none is weakened. Where a tool needs samples of equal number and
gives up otherwise (pyperf), the general form of its test is used, which is kinder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats as scipy_stats

from harness.stats import median

Samples = Sequence[float]
Rule = Callable[[Samples, Samples], bool]

# asv compares at this level (`asv compare`, "statistically significant") and above this factor (`--factor`).
_ASV_P = 0.002
_ASV_FACTOR = 1.1
# Criterion.rs: its noise threshold, confidence level, and a number of resamples that is steady to two digits.
_CRITERION_NOISE = 0.01
_RESAMPLES = 2000


def minima_differ(a: Samples, b: Samples) -> bool:
    """The best time of each, more than 1 % apart: what a loop that prints `min(times)` leads to."""
    return _is_apart(min(a), min(b), 1.01)


def means_differ(a: Samples, b: Samples) -> bool:
    """Hyperfine's "1.05 ± 0.02 times faster", read as it stands: the ratio of means is further from 1 than its ±.

    The ± is the ratio's standard deviation by propagation of errors from those of the samples.
    """
    ratio = float(np.mean(a) / np.mean(b))
    deviation = ratio * math.hypot(np.std(a, ddof=1) / np.mean(a), np.std(b, ddof=1) / np.mean(b))
    return abs(ratio - 1) > deviation


def student_differs(a: Samples, b: Samples) -> bool:
    """pyperf's `compare_to`: Student's two-sample, two-tailed t test with pooled variance at 95 %."""
    pooled = (np.var(a, ddof=1) * (len(a) - 1) + np.var(b, ddof=1) * (len(b) - 1)) / (len(a) + len(b) - 2)
    error = math.sqrt(pooled * (1 / len(a) + 1 / len(b)))
    if error == 0:
        return float(np.mean(a)) != float(np.mean(b))
    score = abs(float(np.mean(a) - np.mean(b))) / error
    return score >= float(scipy_stats.t.ppf(0.975, len(a) + len(b) - 2))


def asv_differs(a: Samples, b: Samples) -> bool:
    """asv's test alone: Mann-Whitney U with p < 0.002, which takes seven samples on each side.

    Of fewer, asv compares intervals that rest on a prior; none is called different here.
    """
    return _mann_whitney_p(a, b) < _ASV_P


def asv_compare_differs(a: Samples, b: Samples) -> bool:
    """`asv compare` as it comes: its test, and medians at least a factor of 1.1 apart."""
    return _is_apart(median(a), median(b), _ASV_FACTOR) and asv_differs(a, b)


def mann_whitney_differs(a: Samples, b: Samples) -> bool:
    """Google Benchmark's `compare.py`: Mann-Whitney U with p < 0.05."""
    return _mann_whitney_p(a, b) < 0.05


def criterion_differs(a: Samples, b: Samples) -> bool:
    """Criterion.rs: the bootstrapped 95 % interval of the change of the mean lies outside ±1 %."""
    draw = np.random.default_rng(0)
    ours, theirs = np.asarray(a), np.asarray(b)
    first = draw.choice(ours, (_RESAMPLES, len(ours))).mean(axis=1)
    second = draw.choice(theirs, (_RESAMPLES, len(theirs))).mean(axis=1)
    low, high = np.quantile(second / first - 1, (0.025, 0.975))
    return bool(low > _CRITERION_NOISE or high < -_CRITERION_NOISE)


RULES: dict[str, Rule] = {
    "the better minimum, by over 1 %": minima_differ,
    "hyperfine: mean ± σ": means_differ,
    "pyperf: Student's t, 95 %": student_differs,
    "Google Benchmark: Mann-Whitney, 5 %": mann_whitney_differs,
    "asv: Mann-Whitney, 0.2 %": asv_differs,
    "asv compare: the same, and a factor of 1.1": asv_compare_differs,
    "Criterion.rs: bootstrap, and ±1 %": criterion_differs,
}
"""By the words of a table."""


def verdicts(a: Samples, b: Samples) -> dict[str, bool]:
    """What each rule says; with fewer than two samples on a side, none can call a difference."""
    if min(len(a), len(b)) < 2:
        return dict.fromkeys(RULES, False)
    return {words: rule(a, b) for words, rule in RULES.items()}


def _is_apart(a: float, b: float, factor: float) -> bool:
    return max(a, b) > factor * min(a, b)


def _mann_whitney_p(a: Samples, b: Samples) -> float:
    return float(scipy_stats.mannwhitneyu(a, b, alternative="two-sided").pvalue)
