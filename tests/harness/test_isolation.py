"""Nothing a backend does to its process, its files or its neighbours reaches another cell of the run."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

from backends import ConvProblem
from harness import process_tree, runner
from harness.cases import Case
from harness.plan import RunSettings, place_of
from harness.records import Cell, Status

SMALL = Case(problem=ConvProblem.parse('ic4ih10oc4kh3ph1n"small"'), suite="test", group="layers")
SMALLER = Case(problem=ConvProblem.parse('ic2iw20oc3kw3n"smaller"'), suite="test", group="layers")
MEASURED = (Status.OK, Status.NOISY)

ENDS = {
    "Aborts": "SIGABRT in spoil (crashes.py:",
    "DividesByZero": "SIGFPE in spoil (crashes.py:",
    "FreesTwice": "its last output: free(): double free",
    "KillsItself": "(SIGKILL), though memory had not run out",
    "KillsItsGroup": "SIGTERM",
    "LimitsItsTime": "(SIGKILL), though memory had not run out",
    "OverflowsTheStack": "SIGSEGV in deeper (crashes.py:",
    "ReadsANullPointer": "SIGSEGV in spoil (crashes.py:",
    "ReadsBeyondItsFile": "SIGBUS in spoil (crashes.py:",
    "KillsItsParent": "the worker and the process that guards it were killed",
    "LeavesProcessesAndDies": "exited with code 9",
}
RAISES = {
    "ExitsPolitely": "SystemExit: no licence found",
    "ExitsPolitelyInCall": "SystemExit: 0",
    "IsInterrupted": "KeyboardInterrupt: in a kernel",
    "RaisesABaseException": "OfItsOwn: neither fish nor fowl",
    "HasNoMessage": "MuteError: its message cannot be had: str() raised SystemExit",
    "SaysTooMuch": "ValueError: the beginning and so on",
    "SaysHalfCharacters": "ValueError: half \\ud800 a character and \\x1b[2J a bell \\x07",
    "TurnsWarningsIntoErrors": "RuntimeWarning: the tile is small",
    "RecursesWithoutEnd": "RecursionError: ",
}
INTRUDES = {
    "WritesToEveryDescriptor": "wrote something that is no reply",
    "ForgesAReply": "a Prepared that answers another request",
    "NeverEndsItsLine": "more than any reply holds",
    "ClosesEverything": "the worker's pipe to the coordinator was closed",
    "TakesOverThePipe": "the worker's pipe to the coordinator was closed",
}
HANGS = ("FloodsWithoutEnd", "LeavesProcessesAndHangs", "MultipliesWithoutEnd", "StopsItsParent")
HOARDS = ("EatsMemory", "EatsByMalloc", "EatsPrivateMaps", "EatsSharedMaps", "EatsMemoryFiles", "EatsInChildren")
HARMLESS = (
    "ClosesOutputs",
    "IllMannered",
    "AnswersTwice",
    "LeavesProcesses",
    "LeavesUnmarkedProcesses",
    "StopsTheClock",
    "LeavesThreads",
)


@pytest.fixture(autouse=True)
def run_mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """In the environment of whatever a test starts, directly or not."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent / "support"))
    mark = uuid.uuid4().hex
    monkeypatch.setenv("RUN_OF_THIS_TEST", mark)
    return f"RUN_OF_THIS_TEST={mark}"


def left_behind(mark: str) -> list[int]:
    """Processes of the run that has ended, by their environment or by what they were called with."""
    token, called = mark.partition("=")[2].encode(), []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if token in path.read_bytes():
                called.append(int(path.parent.name))
    return [*process_tree.marked(mark), *called]


