"""A sample of cases in which every kind of problem occurs: stratified, seeded, and cheaper than a plain one.

A case's properties (how many axes, grouped or not, strided, padded how, how large ...) put it into strata: one for each
value of a property, one for each pair of values, and one for all of its values together. Most faults show with one or
two properties and few need more (Kuhn, Wallace & Gallo, "Software Fault Interactions", 2004), so a small sample covers
single values and pairs first.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence

from backends import ConvProblem
from backends.geometry import kernel_extent
from harness.cases import Case

Value = tuple[str, object]
"""A property's name and its value."""


def sample(cases: Sequence[Case], n: int, seed: int) -> tuple[Case, ...]:
    """At most n of the cases, in their order: each stratum once as far as n goes, rarest first, then in proportion.

    Within a stratum cases are drawn with a probability that falls with the root of their multiply-adds, so that large
    ones do not take most of the time and still occur.

    Args:
        cases: What to draw from.
        n: How many, 1 or more.
        seed: Others are drawn with another.
    """
    if n >= len(cases):
        return tuple(cases)
    values = [properties(case) for case in cases]
    queue = _drawn_order(cases, random.Random(seed))
    chosen: set[int] = set()
    for level in (1, 2, len(values[0])):
        _cover(level, values, queue, n, chosen)
    _fill_up(values, queue, n, chosen)
    return tuple(cases[i] for i in sorted(chosen))


def properties(case: Case) -> tuple[Value, ...]:
    """What kind of problem a case is, one value a property."""
    problem = case.problem
    extents = [kernel_extent(k, d) for k, d in zip(problem.kernel, problem.dilation, strict=True)]
    return (
        # Before the colon stands whose shapes they are, after it which of their files.
        ("source", (case.suite, case.group.partition(":")[0])),
        ("axes", problem.ndim),
        ("data", case.data),
        ("channels", _channels(problem)),
        ("strided", max(problem.stride) > 1),
        ("dilated", max(problem.dilation) > 1),
        ("padding", _padding(problem, extents)),
        ("kernel beyond input", any(e > size for e, size in zip(extents, problem.spatial, strict=True))),
        ("pointwise", max(problem.kernel) == 1),
        ("axis of size 1", 1 in problem.spatial),
        ("magnitude", len(str(problem.macs_nominal))),
    )


def _channels(problem: ConvProblem) -> str:
    if problem.groups == 1:
        return "dense"
    if problem.groups < problem.C_in:
        return "grouped"
    return "depthwise" if problem.C_out == problem.C_in else "multiplier"


def _padding(problem: ConvProblem, extents: Sequence[int]) -> str:
    if not any(itertools.chain(*problem.padding)):
        return "none"
    if any(max(pair) >= extent for pair, extent in zip(problem.padding, extents, strict=True)):
        return "larger than kernel"
    return "asymmetric" if any(begin != end for begin, end in problem.padding) else "symmetric"


def _drawn_order(cases: Sequence[Case], generator: random.Random) -> list[int]:
    """Indices as they would be drawn one by one with weights 1 / sqrt(multiply-adds).

    Sorted by exponential variables with these rates, the order is that of weighted draws without replacement.
    Source: Efraimidis & Spirakis, "Weighted random sampling with a reservoir" (2006).
    """
    when = [generator.expovariate(1.0) * math.sqrt(case.problem.macs_nominal) for case in cases]
    return sorted(range(len(cases)), key=when.__getitem__)


def _cover(level: int, values: Sequence[tuple[Value, ...]], queue: Sequence[int], n: int, chosen: set[int]) -> None:
    """Choose a case for each combination of so many values that has none yet, rarest first."""
    members: dict[tuple[Value, ...], list[int]] = {}
    for i in queue:
        for stratum in itertools.combinations(values[i], level):
            members.setdefault(stratum, []).append(i)
    covered = {stratum for i in chosen for stratum in itertools.combinations(values[i], level)}
    for stratum in sorted(members, key=lambda stratum: (len(members[stratum]), repr(stratum))):
        if len(chosen) == n:
            return
        if stratum not in covered:
            first = members[stratum][0]
            chosen.add(first)
            covered.update(itertools.combinations(values[first], level))


def _fill_up(values: Sequence[tuple[Value, ...]], queue: Sequence[int], n: int, chosen: set[int]) -> None:
    """Choose the rest from the full combinations, each in proportion to the cases that it has left."""
    left: dict[tuple[Value, ...], list[int]] = {}
    for i in queue:
        if i not in chosen:
            left.setdefault(values[i], []).append(i)
    wanted, total = n - len(chosen), sum(map(len, left.values()))
    shares = {stratum: wanted * len(members) / total for stratum, members in left.items()}
    quotas = Counter({stratum: math.floor(share) for stratum, share in shares.items()})
    largest_remainders = sorted(shares, key=lambda stratum: (quotas[stratum] - shares[stratum], repr(stratum)))
    quotas.update(largest_remainders[: wanted - quotas.total()])
    for stratum, quota in quotas.items():
        chosen.update(left[stratum][:quota])
