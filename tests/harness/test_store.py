from __future__ import annotations

from pathlib import Path

import pytest

from harness import store
from harness.journal import JOURNAL
from harness.records import RunHeader
from harness.run_lock import LOCK

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


def test_a_folder_that_holds_something_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(store.StoreError, match="already holds files"):
        store.create(tmp_path, HEADER)

    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_a_start_that_was_killed_leaves_is_no_obstacle_and_a_run_is_never_overwritten(tmp_path: Path) -> None:
    for name in (LOCK, JOURNAL, f".{store.HEADER}.x1y2"):
        (tmp_path / name).touch()
    store.create(tmp_path, HEADER)

    assert store.load(tmp_path).header == HEADER
    with pytest.raises(store.StoreError, match="or --resume to finish its run"):
        store.create(tmp_path, HEADER)


def test_a_journal_with_cells_is_no_leftover(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text("{}\n")

    with pytest.raises(store.StoreError, match="already holds files"):
        store.require_new(tmp_path)


def test_a_header_that_cannot_be_written_leaves_no_half_made_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(store.StoreError, match="No space left on device; free space there"):
        store.create(tmp_path / "run", HEADER)

    assert list((tmp_path / "run").iterdir()) == []


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
