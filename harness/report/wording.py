"""How a cell reads in a table, the same in the terminal, in HTML and in Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from harness.plan import RunSettings
from harness.records import CacheState, Cell, RunHeader, Status
from harness.report.cases import is_timed
from harness.units import MISSING, exact_duration_text, exact_size_text, fixed, time_unit

if TYPE_CHECKING:
    from harness.report.verdict import CaseVerdict
    from harness.stats import Interval


@dataclass(frozen=True, kw_only=True)
class CellWords:
    """One cell in words, in the unit of its row."""

    state: str
    """fastest, tie, only, slower, or the status of a cell without a time: a class for styling."""
    time: str
    """"1.23" in the row's unit, or the status as a word."""
    spread: str = ""
    """"±0.8 %", or "n=3" where those are too few samples for an interval."""
    interval: str = ""
    """"1.22 to 1.24 ms" for those who ask."""
    ratio: str = ""
    """"2.41×", "fastest", or "≈ 1.01×" for a tie."""
    ratio_interval: str = ""
    """"2.38 to 2.45", without the sign."""
    is_noisy: bool = False


def row_unit(verdict: CaseVerdict) -> tuple[float, str]:
    """The unit of a row, in ns and by name: the one that suits its fastest time."""
    winner = verdict.winner
    return time_unit(winner.time_ns.estimate) if winner is not None else (1.0, "")


def cell_words(verdict: CaseVerdict, backend: str) -> CellWords | None:
    """What one backend's cell says; None where the run has no such cell."""
    cell = verdict.case.cells.get(backend)
    if cell is None:
        return None
    contender = verdict.by_backend.get(backend)
    if contender is None:
        return CellWords(state=cell.status.value, time=status_words(cell))
    scale, unit = row_unit(verdict)
    time = contender.time_ns
    state = "slower"
    ratio = f"{fixed(contender.ratio.estimate)}×"
    if contender.is_winner:
        state, ratio = ("fastest", "fastest") if verdict.is_contested else ("only", "only one")
        if len(verdict.leaders) > 1:
            ratio = "≈ fastest"
    elif contender.is_tie:
        state, ratio = "tie", f"≈ {contender.ratio.estimate:.2f}×"
    return CellWords(
        state=state,
        time=fixed(time.estimate / scale),
        spread=spread_text(time, len(cell.samples_ns)),
        interval="" if time.low is None or time.high is None else f"{_range(time.low, time.high, scale)} {unit}",
        ratio=ratio,
        ratio_interval=""
        if contender.ratio.low is None or contender.ratio.high is None
        else _range(contender.ratio.low, contender.ratio.high, 1.0),
        is_noisy=cell.status is Status.NOISY,
    )


def padded_time(ns: float | None) -> str:
    """A time for a column, with its trailing zeros: "46.0 ms"."""
    if ns is None:
        return MISSING
    scale, unit = time_unit(ns)
    return f"{fixed(ns / scale)} {unit}"


def spread_text(time: Interval, samples: int) -> str:
    """The interval's half width in per cent; the number of samples where they are too few for an interval."""
    width = time.half_width_fraction
    if width is None:
        return f"n={samples}"
    return f"±{100 * width:.1f} %"


def status_words(cell: Cell) -> str:
    """A status as people write it: "out of memory"; a right cell without samples was only checked."""
    if cell.status is Status.OK and not is_timed(cell):
        return "right, not timed"
    return cell.status.value.replace("_", " ")


def leaders_text(verdict: CaseVerdict) -> str:
    """Who leads a case: "numba", "numba ≈ torch", or a dash."""
    return " ≈ ".join(verdict.leaders) if verdict.leaders else MISSING


def problem_name(cell: Cell) -> str:
    """What people call the problem of a cell: its label, else its descriptor; and the picture, if it is on one."""
    return " · ".join(filter(None, (cell.label or cell.key.problem, cell.key.data)))


def names_text(names: Sequence[str]) -> str:
    """Names as a list in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))


def count_text(count: int, noun: str) -> str:
    """A count with its noun: "1 case", "3,000 cases"."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def repeat_line(header: RunHeader, cell: Cell) -> str:
    """The line that measures exactly this cell again: all that it depends on is in it, where it is not the default.

    A picture is part of its suite, which is then named instead of the problem.
    """
    if cell.key.data is None or not cell.suite:
        selection = ["--problem", cell.key.problem]
    else:
        asked = (name for name in header.suites if PurePath(name).stem == cell.suite)
        selection = ["--suite", next(asked, cell.suite)]
        if header.dtype is not None:
            selection += ["--dtype", header.dtype]
    command = "run" if header.is_timed else "check"
    words = ["python", "-m", "harness", command, *selection, "--backend", cell.key.backend]
    for probe in header.probes:
        words += ["--probe", probe]
    words += ["--seed", str(header.seed), "--threads", str(cell.threads_asked)]
    if header.cache is not CacheState.HOT:
        words += ["--cache", header.cache.value]
    if header.case_timeout_s != RunSettings.case_timeout_s:
        words += ["--case-timeout", exact_duration_text(header.case_timeout_s)]
    if header.prepare_timeout_s not in (None, RunSettings.prepare_timeout_s):
        words += ["--prepare-timeout", exact_duration_text(header.prepare_timeout_s)]
    if header.memory_limit_bytes is not None:
        words += ["--memory-limit", exact_size_text(header.memory_limit_bytes)]
    return shlex.join(words)


def machine_rows(header: RunHeader) -> list[tuple[str, str]]:
    """What is known of the machine and the libraries, as label and value."""
    rows = [(name.replace("_", " "), str(value)) for name, value in header.machine.items() if value is not None]
    rows += [(f"library {name}", version) for name, version in header.libraries.items()]
    return rows


def machine_text(header: RunHeader) -> str:
    """The machine in a few words for a caption: its processor or its name, and the threads asked for."""
    named = next((header.machine[key] for key in ("cpu", "processor", "name", "host") if header.machine.get(key)), None)
    threads = f"{header.threads} thread{'s' if header.threads != 1 else ''}"
    return f"{named}, {threads}" if named else threads


def _range(low: float, high: float, scale: float) -> str:
    # Four digits, or the two ends of a narrow interval read the same.
    return f"{fixed(low / scale, 4)} to {fixed(high / scale, 4)}"
