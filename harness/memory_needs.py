"""Whether a case fits into memory, told from its geometry before anything is allocated.

The arrays are what the worker itself makes of a problem: it mirrors `worker`, `examination` and `reference`, at the
largest of their steps. What preparing and calling take besides is the backend's to predict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from backends import HOST, ConvBackend, ConvProblem
from harness import reference
from harness.units import bytes_text

# Of each output that is checked: its reference's four fields, and as many numbers again while it is judged.
_NUMBERS_PER_REFERENCE, _NUMBERS_WHILE_JUDGED = 4, 5
# Outputs alive between timed calls: two kept for checking, the last one, the one being copied, and a poison.
_OUTPUTS_WHILE_TIMED = 5
# While checking: the first call's, this one, its copy or a poison.
_OUTPUTS_WHILE_CHECKED = 3
_TIMED_INPUTS = 3
# The oracle gathers so many elements at a time, in float64 and once more transposed, and sums products of them.
_GATHERED_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Room:
    """How much memory a worker may take, and why no more."""

    limit_bytes: int | None
    """What --memory-limit leaves, or None without one."""
    available_bytes: int | None
    """What the system has, or None where that is unknown."""


def arrays_bytes(problem: ConvProblem) -> int:
    """Bytes of the arrays that a worker itself holds at most while a case is prepared, checked and timed."""
    x, y = _bytes(problem, problem.x_shape), _bytes(problem, problem.y_shape)
    inputs = x + _bytes(problem, problem.weight_shape)
    truth = _reference_bytes(problem, _NUMBERS_PER_REFERENCE + _NUMBERS_WHILE_JUDGED)
    checking = 2 * inputs + _OUTPUTS_WHILE_CHECKED * y + truth
    timing = inputs + _TIMED_INPUTS * x + _OUTPUTS_WHILE_TIMED * y
    # Once timed, kept outputs are checked one by one against the scaled reference of their input.
    rechecking = inputs + (_TIMED_INPUTS + 1) * x + 3 * y + truth + _reference_bytes(problem, _NUMBERS_PER_REFERENCE)
    return max(checking, timing, rechecking)


def oracle_bytes(problem: ConvProblem) -> int:
    """Bytes that computing a reference takes at most."""
    inputs = _bytes(problem, problem.x_shape) + _bytes(problem, problem.weight_shape)
    gathered = reference.numbers_kept(problem) * problem.accumulation_length * 8 * 4
    # One byte per element of x says whether it is finite.
    return inputs + math.prod(problem.x_shape) + _reference_bytes(problem, 5) + min(_GATHERED_BYTES, gathered)


def predicted_bytes(backend: ConvBackend, problem: ConvProblem) -> int | None:
    """What the backend says it needs beyond inputs and outputs; None if it says nothing.

    Raises:
        TypeError: It says something else than a size.
    """
    predict = getattr(backend, "workspace_bytes", None)
    if predict is None:
        return None
    said: Any = predict(problem)
    if said is not None and (isinstance(said, bool) or not isinstance(said, int) or said < 0):
        raise TypeError(f"workspace_bytes returned {said!r}; expected bytes as an int of 0 or more, or None")
    return said


def why_too_large(problem: ConvProblem, backend: ConvBackend, predicted: int | None, room: Room) -> str | None:
    """Why a case is not begun: its arrays and its predicted workspace exceed what there is; None if they fit.

    A workspace on a device takes none of this machine's memory.
    """
    return _excess(problem, arrays_bytes(problem), predicted if backend.device is HOST else None, room)


def why_no_reference(problem: ConvProblem, room: Room) -> str | None:
    """Why a reference is not computed, or None."""
    return _excess(problem, oracle_bytes(problem), None, room)


def _excess(problem: ConvProblem, arrays: int, workspace: int | None, room: Room) -> str | None:
    needed = arrays + (workspace or 0)
    parts = f"arrays {bytes_text(arrays)}" + (f", workspace {bytes_text(workspace)}" if workspace else "")
    remedy = "lower the batch" if problem.N > 1 else "choose a smaller problem"
    limit, available = room.limit_bytes, room.available_bytes
    if available is not None and needed > available and (limit is None or available <= limit):
        return f"predicted to need {bytes_text(needed)} ({parts}); {bytes_text(available)} are available; {remedy}"
    if limit is not None and needed > limit:
        return (
            f"predicted to need {bytes_text(needed)} ({parts}); the memory limit is {bytes_text(limit)};"
            f" {remedy} or give a larger --memory-limit"
        )
    return None


def _reference_bytes(problem: ConvProblem, numbers: int) -> int:
    return reference.numbers_kept(problem) * numbers * 8


def _bytes(problem: ConvProblem, shape: tuple[int, ...]) -> int:
    return math.prod(shape) * problem.itemsize