def cells_of(
    faults: Sequence[str],
    *,
    cases: Sequence[Case] = (SMALL,),
    case_timeout_s: float = 30.0,
    memory_limit_bytes: int | None = None,
    budget_s: float = 10.0,
) -> dict[str, list[Cell]]:
    """The cells of backends with these faults, and of a right one that is prepared between and timed beside them."""
    half = len(faults) // 2
    specs = [f"faulty:{fault}" for fault in faults]
    settings = RunSettings(
        backends=(*specs[:half], "im2col", *specs[half:]),
        threads=1,
        seed=0,
        budget_s=budget_s,
        case_timeout_s=case_timeout_s,
        memory_limit_bytes=memory_limit_bytes,
    )
    # A cell that comes again replaces the earlier one.
    last = {place_of(event): event for event in runner.run(cases, settings) if isinstance(event, Cell)}
    found: dict[str, list[Cell]] = {}
    for cell in last.values():
        found.setdefault(cell.key.backend.removeprefix("faulty:"), []).append(cell)
    return found


@pytest.mark.parametrize("faults", [ENDS, RAISES, INTRUDES], ids=["ends", "raises", "intrudes"])
def test_a_crash_says_how_and_costs_its_own_cell_only(faults: dict[str, str], run_mark: str) -> None:
    cells = cells_of(tuple(faults))

    right = cells.pop("im2col")
    assert [cell.status in MEASURED for cell in right] == [True]
    assert {fault: cell.status for fault, (cell,) in cells.items()} == dict.fromkeys(faults, Status.CRASHED)
    unsaid = {fault: cell.reason for fault, (cell,) in cells.items() if faults[fault] not in (cell.reason or "")}
    assert unsaid == {}
    assert max(len(cell.reason or "") for (cell,) in cells.values()) < 3000
    assert left_behind(run_mark) == []


def test_what_hangs_ends_at_the_limit_with_all_it_started(run_mark: str) -> None:
    cells = cells_of(HANGS, case_timeout_s=2.0)

    assert [cell.status in MEASURED for cell in cells.pop("im2col")] == [True]
    assert {fault: cell.status for fault, (cell,) in cells.items()} == dict.fromkeys(HANGS, Status.TIMEOUT)
    assert left_behind(run_mark) == []


def test_memory_taken_without_end_in_any_way_is_out_of_memory(run_mark: str) -> None:
    cells = cells_of(HOARDS, memory_limit_bytes=256 << 20, case_timeout_s=60.0)

    assert [cell.status in MEASURED for cell in cells.pop("im2col")] == [True]
    reasons = {fault: cell.reason for fault, (cell,) in cells.items()}
    assert {fault: cell.status for fault, (cell,) in cells.items()} == dict.fromkeys(HOARDS, Status.OUT_OF_MEMORY), (
        reasons
    )
    assert "out of memory: " in (reasons["EatsMemory"] or "")
    assert "came to its memory limit" in (reasons["EatsByMalloc"] or "")
    for fault in ("EatsSharedMaps", "EatsMemoryFiles", "EatsInChildren"):
        assert "against a memory limit of 0.27 GB" in (reasons[fault] or "")
    assert "processes in all" in (reasons["EatsInChildren"] or "")
    assert left_behind(run_mark) == []


def test_bad_manners_that_leave_results_right_harm_nothing(run_mark: str) -> None:
    cells = cells_of(HARMLESS, cases=(SMALLER, SMALL), budget_s=30.0)

    assert set(cells) == {"im2col", *HARMLESS}
    assert {(name, cell.reason) for name, two in cells.items() for cell in two if cell.status not in MEASURED} == set()
    assert left_behind(run_mark) == []


def test_a_stopped_clock_stops_nobody_elses() -> None:
    cells = cells_of(["StopsTheClock"])

    (stopped,), (right,) = cells["StopsTheClock"], cells["im2col"]
    assert 1 / 20 < median(stopped.samples_ns) / median(right.samples_ns) < 20


def test_the_cell_after_a_crash_gets_a_new_worker() -> None:
    cells = cells_of(["KillsItself", "HasNoMessage"], cases=(SMALLER, SMALL))

    assert [cell.status for fault in ("KillsItself", "HasNoMessage") for cell in cells[fault]] == [Status.CRASHED] * 4
    assert [cell.status in MEASURED for cell in cells["im2col"]] == [True, True]
