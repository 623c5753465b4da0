"""What every backend promises, as a list of named checks that anyone runs on their own backend.

    from harness.conformance import conformance_tests

    test_tiled = conformance_tests("mypackage.kernels:Tiled")

makes a pytest test with a case for each check and dtype. It runs in pytest's own process, where breakpoints work; a
backend that may crash or hang is safer under `python -m harness check --suite conformance --backend ...`, which puts
it through the same problems in a process of its own.

Source of the idea: scikit-learn's `parametrize_with_checks`, a contract as checks that are run on anyone's class.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import backends
from backends import ConvBackend, ConvProblem
from harness import examination
from harness.examination import Samples
from harness.explanation import explain
from harness.failure_text import explanation_lines
from harness.probes import PROMISES
from harness.records import Status
from harness.workloads import load_suite

SUITE = "conformance"
_SHRINK_LIMIT_S = 10.0
_RIGHT_SUMS = ("exact", "one-hot")
# A family of problems is examined on integers and on a single 1, unless it is there for another kind of data.
_FAMILY_PROBES = {
    "long sums": ("exact", "normal", "uniform"),
    "more than one tile": ("exact", "normal", "repeat"),
    "features meet": ("exact", "one-hot", "nan"),
}
# What does not depend on a shape is examined on these families, which among them have every feature.
_ON_MANY = (
    "each axis has its own stride",
    "each axis has its own dilation",
    "padding has two ends",
    "groups are separate",
    "bias is added once",
    "sizes of one",
)
_DATA_CHECKS = {
    "arithmetic is of the labelled type": ("normal", (*_ON_MANY, "long sums", "more than one tile")),
    "accumulator is of the labelled type": ("uniform", ("long sums", "more than one tile")),
    "faint values survive bright ones": ("wide range", _ON_MANY),
    "denormals are computed": ("denormal", _ON_MANY),
    "nan stays where it is read": ("nan", _ON_MANY),
    "infinity stays where it is read": ("infinity", _ON_MANY),
    "inputs are left alone": ("inputs", (*_ON_MANY, "more than one tile")),
    "views are read as they are": ("layouts", (*_ON_MANY, "padding is zero", "every column is written")),
    "same input same answer": ("repeat", ("more than one tile", "bias is added once")),
    "outputs last until the next call": ("outputs", (*_ON_MANY, "more than one tile")),
}
_DECLINES = "declining gives a reason"
_FORM = "output has its form"


@dataclass(frozen=True, kw_only=True)
class ConformanceCheck:
    """A promise with a name, and the problems on which it is put to the test."""

    name: str
    promise: str
    probes: tuple[str, ...]
    problems: tuple[ConvProblem, ...]


@dataclass(frozen=True, kw_only=True)
class ConformanceResult:
    """How a backend fared in one check."""

    failure: str | None
    """What is wrong, explained in several lines; None where nothing is."""
    examined: int
    """Problems put to it; it declined the others."""
    declined: str | None
    """Its reason for declining the last of those, or None."""


@functools.cache
def checks() -> tuple[ConformanceCheck, ...]:
    """Every check, form first, then geometry, then arithmetic, then behaviour."""
    families: dict[str, list[ConvProblem]] = {}
    for case in load_suite(SUITE).cases:
        families.setdefault(case.group, []).append(case.problem)
    every = tuple(problem for family in families.values() for problem in family)
    found = [
        ConformanceCheck(
            name=_DECLINES,
            promise="why_unsupported says None or why not, and never raises",
            probes=(),
            problems=every,
        ),
        ConformanceCheck(
            name=_FORM,
            promise="an output is an array of the problem's shape and dtype, finite where inputs are",
            probes=("exact",),
            problems=tuple(families[_ON_MANY[0]]),
        ),
    ]
    for family, problems in families.items():
        probes = _FAMILY_PROBES.get(family, _RIGHT_SUMS)
        found.append(ConformanceCheck(name=family, promise=_promises(probes), probes=probes, problems=tuple(problems)))
    for name, (probe, used) in _DATA_CHECKS.items():
        problems = [problem for family in used for problem in families[family]]
        found.append(
            ConformanceCheck(name=name, promise=_promises((probe,)), probes=(probe,), problems=tuple(problems))
        )
    return tuple(found)


def run_check(check: ConformanceCheck, backend: ConvBackend, dtype: str, seed: int = 0) -> ConformanceResult:
    """Put a backend to one check; it ends with the first problem that fails.

    Args:
        check: One of `checks()`.
        backend: Anyone's.
        dtype: In which the check's problems are computed.
        seed: Of the data.
    """
    examined, declined = 0, None
    for given in check.problems:
        problem = given.replace(dtype=dtype)
        reason, defect = _declined(backend, problem)
        if defect is not None and not check.probes:
            return ConformanceResult(failure=f"{check.name}: {defect}", examined=examined, declined=declined)
        if reason is not None or defect is not None:
            declined = reason or defect
            continue
        examined += 1
        failure = _failure(check, backend, problem, seed)
        if failure is not None:
            return ConformanceResult(failure=failure, examined=examined, declined=declined)
    return ConformanceResult(failure=None, examined=examined, declined=declined)


def conformance_tests(
    backend: str | ConvBackend | Callable[[], ConvBackend],
    *,
    dtypes: Sequence[str] = ("float32", "float64"),
    known_failures: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Callable[..., None]:
    """A pytest test with one case for each named check and dtype.

    Args:
        backend: A spec such as "mypackage.kernels:Tiled[block=64]", a backend, or what makes one.
        dtypes: In which to check; what the backend declines is skipped with its reason.
        known_failures: Reasons by name of check: these are expected to fail, and reported when they no longer do.
        seed: Of the data.

    Raises:
        ValueError: A known failure names no check.
    """
    import pytest

    known = dict(known_failures or {})
    names = [check.name for check in checks()]
    for name in known:
        if name not in names:
            raise ValueError(f"known_failures: no check is called {name!r}; there are {', '.join(names)}")
    cases = [
        pytest.param(
            check,
            dtype,
            id=f"{check.name.replace(' ', '_')}-{dtype}",
            marks=[pytest.mark.xfail(reason=known[check.name], strict=True)] if check.name in known else [],
        )
        for check in checks()
        for dtype in dtypes
    ]

    @functools.cache
    def subject() -> ConvBackend:
        return backends.get(backend) if isinstance(backend, str) else _made(backend)

    @pytest.mark.parametrize(("check", "dtype"), cases)
    def test_conformance(check: ConformanceCheck, dtype: str) -> None:
        __tracebackhide__ = True
        result = run_check(check, subject(), dtype, seed)
        if result.failure is not None:
            pytest.fail(result.failure, pytrace=False)
        if result.examined == 0:
            pytest.skip(f"declined: {result.declined}")

    return test_conformance


def _made(backend: Any) -> ConvBackend:
    """The backend itself, or the one that a class or function makes."""
    made: ConvBackend = backend() if isinstance(backend, type) or not hasattr(backend, "prepare") else backend
    return made


def _promises(probes: Sequence[str]) -> str:
    return "; ".join(PROMISES[probe] for probe in probes)


def _declined(backend: ConvBackend, problem: ConvProblem) -> tuple[str | None, str | None]:
    """Why the backend declines, or None; and what is wrong with how it does so, or None."""
    try:
        reason: object = backend.why_unsupported(problem)
    except Exception as error:  # whatever foreign code raises is the finding
        return None, f"why_unsupported raised {type(error).__name__}: {error}; on {problem}"
    if reason is not None and not (isinstance(reason, str) and reason.strip()):
        return None, f"why_unsupported returned {reason!r}, expected None or a reason in words; on {problem}"
    return (None, None) if reason is None else (str(reason), None)


def _failure(check: ConformanceCheck, backend: ConvBackend, problem: ConvProblem, seed: int) -> str | None:
    if not check.probes:
        return None
    outcome = examination.examine(backend, problem, check.probes, Samples(problem, seed))
    if outcome.status is not Status.WRONG:
        return None
    failed = next(item for item in outcome.outcomes if not item.passed)
    if check.name == _FORM and failed.outputs_checked:
        return None  # its form is right, and what is in it is for other checks
    lines = [
        f"{check.name}: {failed.detail}",
        f"  promise    {PROMISES[failed.name]}",
        f"  backend    {backend.name}",
        f"  problem    {problem}",
    ]
    found = explain(backend, problem, failed.name, seed, limit_s=_SHRINK_LIMIT_S)
    return "\n".join([*lines, *(explanation_lines(backend.name, found, seed) if found else [])])
