from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import pytest

from harness import journal, store
from harness.errors import StoreError, WriteFailed
from harness.journal import JOURNAL, TORN, Journal
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


def of(backend: str, **changes: object) -> Cell:
    return dataclasses.replace(CELL, key=dataclasses.replace(CELL.key, backend=backend), **changes)  # type: ignore[arg-type]


OTHER = of("im2col", label="tiny × 2", samples_ns=(7.0, 8.0))
THIRD = of("fft", status=Status.CRASHED, reason="died of SIGSEGV", samples_ns=(), rounds=())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "run"
    store.create(target, HEADER)
    return target


def append(folder: Path, *cells: Cell) -> None:
    with Journal(folder) as opened:
        for cell in cells:
            opened.append(cell)


def test_a_run_reads_back_exactly_as_it_was_written(folder: Path) -> None:
    append(folder, CELL, THIRD)

    stored = store.load(folder)

    assert stored.header == HEADER
    assert stored.cells == (CELL, THIRD)
    assert stored.torn_line is None


def test_each_cell_is_on_disk_when_append_returns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    sync = os.fsync
    with Journal(folder) as opened:
        monkeypatch.setattr("os.fsync", lambda descriptor: (sync(descriptor), synced.append(store.load(folder).cells)))
        opened.append(CELL)

    assert synced == [(CELL,)], "written before it is synced"


def test_a_journal_cut_at_any_byte_loses_only_the_line_that_was_cut_and_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)  # thousands of them would take most of a minute
    append(folder, CELL, OTHER, THIRD)
    whole = (folder / JOURNAL).read_bytes()
    lines = whole.splitlines(keepends=True)
    cells = (CELL, OTHER, THIRD)

    for cut in range(len(lines[0]), len(whole)):
        (folder / JOURNAL).write_bytes(whole[:cut])
        # A line is whole with its last brace, and the newline after it may be missing.
        ends = [sum(map(len, lines[: n + 1])) - 1 for n in range(3)]
        kept = sum(end <= cut for end in ends)
        stored = store.load(folder)
        assert stored.cells == cells[:kept], cut
        is_torn = not any(cut in (end, end + 1) for end in ends)
        assert (stored.torn_line is not None) == is_torn, cut

        append(folder, *cells[kept:])
        assert (folder / JOURNAL).read_bytes() == whole, cut


def test_a_last_line_whose_blocks_did_not_all_arrive_is_torn_although_it_ends(folder: Path) -> None:
    append(folder, CELL, OTHER)
    path = folder / JOURNAL
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    path.write_bytes(whole[:start] + b"\0" * (len(whole) - start - 5) + whole[-5:])

    stored = store.load(folder)
    assert stored.cells == (CELL,)
    assert stored.torn_line is not None
    append(folder, OTHER)

    assert path.read_bytes() == whole


def test_a_whole_last_line_without_its_newline_is_kept_and_ended(folder: Path) -> None:
    append(folder, CELL)
    path = folder / JOURNAL
    path.write_bytes(path.read_bytes().rstrip(b"\n"))

    assert store.load(folder).cells == (CELL,)
    append(folder, OTHER)

    assert store.load(folder).cells == (CELL, OTHER)


def test_a_torn_line_is_moved_aside_not_thrown_away(folder: Path) -> None:
    append(folder, CELL)
    with (folder / JOURNAL).open("ab") as file:
        file.write(b'{"key": {"prob')

    append(folder, OTHER)

    assert store.load(folder).cells == (CELL, OTHER)
    assert (folder / TORN).read_bytes() == b'{"key": {"prob\n'


def test_the_last_line_of_a_place_counts_and_the_places_keep_their_order(folder: Path) -> None:
    later = of("naive", samples_ns=(1.0, 1.25))
    elsewhere = of("naive", group="another table")
    append(folder, CELL, OTHER, elsewhere, later)

    assert store.load(folder).cells == (later, OTHER, elsewhere)


def test_where_the_later_line_of_a_place_is_torn_the_earlier_one_stands(folder: Path) -> None:
    append(folder, CELL, of("naive", samples_ns=(1.0, 1.25)))
    content = (folder / JOURNAL).read_bytes()
    (folder / JOURNAL).write_bytes(content[:-9])

    assert store.load(folder).cells == (CELL,)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_a_line_that_the_disk_refuses_is_taken_back_and_the_journal_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, fails: str
) -> None:
    append(folder, CELL)
    write = os.write

    def half_of_it(descriptor: int, data: bytes) -> int:
        if len(data) < 200:
            raise OSError(number, os.strerror(number))
        return write(descriptor, data[: len(data) // 2])

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with Journal(folder) as opened:
        with monkeypatch.context() as patch:
            patch.setattr(f"os.{fails}", half_of_it if fails == "write" else fail)
            with pytest.raises(WriteFailed, match=r"cells\.jsonl cannot be written \(.+\); \w+"):
                opened.append(OTHER)
        assert store.load(folder) == store.StoredRun(folder=folder, header=HEADER, cells=(CELL,), torn_line=None)
        opened.append(OTHER)

    assert store.load(folder).cells == (CELL, OTHER)


def test_a_line_is_written_whole_even_where_the_system_takes_a_part_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    with Journal(folder) as opened:
        monkeypatch.setattr("os.write", lambda descriptor, data: write(descriptor, data[:100]))
        opened.append(CELL)

    assert store.load(folder).cells == (CELL,)


@pytest.mark.parametrize("sample", [0.0, -5.0, float("inf")])
def test_samples_that_are_no_times_are_damage(folder: Path, sample: float) -> None:
    cell = dataclasses.replace(CELL, samples_ns=(1.0, sample))
    if sample == float("inf"):
        append(folder, CELL)
        text = (folder / JOURNAL).read_text().replace("2.25", "1e999")
        (folder / JOURNAL).write_text(text)
    else:
        append(folder, cell)

    with pytest.raises(StoreError, match="line 1 is damaged"):
        store.load(folder)


def test_a_run_whose_journal_is_gone_is_told(folder: Path) -> None:
    (folder / JOURNAL).unlink()

    with pytest.raises(StoreError, match="samples of this run are gone"):
        store.load(folder)


def test_a_damaged_line_inside_the_journal_is_named(folder: Path) -> None:
    append(folder, CELL, OTHER)
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    (folder / JOURNAL).write_bytes(b"not json\n" + lines[1])

    with pytest.raises(StoreError, match=r"cells\.jsonl line 1 is damaged"):
        store.load(folder)


def test_a_closed_journal_takes_nothing(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        journal.Journal(folder).append(CELL)
