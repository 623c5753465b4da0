from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import scratch


@pytest.fixture(autouse=True)
def _own_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch.folder() as folder:
        (folder / "0").mkdir()
        (folder / "0" / "exact.npz").write_bytes(b"x")
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o077 == 0

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path, dead_pid: int) -> None:
    left = tmp_path / f"convbench-{dead_pid}-abc_1234"
    left.mkdir()
    (left / "exact.npz").write_bytes(b"x")

    with scratch.folder():
        assert not left.exists()


@pytest.mark.parametrize(
    "name", ["convbench-notes", "convbench-{}", "my-convbench-{}-x", "convbench-{}-x.tar", "other"]
)
def test_what_only_looks_alike_is_left_alone(tmp_path: Path, dead_pid: int, name: str) -> None:
    (tmp_path / name.format(dead_pid)).mkdir()

    with scratch.folder():
        pass

    assert (tmp_path / name.format(dead_pid)).exists()


def test_a_living_run_keeps_its_folder(tmp_path: Path) -> None:
    with scratch.folder() as one, scratch.folder() as other:
        assert one.exists()
        assert other.exists()
    foreign = tmp_path / f"convbench-{os.getppid()}-x"
    foreign.mkdir()
    with scratch.folder():
        assert foreign.exists()


def test_a_folder_whose_owner_lives_where_its_pid_is_another_is_kept(tmp_path: Path, dead_pid: int) -> None:
    with scratch.folder() as folder:
        renamed = folder.rename(tmp_path / f"convbench-{dead_pid}-x")
        with scratch.folder():
            assert renamed.exists()


def test_links_and_files_are_not_followed(tmp_path: Path, dead_pid: int) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("years of work")
    (tmp_path / f"convbench-{dead_pid}-link").symlink_to(thesis)
    (tmp_path / f"convbench-{dead_pid}-file").write_text("no folder")

    with scratch.folder():
        pass

    assert (thesis / "chapter.txt").exists()
    assert (tmp_path / f"convbench-{dead_pid}-file").exists()


def test_another_users_folder_is_left_alone(tmp_path: Path, dead_pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / f"convbench-{dead_pid}-x"
    left.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: left.stat().st_uid + 1)

    with scratch.folder():
        assert left.exists()
