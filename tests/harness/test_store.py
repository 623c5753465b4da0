from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness import store
from harness.records import CaseKey, Cell, CheckOutcome, ProbeOutcome, RunHeader, Status, StopReason

HEADER = RunHeader(
    command=("python", "-m", "harness", "run"),
    started_utc="2026-01-01T00:00:00Z",
    seed=0,
    budget_s=60.0,
    case_timeout_s=30.0,
    memory_limit_bytes=None,
    threads=1,
    dtype=None,
    suites=("smoke",),
    backends=("naive",),
    cells_planned=2,
)
CELL = Cell(
    key=CaseKey(problem="g1mb1ic1ih4oc1oh2kh3", backend="naive"),
    status=Status.OK,
    reason=None,
    label="tiny",
    count=1,
    suite="smoke",
    group="2-D",
    axis=None,
    axis_value=None,
    dtype="float32",
    threads_asked=1,
    check=CheckOutcome(
        status=Status.OK,
        outcomes=(
            ProbeOutcome(
                name="exact",
                passed=True,
                error=0.0,
                error_bound=0.0,
                effective_bits=None,
                outputs_checked=4,
                outputs_total=4,
            ),
        ),
    ),
    samples_ns=(1.5, 2.25),
    rounds=(0, 1),
    stop=StopReason.BUDGET,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "run"
    store.create(target, HEADER)
    return target


def append(folder: Path, *cells: Cell) -> None:
    with store.Journal(folder) as journal:
        for cell in cells:
            journal.append(cell)


def test_a_run_reads_back_exactly_as_it_was_written(folder: Path) -> None:
    other = dataclasses.replace(CELL, status=Status.CRASHED, reason="died of SIGSEGV", samples_ns=(), rounds=())
    append(folder, CELL, other)

    stored = store.load(folder)

    assert stored.header == HEADER
    assert stored.cells == (CELL, other)
    assert stored.torn_line is None


def test_each_cell_is_on_disk_when_append_returns(folder: Path) -> None:
    with store.Journal(folder) as journal:
        journal.append(CELL)

        assert store.load(folder).cells == (CELL,)


def test_a_journal_cut_at_any_byte_loses_only_its_last_line_and_goes_on(folder: Path) -> None:
    append(folder, CELL, CELL)
    whole = (folder / store.JOURNAL).read_bytes()
    line = len(whole) // 2

    for cut in range(line + 1, len(whole), 7):
        (folder / store.JOURNAL).write_bytes(whole[:cut])
        torn = store.load(folder)
        assert torn.cells == (CELL,)
        assert torn.torn_line is not None

        append(folder, CELL)
        mended = store.load(folder)
        assert mended.cells == (CELL, CELL)
        assert mended.torn_line is None


def test_a_whole_last_line_without_its_newline_is_kept_and_ended(folder: Path) -> None:
    append(folder, CELL)
    journal = folder / store.JOURNAL
    journal.write_bytes(journal.read_bytes().rstrip(b"\n"))

    assert store.load(folder).cells == (CELL,)
    append(folder, CELL)

    assert store.load(folder).cells == (CELL, CELL)


def test_a_torn_line_is_moved_aside_not_thrown_away(folder: Path) -> None:
    append(folder, CELL)
    with (folder / store.JOURNAL).open("ab") as file:
        file.write(b'{"key": {"prob')

    append(folder, CELL)

    assert store.load(folder).cells == (CELL, CELL)
    assert (folder / f"{store.JOURNAL}.torn").read_bytes() == b'{"key": {"prob\n'


def test_two_writers_of_one_folder_are_refused(folder: Path) -> None:
    with store.Journal(folder), pytest.raises(store.StoreError, match="being written by another run"):
        store.Journal(folder).__enter__()


@pytest.mark.parametrize("sample", [0.0, -5.0, float("inf")])
def test_samples_that_are_no_times_are_damage(folder: Path, sample: float) -> None:
    cell = dataclasses.replace(CELL, samples_ns=(1.0, sample))
    if sample == float("inf"):
        append(folder, CELL)
        text = (folder / store.JOURNAL).read_text().replace("2.25", "1e999")
        (folder / store.JOURNAL).write_text(text)
    else:
        append(folder, cell)

    with pytest.raises(store.StoreError, match="line 1 is damaged"):
        store.load(folder)


def test_a_run_whose_journal_is_gone_is_told(folder: Path) -> None:
    with pytest.raises(store.StoreError, match="samples of this run are gone"):
        store.load(folder)


def test_a_damaged_line_inside_the_journal_is_named(folder: Path) -> None:
    append(folder, CELL, CELL)
    lines = (folder / store.JOURNAL).read_bytes().splitlines(keepends=True)
    (folder / store.JOURNAL).write_bytes(b"not json\n" + lines[1])

    with pytest.raises(store.StoreError, match=r"cells\.jsonl line 1 is damaged"):
        store.load(folder)


def test_a_folder_that_holds_something_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(store.StoreError, match="already holds files"):
        store.create(tmp_path, HEADER)

    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(store.StoreError, match="cannot write to"):
        store.create(tmp_path / "file" / "run", HEADER)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is no run folder"),
        ("{", "is damaged"),
        ('{"schema_version": 99}', "newer than this program's"),
        ('{"schema_version": 0}', "older than this program's"),
        ('{"schema_version": 1, "command": 5}', "is damaged"),
    ],
)
def test_what_is_no_run_is_told_apart(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / store.HEADER).write_text(content)

    with pytest.raises(store.StoreError, match=says):
        store.load(tmp_path)


def test_an_interrupted_atomic_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.md"
    store.write_atomically(target, "old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        store.write_atomically(target, "new")

    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
