"""A failure in words, for a terminal or a test's report: what is wrong, where least, as what, and how to repeat it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from backends import ConvProblem
from harness.records import Excerpt, Explanation, Number
from harness.snippets import check_command, torch_call

_LABEL_WIDTH = 10


def explanation_lines(backend: str, explanation: Explanation, seed: int) -> list[str]:
    """The explanation of a failure, one fact a line, numbers and commands last.

    Args:
        backend: Spec of the one that failed.
        explanation: What was found.
        seed: Of the data.
    """
    problem = ConvProblem.parse(explanation.problem)
    found = "smallest" if explanation.is_minimal else "smaller"
    smaller = [labelled(found, explanation.problem), labelled("", explanation.detail)]
    looks = [labelled("looks like" if number == 0 else "", text) for number, text in enumerate(explanation.diagnosis)]
    lines = [*smaller, *looks] if explanation.diagnosed == explanation.problem else [*looks, *smaller]
    if explanation.excerpt is not None:
        lines += [labelled(name, text) for name, text in excerpt_texts(problem, explanation.excerpt)]
    lines.append(labelled("repeat", check_command(backend, problem, probe=explanation.probe, seed=seed)))
    lines.append(labelled("in torch", torch_call(problem)))
    return lines


def labelled(label: str, text: str) -> str:
    """A line of an explanation: what it is, and the fact."""
    return f"  {label:<{_LABEL_WIDTH}} {text}"


def excerpt_texts(problem: ConvProblem, excerpt: Excerpt) -> list[tuple[str, str]]:
    """The numbers of a small failing problem, each array as a nested list under its name."""
    shown: list[tuple[str, Sequence[Number], Sequence[int]]] = [
        ("x", excerpt.x, problem.x_shape),
        ("weight", excerpt.weight, problem.weight_shape),
    ]
    if excerpt.bias is not None:
        shown.append(("bias", excerpt.bias, problem.bias_shape))
    shown += [("expected", excerpt.expected, problem.y_shape), ("got", excerpt.got, problem.y_shape)]
    return [(name, _nested_text([_number_text(value) for value in flat], shape)) for name, flat, shape in shown]


def _number_text(value: Number) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.9g}"


def _nested_text(texts: Sequence[str], shape: Sequence[int]) -> str:
    """Brackets as NumPy sets them, on one line."""
    if len(shape) <= 1:
        return f"[{', '.join(texts)}]"
    step = math.prod(shape[1:])
    rows = (texts[first : first + step] for first in range(0, len(texts), step))
    return f"[{', '.join(_nested_text(row, shape[1:]) for row in rows)}]"
