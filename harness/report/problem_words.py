"""One problem in words, for people who do not read descriptors."""

from __future__ import annotations

from collections.abc import Sequence

from backends.problem import ConvProblem
from harness.report.wording import count_text


def geometry_words(problem: ConvProblem) -> str:
    """A problem in words, defaults left out: "1-D float32: 1 image, 2 channels of length 9; kernel 3; ..."."""
    window = [f"kernel {_times(problem.kernel)}"]
    for name in ("stride", "dilation"):
        values = getattr(problem, name)
        if set(values) != {1}:
            window.append(f"{name} {_axes(values)}")
    if any(begin or end for begin, end in problem.padding):
        window.append(f"padding {_padding(problem)}")
    if problem.groups > 1:
        window.append(f"{problem.groups} groups")
    if problem.bias:
        window.append("bias")
    size = "length " if problem.ndim == 1 else ""
    given = (
        f"{count_text(problem.N, 'image')}, {count_text(problem.C_in, 'channel')} of {size}{_times(problem.spatial)}"
    )
    made = f"{count_text(problem.C_out, 'output channel')} of {size}{_times(problem.out)}"
    return f"{problem.ndim}-D {problem.dtype}: {given}; {', '.join(window)}; {made}"


def _times(values: Sequence[int]) -> str:
    return "×".join(map(str, values))


def _axes(values: Sequence[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else _times(values)


def _padding(problem: ConvProblem) -> str:
    if all(begin == end for begin, end in problem.padding):
        return _axes([begin for begin, _ in problem.padding])
    return " × ".join(f"({begin} before, {end} after)" for begin, end in problem.padding)
