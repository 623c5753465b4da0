from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import run_lock
from harness.errors import StoreError
from harness.run_lock import LOCK

HOLDS = """
import pathlib, sys
from harness import run_lock
with run_lock.held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
TRIES = """
import pathlib, sys
from harness import run_lock
from harness.errors import StoreError
folder = pathlib.Path(sys.argv[1])
sys.stdin.readline()
for _ in range(200):
    try:
        with run_lock.held(folder):
            with (folder / "inside").open("x"):
                pass
            (folder / "inside").unlink()
    except StoreError:
        pass
"""


def start(program: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=Path(__file__).parent.parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def holding(folder: Path) -> subprocess.Popen[str]:
    process = start(HOLDS, folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    process = holding(tmp_path)

    with pytest.raises(StoreError, match=f"being written by process {process.pid}, which began at 2"):
        run_lock.held(tmp_path).__enter__()
    by = run_lock.holder(tmp_path)
    assert by is not None
    assert by.pid == process.pid

    process.communicate("", timeout=30)
    assert not (tmp_path / LOCK).exists()
    assert run_lock.holder(tmp_path) is None


def test_the_lock_of_a_dead_process_is_no_obstacle(tmp_path: Path) -> None:
    process = holding(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == process.pid
    assert run_lock.holder(tmp_path) is None

    with run_lock.held(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()

    assert list(tmp_path.iterdir()) == []


def test_of_many_who_want_a_folder_at_once_never_two_have_it(tmp_path: Path) -> None:
    processes = [start(TRIES, tmp_path / "run") for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()

    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err


def test_folders_made_for_nothing_are_gone_again_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with run_lock.held(tmp_path / "there" / "a" / "b"):
        pass
    assert list((tmp_path / "there").iterdir()) == []

    with run_lock.held(tmp_path / "there"):
        pass
    assert (tmp_path / "there").exists()

    with run_lock.held(tmp_path / "there" / "c"):
        (tmp_path / "there" / "c" / "file").touch()
    assert (tmp_path / "there" / "c" / "file").exists()


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match=r"cannot write to .*file/run: .*; give --out a folder that you may write"):
        run_lock.held(tmp_path / "file" / "run").__enter__()


def test_a_link_in_place_of_the_lock_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / LOCK).symlink_to(tmp_path / "thesis.txt")

    with pytest.raises(StoreError, match="cannot write to"):
        run_lock.held(tmp_path).__enter__()

    assert (tmp_path / "thesis.txt").read_text() == "years of work"
