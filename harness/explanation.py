"""Explains a failure: the smallest problem that shows it, what its wrong outputs have in common, and its numbers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from backends import Array, ConvBackend, ConvProblem
from harness import examination, reference, shrinking
from harness.diagnosis import diagnose
from harness.diagnosis.wrong_result import beside_truth
from harness.examination import Sample, Samples
from harness.probes import CALLING_PROBES
from harness.records import Excerpt, Explanation, Number, ProbeOutcome

# Arrays of more numbers than this are not read by anyone.
_MOST_SHOWN = 64
# To how many bits arithmetic rounds is a matter of chance for a single output.
_LEAST_OUTPUTS = 12
# Beyond this many multiply-adds the many mistakes that a diagnosis tries take too long on the problem itself.
_MOST_DIAGNOSED = 2_000_000


def explain(
    backend: ConvBackend,
    problem: ConvProblem,
    probe: str,
    seed: int,
    *,
    limit_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> Explanation | None:
    """The failure of a probe on the smallest problem that still shows it; None if it does not fail again.

    Args:
        backend: Which failed.
        problem: On which it failed.
        probe: By which it failed, a name of `probes.PROMISES`.
        seed: Of the data.
        limit_s: No smaller problem is tried after this time.
        clock: Seconds.
    """
    if _failure(backend, problem, probe, seed) is None:
        return None
    least = min(_LEAST_OUTPUTS, math.prod(problem.y_shape)) if probe == "normal" else 1
    found = shrinking.smallest(
        problem,
        lambda smaller: math.prod(smaller.y_shape) >= least and _fails(backend, smaller, probe, seed),
        limit_s=limit_s,
        clock=clock,
    )
    failure = _failure(backend, found.problem, probe, seed)
    diagnosed, diagnosis, excerpt = found.problem, tuple[str, ...](), None
    if probe not in CALLING_PROBES:
        sample, expected, got = _results(backend, found.problem, probe, seed)
        excerpt = _excerpt(found.problem, sample, expected, got)
        # Many outputs tell mistakes apart that a single one leaves open.
        if problem.macs_nominal <= _MOST_DIAGNOSED:
            diagnosed = problem
            sample, expected, got = _results(backend, problem, probe, seed)
        if isinstance(got, np.ndarray) and got.shape == diagnosed.y_shape:
            diagnosis = diagnose(diagnosed, sample.arrays, expected, got)
    return Explanation(
        probe=probe,
        problem=str(found.problem),
        detail=(failure.detail or "") if failure else "passed when it was tried again: the fault comes and goes",
        diagnosis=diagnosis,
        diagnosed=str(diagnosed),
        tries=found.tries,
        is_minimal=found.is_minimal,
        excerpt=excerpt,
    )


def _results(backend: ConvBackend, problem: ConvProblem, probe: str, seed: int) -> tuple[Sample, Array, Any]:
    """The probe's data, what is true of it, and what the backend makes of it."""
    sample = Samples(problem, seed)[probe]
    with np.errstate(all="ignore"):
        got = examination.compute(backend, problem, sample.arrays)
    return sample, reference.convolve(problem, sample.arrays), got


def _fails(backend: ConvBackend, problem: ConvProblem, probe: str, seed: int) -> bool:
    """Whether the same probe fails; what raises on the way is another failure, and not the one that is looked for."""
    try:
        return _failure(backend, problem, probe, seed) is not None
    except Exception:  # foreign code may raise anything
        return False


def _failure(backend: ConvBackend, problem: ConvProblem, probe: str, seed: int) -> ProbeOutcome | None:
    if backend.why_unsupported(problem) is not None:
        return None
    checked = examination.examine(backend, problem, (probe,), Samples(problem, seed))
    return next((outcome for outcome in checked.outcomes if not outcome.passed), None)


def _excerpt(problem: ConvProblem, sample: Sample, expected: Array, got: Any) -> Excerpt | None:
    shapes = (problem.x_shape, problem.weight_shape, problem.y_shape)
    if max(map(math.prod, shapes)) > _MOST_SHOWN or not isinstance(got, np.ndarray) or got.shape != problem.y_shape:
        return None
    arrays = sample.arrays
    with np.errstate(all="ignore"):
        is_wrong = beside_truth(problem, arrays, expected, got).is_wrong
    return Excerpt(
        x=_numbers(arrays.x),
        weight=_numbers(arrays.weight),
        bias=None if arrays.bias is None else _numbers(arrays.bias),
        expected=_numbers(expected),
        got=_numbers(got),
        wrong=tuple(map(int, np.flatnonzero(is_wrong))),
    )


def _numbers(array: Array) -> tuple[Number, ...]:
    """The values in C order; JSON has no NaN and no infinity, which become text."""
    flat = array.astype(np.float64).ravel()
    return tuple(float(value) if math.isfinite(value) else str(float(value)) for value in flat)
