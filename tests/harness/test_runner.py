from __future__ import annotations

import itertools
import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from backends import ConvProblem
from harness import process_tree, runner
from harness.cases import Case
from harness.entry import Entry
from harness.plan import RunSettings, place_of
from harness.probes import EVERY_PROBE
from harness.records import Cell, Status
from harness.session import Session, UsageError

SMALL = Case(problem=ConvProblem.parse('ic4ih10oc4kh3ph1n"small"'), suite="test", group="layers")
SMALLER = Case(problem=ConvProblem.parse('--dir=FWD_B ic2iw20oc3kw3n"smaller"'), suite="test", group="layers")


@pytest.fixture(autouse=True)
def _workers_find_the_faulty_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent / "support"))


def cells_of(
    backends: Sequence[str],
    cases: Sequence[Case] = (SMALL,),
    *,
    budget_s: float = 6.0,
    case_timeout_s: float = 20.0,
    memory_limit_bytes: int | None = None,
    probes: tuple[str, ...] = (),
    is_timed: bool = True,
    jobs: int = 1,
    finished: Sequence[Cell] = (),
) -> list[Cell]:
    settings = RunSettings(
        backends=tuple(backends),
        threads=1,
        seed=0,
        budget_s=budget_s,
        case_timeout_s=case_timeout_s,
        memory_limit_bytes=memory_limit_bytes,
        is_timed=is_timed,
        jobs=jobs,
        probes=probes,
    )
    events = runner.run(cases, settings, finished=finished)
    # A cell that comes again replaces the earlier one.
    return list({place_of(event): event for event in events if isinstance(event, Cell)}.values())


def test_a_right_backend_is_checked_and_timed_in_rounds() -> None:
    first, second = cells_of(["im2col", "faulty:Correct"])

    for cell in (first, second):
        assert cell.status in (Status.OK, Status.NOISY)
        assert cell.check is not None
        assert [outcome.name for outcome in cell.check.outcomes] == ["exact", "normal"]
        assert len(cell.samples_ns) == len(cell.rounds) > 0
        assert min(cell.samples_ns) > 0
        assert cell.calls_per_block is not None
        assert cell.prepare_ns is not None
        assert cell.first_call_ns is not None
        assert cell.stop is not None
        assert cell.threads_seen is not None
    assert set(first.rounds) & set(second.rounds), "rounds are shared, so that samples pair up"


@pytest.mark.parametrize(
    ("spec", "status", "says"),
    [
        ("faulty:Segfaults", Status.CRASHED, "SIGSEGV"),
        ("faulty:ExitsQuietly", Status.CRASHED, "exited with code 0"),
        ("faulty:Raises", Status.CRASHED, "ArithmeticError: prepare fell over"),
        ("faulty:RaisesInCall", Status.CRASHED, "ArithmeticError: the call fell over"),
        ("faulty:Unpicklable", Status.CRASHED, "LocalError"),
        ("faulty:Declines", Status.UNSUPPORTED, "it is Sunday"),
        ("faulty:FlippedKernel", Status.WRONG, "exact: "),
        ("faulty:HalfPrecisionInside", Status.WRONG, "normal: "),
        ("faulty:MutatesInput", Status.WRONG, "modified"),
        ("faulty:CachesFirstAnswer", Status.WRONG, "output of a timed call"),
        ("faulty:CachesByAddress", Status.WRONG, "output of a timed call"),
        ("faulty:WrongAfterManyCalls", Status.WRONG, "output of a timed call"),
        ("faulty:WrongLater", Status.WRONG, "output of a timed call"),
        ("faulty:MutatesLater", Status.WRONG, "modified its input"),
        ("faulty:DiesWhileLoading", Status.CRASHED, "exited with code 7"),
    ],
)
def test_a_fault_costs_its_own_cell_only(spec: str, status: Status, says: str) -> None:
    cells = cells_of([spec, "im2col"], [SMALL, SMALLER])

    faulty_cells = [cell for cell in cells if cell.key.backend == spec]
    right_cells = [cell for cell in cells if cell.key.backend == "im2col"]
    assert [cell.status for cell in faulty_cells] == [status] * 2
    assert all(says in (cell.reason or "") for cell in faulty_cells)
    assert all(cell.samples_ns == () for cell in faulty_cells)
    assert all(cell.status in (Status.OK, Status.NOISY) for cell in right_cells)


