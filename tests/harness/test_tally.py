from __future__ import annotations

import pytest

from harness import tally
from harness.records import CaseKey, Cell, RunHeader, Status


def cell(backend: str, status: Status, problem: str = "p", group: str = "g", spent_s: float = 2.0) -> Cell:
    return Cell(
        key=CaseKey(problem=problem, backend=backend),
        status=status,
        reason=None if status is Status.OK else f"why {status.value}",
        label="",
        count=1,
        suite="s",
        group=group,
        axis=None,
        axis_value=None,
        dtype="float32",
        threads_asked=1,
        threads_seen=None,
        spent_ns=round(spent_s * 1e9),
    )


def header(*cells: Cell, is_timed: bool = False) -> RunHeader:
    return RunHeader(
        command=("check",),
        started_utc="",
        seed=0,
        budget_s=None,
        case_timeout_s=1.0,
        memory_limit_bytes=None,
        threads=1,
        dtype=None,
        is_timed=is_timed,
        suites=("s",),
        backends=tuple(dict.fromkeys(cell.key.backend for cell in cells)),
        cells_planned=len(cells),
        plan=tuple(cell.key for cell in cells),
    )


def exit_code(*cells: Cell, is_timed: bool = False) -> int:
    return tally.exit_code(header(*cells, is_timed=is_timed), cells)


@pytest.mark.parametrize("is_timed", [True, False])
def test_wrong_is_2_and_beats_what_broke_off(is_timed: bool) -> None:
    for broken in (Status.CRASHED, Status.TIMEOUT, Status.OUT_OF_MEMORY):
        assert exit_code(cell("a", Status.OK), cell("b", broken), is_timed=is_timed) == 3
        assert exit_code(cell("a", Status.WRONG), cell("b", broken), is_timed=is_timed) == 2
    assert exit_code(cell("a", Status.OK), cell("b", Status.UNSUPPORTED), is_timed=is_timed) == 0


@pytest.mark.parametrize("status", [Status.SKIPPED, Status.MISTRUSTED])
@pytest.mark.parametrize("decided", [Status.OK, Status.UNSUPPORTED])
def test_a_check_with_holes_is_a_success_while_each_backend_has_decided_something(
    status: Status, decided: Status
) -> None:
    whole = [cell("a", Status.OK, "p"), cell("a", Status.OK, "q"), cell("b", decided, "p")]

    assert exit_code(*whole, cell("b", status, "q")) == 0
    assert exit_code(*whole[:2], cell("b", status, "p"), cell("b", status, "q")) == 3


def test_a_timed_run_is_incomplete_only_where_every_cell_was_skipped() -> None:
    assert exit_code(cell("a", Status.SKIPPED), cell("b", Status.SKIPPED), is_timed=True) == 3
    assert exit_code(cell("a", Status.NOISY), cell("b", Status.SKIPPED), is_timed=True) == 0


def test_an_interrupted_run_is_incomplete_unless_it_found_something_wrong() -> None:
    right, wrong = (cell("a", Status.OK),), (cell("a", Status.WRONG),)

    assert tally.exit_code(header(*right), right, was_interrupted=True) == 3
    assert tally.exit_code(header(*wrong), wrong, was_interrupted=True) == 2


def test_what_is_open_is_counted_and_names_the_backend_of_which_nothing_is_known() -> None:
    cells = [cell("a", Status.OK, "p"), cell("a", Status.MISTRUSTED, "q"), cell("b", Status.SKIPPED, "p")]

    assert tally.what_is_open(header(*cells), cells) == "of 3 cells 1 skipped and 1 mistrusted, nothing is known of b"
    assert tally.what_is_open(header(*cells[:2]), cells[:2]) == "of 2 cells 1 mistrusted"
    assert tally.what_is_open(header(*cells[:1]), cells[:1]) is None
    assert tally.what_is_open(header(cells[2], is_timed=True), cells[2:]) == "every cell was skipped: why skipped"


def test_coverage_counts_each_problem_once_whatever_groups_show_it() -> None:
    cells = [
        cell("a", Status.OK, "p", "g"),
        cell("a", Status.OK, "p", "h"),
        cell("a", Status.WRONG, "q", spent_s=70.0),
        cell("a", Status.SKIPPED, "r", spent_s=0.0),
        cell("b", Status.OUT_OF_MEMORY, "p"),
        cell("b", Status.UNSUPPORTED, "q"),
    ]
    planned = header(*cells, cell("b", Status.OK, "r"))

    assert [str(each) for each in tally.coverage(planned, cells)] == [
        "a: 2 of 3 problems decided (1 skipped) in 1m 12s",
        "b: 1 of 3 problems decided (1 out of memory) in 4s",
    ]
