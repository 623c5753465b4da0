"""Says in plain words what a wrong result looks like: which mistake explains it, what its errors share, where they lie.

A mistake explains a result that is what a backend with that mistake would return: all of it, or all that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from backends import Array, ConvProblem
from harness.diagnosis import mistakes
from harness.diagnosis.symptoms import LOST, MIN_EVIDENCE, OTHERS, TELLING, Symptom
from harness.diagnosis.whereabouts import whereabouts
from harness.diagnosis.wrong_result import WrongResult, beside_truth, is_close
from harness.inputs import ConvArrays

# Small problems may fit several mistakes equally well; more than these would hide what they share.
_MOST_MISTAKES = 3


def diagnose(problem: ConvProblem, arrays: ConvArrays, expected: Array, got: Array) -> tuple[str, ...]:
    """At most four sentences, most telling first; none if the result turns out to be right.

    Costs about a hundred times the oracle's whole result, so the problem should be small.

    Args:
        problem: What was to be computed.
        arrays: On what.
        expected: The oracle's whole result, `reference.convolve(problem, arrays)`.
        got: The backend's output, of the same shape, finite or not.
    """
    # What memory holds that was never written may overflow in any comparison.
    with np.errstate(all="ignore"):
        result = beside_truth(problem, arrays, expected, got)
        if not result.wrong:
            return ()
        what = _what(result)
    return (*what, whereabouts(result.is_wrong, problem))


def _what(result: WrongResult) -> tuple[str, ...]:
    # Of two zeros, several mistakes could be the cause.
    if found := _first(TELLING if result.wrong >= MIN_EVIDENCE else TELLING + LOST, result):
        return found
    whole, in_part = _explanations(result)
    return whole or _first(LOST, result) or in_part or _first(OTHERS, result)


def _first(symptoms: Iterable[Symptom], result: WrongResult) -> tuple[str, ...]:
    return next(((text,) for symptom in symptoms if (text := symptom(result)) is not None), ())


def _explanations(result: WrongResult) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences on mistakes that explain the whole result, and on those that explain what is wrong in it."""
    # Dictionaries keep the order, and hold once what several guesses say.
    whole: dict[str, None] = {}
    in_part: dict[str, None] = {}
    for words, guess in mistakes.guesses(result.problem, result.arrays, result.truth):
        agrees = result.agrees(guess)
        if agrees[result.is_wrong].all() and not is_close(guess, result.truth, 2 * result.tolerance).all():
            (whole if agrees.all() else in_part)[words] = None
    exactly = "exactly " if result.tolerance == 0 else ""
    thin = result.wrong < MIN_EVIDENCE
    doubt = f" (as far as {result.wrong} wrong {'output' if result.wrong == 1 else 'outputs'} can tell)" if thin else ""
    return (
        _sentences(f"the outputs are {exactly}those of {{}}{doubt}", whole),
        () if thin else _sentences(f"the wrong outputs, and only they, are {exactly}those of {{}}", in_part),
    )


def _sentences(first: str, mistakes_found: Iterable[str]) -> tuple[str, ...]:
    found = list(mistakes_found)[:_MOST_MISTAKES]
    return tuple(
        first.format(words) if number == 0 else f"this problem cannot tell it from {words}"
        for number, words in enumerate(found)
    )