def test_a_hang_that_ignores_signals_ends_at_the_limit_with_its_grandchildren(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    monkeypatch.setenv("FAULTY_CHILD_PID_FILE", str(pid_file))

    hung, right = cells_of(["faulty:Hangs", "im2col"], case_timeout_s=3.0, budget_s=15.0)

    assert hung.status is Status.TIMEOUT
    assert "--case-timeout 3s" in (hung.reason or "")
    assert right.status in (Status.OK, Status.NOISY)
    assert has_ended(int(pid_file.read_text()))


def has_ended(pid: int) -> bool:
    """Whether a process is gone or a zombie, given a moment to get there."""
    for _ in range(50):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


def test_garbage_and_floods_on_stdout_and_stderr_harm_nothing() -> None:
    (cell,) = cells_of(["faulty:FloodsOutput"])

    assert cell.status is not Status.CRASHED or "list" in (cell.reason or "")
    assert cell.check is not None


def test_memory_beyond_the_limit_is_refused_to_its_cell() -> None:
    eater, right = cells_of(["faulty:EatsMemory", "im2col"], memory_limit_bytes=1 << 30)

    assert eater.status is Status.OUT_OF_MEMORY
    assert right.status in (Status.OK, Status.NOISY)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nonesuch", "unknown backend 'nonesuch'"),
        ("torhc", "did you mean 'torch'"),
        ("im2col[workspace_mb=0]", "workspace_mb=0"),
        ("im2col[tile=3]", "it takes workspace_mb"),
        ("faulty:Nonesuch", "has no attribute"),
        ("nonesuch.module:Backend", "cannot import"),
        ("faulty:RefusesToLoad", "its shared library is missing"),
    ],
)
def test_a_backend_that_cannot_be_opened_ends_the_run_before_it_starts(spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        cells_of(["im2col", spec])


def test_a_hopeless_case_is_skipped_with_its_prediction_once_the_rate_is_known() -> None:
    small = [Case(problem=ConvProblem.parse(f"ic2ih{h}oc4kh3"), suite="test", group="g") for h in (8, 12, 16)]
    large = Case(problem=ConvProblem.parse("ic64ih112oc64kh3ph1"), suite="test", group="g")

    cells = cells_of(["naive"], [*small, large], case_timeout_s=5.0)

    assert [cell.status in (Status.OK, Status.NOISY) for cell in cells] == [True, True, True, False]
    assert cells[-1].status is Status.SKIPPED
    assert "predicted" in (cells[-1].reason or "")
    assert "from 3 finished cells" in (cells[-1].reason or "")


def test_cases_beyond_the_budget_are_skipped_and_say_so() -> None:
    cells = cells_of(["im2col"], [SMALL, SMALLER], budget_s=1e-6)

    assert [cell.status for cell in cells] == [Status.SKIPPED] * 2
    assert "the budget" in (cells[0].reason or "")


def test_a_check_times_nothing() -> None:
    (cell,) = cells_of(["im2col"], is_timed=False, budget_s=math.inf)

    assert cell.status is Status.OK
    assert cell.samples_ns == ()
    assert cell.stop is None


def test_a_problem_in_two_groups_is_measured_once_and_shown_in_both() -> None:
    twin = Case(problem=SMALL.problem.replace(label="twin"), suite="test", group="sweep", axis="kernel", axis_value=3)

    one, two = cells_of(["im2col"], [SMALL, twin])

    assert one.samples_ns == two.samples_ns
    assert (one.group, one.label) == ("layers", "small")
    assert (two.group, two.label, two.axis_value) == ("sweep", "twin", 3)


def test_finished_cells_are_not_measured_again() -> None:
    (first,) = cells_of(["im2col"], [SMALL], is_timed=False)

    rest = cells_of(["im2col"], [SMALL, SMALLER], is_timed=False, finished=[first])

    assert [cell.label for cell in rest] == ["smaller"]


def test_real_pictures_are_measured_under_the_edge_kernels() -> None:
    case = Case(problem=ConvProblem.parse("ic1ih256oc2kh3ph1"), suite="test", group="edges", data="mri")

    (cell,) = cells_of(["im2col"], [case], is_timed=False)

    assert cell.status is Status.OK
    assert cell.check is not None
    assert [outcome.name for outcome in cell.check.outcomes] == [*EVERY_PROBE, "mri"]


MANY = [Case(problem=ConvProblem.parse(f"ic2ih{h}oc3kh3"), suite="test", group="g") for h in range(6, 14)]


def child_processes() -> set[int]:
    """Processes that this one has started and not yet waited for, zombies included."""
    return set(process_tree.descendants(os.getpid()))


def test_several_jobs_check_each_problem_once_and_find_the_same() -> None:
    alone = cells_of(["im2col", "faulty:FlippedKernel"], MANY, is_timed=False)
    together = cells_of(["im2col", "faulty:FlippedKernel"], MANY, is_timed=False, jobs=3)

    assert len(together) == 2 * len(MANY)
    assert {(cell.key, cell.status, cell.reason) for cell in together} == {
        (cell.key, cell.status, cell.reason) for cell in alone
    }
    assert child_processes() == set()


def test_a_crash_in_one_job_costs_its_own_cell_only() -> None:
    cells = cells_of(["faulty:Segfaults", "im2col"], MANY[:4], is_timed=False, jobs=2)

    assert [cell.status for cell in cells if cell.key.backend == "faulty:Segfaults"] == [Status.CRASHED] * 4
    assert [cell.status for cell in cells if cell.key.backend == "im2col"] == [Status.OK] * 4


def test_two_measurements_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="disturb each other"):
        cells_of(["im2col"], jobs=2)


def test_a_backend_that_cannot_be_opened_ends_all_jobs() -> None:
    with pytest.raises(UsageError, match="unknown backend 'nonesuch'"):
        cells_of(["im2col", "nonesuch"], MANY, is_timed=False, jobs=3)

    assert child_processes() == set()


def test_what_one_job_cannot_survive_ends_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_at_the_third(*_: object) -> None:
        if next(numbers) == 3:
            raise ArithmeticError("a fault of our own")

    numbers = itertools.count(1)
    monkeypatch.setattr(Session, "release", fails_at_the_third)

    with pytest.raises(ArithmeticError, match="of our own"):
        cells_of(["im2col"], MANY, is_timed=False, jobs=2)

    assert child_processes() == set()


@pytest.mark.parametrize("jobs", [1, 2])
def test_closing_the_events_ends_workers_that_hang_at_once(jobs: int) -> None:
    settings = RunSettings(
        backends=("faulty:Hangs",), threads=1, seed=0, case_timeout_s=60.0, is_timed=False, jobs=jobs
    )
    events = runner.run(MANY, settings)
    while not (isinstance(event := next(events), runner.BackendStarted) and event.step == "prepare"):
        pass
    start = time.monotonic()

    events.close()

    assert time.monotonic() - start < 10
    assert child_processes() == set()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_should_stop_soon_finishes_what_is_under_way(jobs: int) -> None:
    settings = RunSettings(backends=("im2col", "naive"), threads=1, seed=0, is_timed=False, jobs=jobs)
    cells: list[Cell] = []

    for event in runner.run(MANY, settings, stop_soon=lambda: bool(cells)):
        if isinstance(event, Cell):
            cells.append(event)  # noqa: PERF401  # it is read while it grows

    problems = {cell.key.problem for cell in cells}
    assert 1 <= len(problems) < len(MANY)
    assert len(cells) == 2 * len(problems), "no problem is left half done"
    assert child_processes() == set()


def test_where_everything_is_finished_no_backend_is_even_opened() -> None:
    settings = RunSettings(backends=("nonesuch",), threads=1, seed=0)
    finished = [Entry(backend="nonesuch").cell(case, settings) for case in MANY]

    assert list(runner.run(MANY, settings, finished=finished)) == []


def test_references_are_gone_when_the_events_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    events = runner.run(MANY, RunSettings(backends=("im2col",), threads=1, seed=0, is_timed=False))
    while not isinstance(next(events), Cell):
        pass
    assert list(tmp_path.glob("convbench-*"))

    events.close()

    assert list(tmp_path.iterdir()) == []


def test_a_check_waits_as_long_as_its_limit_and_skips_what_is_predicted_to_need_more() -> None:
    small = [
        Case(problem=ConvProblem.parse(f"ic2ih{h}oc4kh3"), suite="test", group="g") for h in (10, 15, 20, 25, 30, 40)
    ]
    large = Case(problem=ConvProblem.parse("ic64ih112oc64kh3ph1"), suite="test", group="g")

    *right, last = cells_of(["naive"], [*small, large], case_timeout_s=5.0, budget_s=math.inf, is_timed=False)

    assert [cell.status for cell in right] == [Status.OK] * 6
    assert last.status is Status.SKIPPED
    assert "is predicted to take" in (last.reason or "")


def test_a_cell_spends_only_what_its_own_backend_takes() -> None:
    slow, quick = cells_of(["faulty:Hangs", "im2col"], case_timeout_s=2.0, is_timed=False)

    assert slow.spent_ns is not None
    assert quick.spent_ns is not None
    assert slow.spent_ns > 2e9
    assert 0 < quick.spent_ns < 2e9


def test_only_the_probes_asked_for_are_made() -> None:
    (cell,) = cells_of(["im2col"], [SMALL], is_timed=False, probes=("exact", "repeat"))

    assert cell.check is not None
    assert [outcome.name for outcome in cell.check.outcomes] == ["exact", "repeat"]


def test_the_first_failure_of_each_probe_is_explained_on_its_smallest_problem() -> None:
    first, second = cells_of(["faulty:FlippedKernel"], [SMALLER, SMALL], is_timed=False)

    assert first.check is not None
    assert first.check.explanation is not None
    assert ConvProblem.parse(first.check.explanation.problem) == ConvProblem.parse("ic1iw2oc1kw2")
    assert second.check is not None
    assert second.check.explanation is None, "one explanation of the same failure is enough"


def test_a_backend_found_wrong_before_timing_is_explained_as_well() -> None:
    (cell,) = cells_of(["faulty:BiasTwice"], [SMALLER])

    assert cell.status is Status.WRONG
    assert cell.check is not None
    assert cell.check.explanation is not None
    assert "bias added twice" in cell.check.explanation.diagnosis[0]


def test_a_worker_that_dies_over_an_explanation_costs_only_that() -> None:
    first, second = cells_of(["faulty:DiesWhenShrunk", "im2col"], [SMALL], is_timed=False)

    assert (first.status, second.status) == (Status.WRONG, Status.OK)
    assert first.check is not None
    assert first.check.explanation is None


@pytest.mark.parametrize(
    ("fault", "smallest"),
    [("SegfaultsOnGroups", "g2mb1ic2iw1oc2ow1kw1"), ("RaisesOnDilation", "g1mb1ic1iw1oc1ow1kw1dw1")],
)
def test_a_crash_names_the_smallest_problem_that_ends_in_the_same_way(fault: str, smallest: str) -> None:
    case = Case(problem=ConvProblem.parse("g4mb2ic8ih12oc16kh3dh1ph2"), suite="test", group="g")

    (cell,) = cells_of([f"faulty:{fault}"], [case], is_timed=False)

    assert cell.status is Status.CRASHED
    assert (cell.reason or "").endswith("ends in the same way")
    named = (cell.reason or "").partition("; the smaller ")[2].removesuffix(" ends in the same way")
    assert ConvProblem.parse(named) == ConvProblem.parse(smallest)
