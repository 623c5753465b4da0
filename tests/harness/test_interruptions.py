"""Whatever happens to a run, no finished cell is lost or measured twice. Real processes, really killed."""

from __future__ import annotations

import contextlib
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import cli, store
from harness.journal import JOURNAL, TORN
from harness.plan import place_of
from harness.records import RunHeader
from harness.run_lock import LOCK

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.slow
SIZES = (8, 10, 12, 14)
SEVERAL = [item for size in SIZES for item in ("--problem", f"ic4ih{size}oc4kh3")]
OPTIONS = [*SEVERAL, "--backend", "im2col,slow:Waits", "--threads", "1"]
TIMED = [*OPTIONS, "--budget", "3s"]
FINISHING = "finishing the cell in flight; interrupt again to stop at once"


class Run:
    """A run in a process of its own whose second backend waits at one problem until it is let go on."""

    def __init__(self, tmp_path: Path, *arguments: object, waits_at: int | None = None, folder: str = "run") -> None:
        self.folder = tmp_path / folder
        self.gate = tmp_path / "gate"
        self.reached = tmp_path / "gate.reached"
        self._stderr = tmp_path / f"stderr-{len(list(tmp_path.glob('stderr-*')))}"
        self.temporary = tmp_path / "tmp"
        self.temporary.mkdir(exist_ok=True)
        with self._stderr.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "harness", *map(str, arguments), "--out", str(self.folder)],
                cwd=ROOT,
                env=os.environ | self.environment(waits_at),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def environment(self, waits_at: int | None) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT / "tests" / "support"),
            "WAITS_FOR": str(self.gate),
            "WAITS_AT": str(waits_at or 0),
            "TMPDIR": str(self.temporary),
        }

    @property
    def said(self) -> str:
        return self._stderr.read_text()

    @property
    def lines(self) -> int:
        """In the journal."""
        path = self.folder / JOURNAL
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def until_it_waits(self) -> Run:
        self.until(self.reached.exists)
        return self

    def until(self, is_so: Callable[[], object]) -> None:
        until(lambda: is_so() or self.process.poll() is not None)
        assert is_so(), f"it ended with {self.process.poll()}: {self.said}"

    def signalled(self, number: int) -> Run:
        self.process.send_signal(number)
        return self

    def let_go_on(self) -> Run:
        self.gate.touch()
        return self

    def ended(self) -> int:
        return self.process.wait(timeout=90)


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "still not so after 60 s"
        time.sleep(0.02)


@pytest.fixture
def _signals_are_heard() -> Iterator[None]:
    """Processes inherit what is ignored, as it is where the tests themselves run in the background of a shell."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGTERM)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(tmp_path: Path, _signals_are_heard: None) -> Iterator[Callable[..., Run]]:
    started = []

    def start(*arguments: object, **options: object) -> Run:
        started.append(Run(tmp_path, *arguments, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


class Here:
    """A command in this process: its code and what it said."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            cli.main([str(argument) for argument in arguments])
        self.code = exit_info.value.code
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Here]:
    """Commands in this process, whose workers find the same backends and wait for nothing."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "support"))
    monkeypatch.setenv("WAITS_FOR", str(tmp_path / "gate"))
    monkeypatch.setenv("WAITS_AT", "0")
    return lambda *arguments: Here(capsys, *arguments)


def assert_is_whole(folder: Path, before: bytes) -> None:
    """Every cell of the plan is there once, and what was there before is as it was."""
    stored = store.load(folder)
    assert Counter(cell.key for cell in stored.cells) == Counter(stored.header.plan)
    content = (folder / JOURNAL).read_bytes()
    assert content.startswith(before)
    assert content.count(b"\n") == len(stored.header.plan), "no cell was measured twice"
    assert not (folder / LOCK).exists()


def descendants(pid: int) -> set[int]:
    """Processes that a process started, and that those started, zombies left out."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(stat.parent.name)] = int(parent)
    found: set[int] = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def groups_alive(groups: set[int]) -> set[int]:
    """Those of the process groups that still have a member which runs."""
    alive = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            if state not in "ZX":
                alive.add(int(group))
    return alive & groups


@pytest.mark.parametrize(
    ("command", "waits_at"), [("check", SIZES[0]), ("run", SIZES[2])], ids=["before any cell", "between cells"]
)
def test_a_killed_run_is_finished_without_losing_or_repeating_a_cell(
    run: Callable[..., Run], here: Callable[..., Here], command: str, waits_at: int
) -> None:
    killed = (
        run(command, *(TIMED if command == "run" else OPTIONS), waits_at=waits_at)
        .until_it_waits()
        .signalled(signal.SIGKILL)
    )
    killed.ended()
    before = (killed.folder / JOURNAL).read_bytes()
    assert before.count(b"\n") == 2 * SIZES.index(waits_at)

    resumed = here(command, "--resume", "--out", killed.folder)

    assert resumed.code == 0, resumed.err
    assert_is_whole(killed.folder, before)


def test_runs_killed_at_whatever_moment_again_and_again_come_to_the_plan(
    run: Callable[..., Run], here: Callable[..., Here]
) -> None:
    check = run("check", *OPTIONS)
    before = b""
    for lines in (1, 3, 5):
        check.until(lambda lines=lines, check=check: check.lines >= lines)
        check.signalled(signal.SIGKILL).ended()
        content = (check.folder / JOURNAL).read_bytes()
        assert content.startswith(before)
        before = content[: content.rfind(b"\n") + 1]
        check = run("check", "--resume")
    assert check.ended() == 0, check.said

    assert_is_whole(check.folder, before)


def test_a_torn_line_is_mended_and_said_and_only_its_cell_is_measured_again(
    run: Callable[..., Run], here: Callable[..., Here]
) -> None:
    killed = run("check", *OPTIONS, waits_at=SIZES[2]).until_it_waits().signalled(signal.SIGKILL)
    killed.ended()
    path = killed.folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:-40])

    resumed = here("check", "--resume", "--out", killed.folder)

    assert resumed.code == 0, resumed.err
    assert "cells.jsonl was cut off; its cell is measured again" in resumed.err
    assert_is_whole(killed.folder, b"".join(lines[:-1]))
    assert (killed.folder / TORN).read_bytes() == lines[-1][:-40] + b"\n"


def test_a_cell_with_a_later_line_is_finished_and_the_later_line_counts(
    run: Callable[..., Run], here: Callable[..., Here]
) -> None:
    killed = run("check", *OPTIONS, waits_at=SIZES[2]).until_it_waits().signalled(signal.SIGKILL)
    killed.ended()
    path = killed.folder / JOURNAL
    first = path.read_bytes().splitlines(keepends=True)[0]
    later = first.replace(b'"count":1', b'"count":7')
    assert later != first
    path.write_bytes(path.read_bytes() + later)

    resumed = here("check", "--resume", "--out", killed.folder)

    assert resumed.code == 0, resumed.err
    stored = store.load(killed.folder)
    assert Counter(cell.key for cell in stored.cells) == Counter(stored.header.plan)
    assert path.read_bytes().count(b"\n") == len(stored.header.plan) + 1
    assert len({place_of(cell) for cell in stored.cells}) == len(stored.cells)
    assert stored.cells[0].count == 7


@pytest.mark.parametrize("command", [["run"], ["check", "--jobs", "2"]])
def test_workers_and_what_they_started_die_with_a_coordinator_that_is_killed(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("FAULTY_CHILD_PID_FILE", str(tmp_path / "pid"))
    hanging = run(*command, *SEVERAL, "--backend", "im2col,faulty:Hangs", "--threads", "1", "--case-timeout", "100s")
    hanging.until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    grandchild = int((tmp_path / "pid").read_text())
    family = descendants(hanging.process.pid)
    groups = {os.getpgid(pid) for pid in family} - {os.getpgid(hanging.process.pid)}
    assert grandchild in family
    assert len(groups) >= 3, "two backends and the reference"

    hanging.signalled(signal.SIGKILL).ended()

    until(lambda: not any(map(is_running, family)))
    until(lambda: not groups_alive(groups))


def test_two_runs_into_one_folder_have_one_winner_and_one_clean_refusal(run: Callable[..., Run]) -> None:
    runs = [run("check", *OPTIONS, waits_at=SIZES[0]) for _ in range(2)]
    until(lambda: any(each.process.poll() is not None for each in runs))
    loser, winner = sorted(runs, key=lambda each: each.process.poll() is None)

    assert loser.ended() == 4
    assert loser.said.startswith(
        f"error: {winner.folder} is being written by process {winner.process.pid}, which began at 2"
    )
    assert loser.said.count("\n") == 1
    assert winner.process.poll() is None
    assert winner.until_it_waits().let_go_on().ended() == 0, winner.said
    assert_is_whole(winner.folder, b"")


def test_a_run_that_is_under_way_is_not_resumed_and_its_report_says_that_it_is(
    run: Callable[..., Run], here: Callable[..., Here]
) -> None:
    running = run("check", *OPTIONS, waits_at=SIZES[1]).until_it_waits()

    resumed = here("check", "--resume", "--out", running.folder)
    reported = here("report", running.folder)

    assert resumed.code == 4
    assert f"is being written by process {running.process.pid}" in resumed.err
    assert reported.code == 0
    assert (
        f"{running.folder} is being written by process {running.process.pid}:"
        " this is a report of the first 2 of 8 cells\n"
    ) in reported.err
    assert (running.folder / "report.html").exists()
    assert running.let_go_on().ended() == 0, running.said
    assert_is_whole(running.folder, b"")


@pytest.mark.parametrize(
    ("command", "number"),
    [
        (["run"], signal.SIGINT),
        (["check", "--jobs", "2"], signal.SIGINT),
        (["check"], signal.SIGTERM),
        (["check"], signal.SIGHUP),
    ],
    ids=["run", "jobs", "terminated", "hung up"],
)
def test_the_first_signal_lets_the_cell_in_flight_be_finished_and_reported(
    run: Callable[..., Run], here: Callable[..., Here], command: list[str], number: int
) -> None:
    interrupted = (
        run(*command, *(TIMED if command == ["run"] else OPTIONS), waits_at=SIZES[1]).until_it_waits().signalled(number)
    )
    interrupted.until(lambda: FINISHING in interrupted.said)

    assert interrupted.let_go_on().ended() == 3

    cells = store.load(interrupted.folder).cells
    done = {cell.key.problem for cell in cells}
    assert 2 <= len(done) <= 3, "one job may be a problem ahead of the other"
    assert len(cells) == 2 * len(done), "whole problems"
    assert any(f"ih{SIZES[1]}" in problem for problem in done)
    assert (
        f"interrupted after {len(cells)} of 8 cells; go on with:"
        f" python -m harness {command[0]} --resume --out {interrupted.folder}\n"
    ) in interrupted.said
    assert (interrupted.folder / "report.html").exists()
    before = (interrupted.folder / JOURNAL).read_bytes()
    resumed = here(command[0], "--resume", "--out", interrupted.folder)
    assert resumed.code == 0, resumed.err
    assert_is_whole(interrupted.folder, before)


@pytest.mark.parametrize("command", [["run"], ["check", "--jobs", "2"]], ids=["run", "jobs"])
def test_the_second_signal_stops_at_once_with_the_journal_intact(run: Callable[..., Run], command: list[str]) -> None:
    stopped = run(*command, *(TIMED if command == ["run"] else OPTIONS), waits_at=SIZES[1]).until_it_waits()
    stopped.until(lambda: stopped.lines >= 2)
    family = descendants(stopped.process.pid)
    stopped.signalled(signal.SIGINT)
    stopped.until(lambda: FINISHING in stopped.said)

    assert stopped.signalled(signal.SIGINT).ended() == 3

    stored = store.load(stopped.folder)
    assert stored.torn_line is None
    assert 2 <= len(stored.cells) < 8
    assert f"interrupted after {len(stored.cells)} of 8 cells; go on with: " in stopped.said
    assert f"make it with: python -m harness report {stopped.folder}\n" in stopped.said
    assert not (stopped.folder / LOCK).exists()
    assert list(stopped.temporary.iterdir()) == []
    until(lambda: not any(map(is_running, family)))


def test_a_signal_while_backends_load_stops_at_once_and_leaves_nothing(run: Callable[..., Run]) -> None:
    loading = run("run", *SEVERAL, "--backend", "slow:WaitsToLoad").until_it_waits().signalled(signal.SIGINT)

    assert loading.ended() == 3

    assert loading.said == (
        "interrupted before anything was measured; nothing is changed, start again with the same command\n"
    )
    assert not loading.folder.exists()


def test_a_hang_up_that_is_ignored_from_the_start_ends_nothing(run: Callable[..., Run]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    running = run("check", *OPTIONS, waits_at=SIZES[1])
    signal.signal(signal.SIGHUP, before)

    running.until_it_waits().signalled(signal.SIGHUP)

    assert running.let_go_on().ended() == 0
    assert running.said == ""
    assert_is_whole(running.folder, b"")


@pytest.mark.usefixtures("_signals_are_heard")
def test_a_terminal_that_is_closed_ends_a_run_like_any_interrupt(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    environment = {"WAITS_FOR": str(tmp_path / "gate"), "WAITS_AT": str(SIZES[1])}
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(environment | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'support'}"})
        os.execv(sys.executable, [sys.executable, "-m", "harness", "check", *OPTIONS, "--out", str(folder)])  # noqa: S606
    until((tmp_path / "gate.reached").exists)
    os.close(terminal)
    (tmp_path / "gate").touch()

    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 3
    assert 4 <= len(store.load(folder).cells) < 8
    assert (folder / "report.html").exists()
    assert not (folder / LOCK).exists()


def test_a_file_size_limit_in_the_middle_of_a_line_stops_cleanly_and_nothing_is_lost(
    run: Callable[..., Run], here: Callable[..., Here]
) -> None:
    limited = run("check", *OPTIONS, waits_at=SIZES[1]).until_it_waits()
    before = (limited.folder / JOURNAL).read_bytes()
    most = len(before) + 100
    resource.prlimit(limited.process.pid, resource.RLIMIT_FSIZE, (most, most))

    assert limited.let_go_on().ended() == 3

    assert (limited.folder / JOURNAL).read_bytes() == before
    assert f"error: {limited.folder / JOURNAL} cannot be written (File too large)" in limited.said
    assert "raise the limit on file sizes (ulimit -f)" in limited.said
    assert f"go on with: python -m harness check --resume --out {limited.folder}\n" in limited.said
    resumed = here("check", "--resume", "--out", limited.folder)
    assert resumed.code == 0, resumed.err
    assert_is_whole(limited.folder, before)


def test_a_report_that_the_disk_refuses_costs_no_cell_and_says_how_to_make_it(
    run: Callable[..., Run], here: Callable[..., Here]
) -> None:
    limited = run("run", *TIMED, waits_at=SIZES[-1]).until_it_waits()
    most = 32 << 10
    resource.prlimit(limited.process.pid, resource.RLIMIT_FSIZE, (most, most))

    assert limited.let_go_on().ended() == 3

    assert (
        f"error: the report in {limited.folder} cannot be written (File too large); every cell is kept" in limited.said
    )
    assert f"then make it with: python -m harness report {limited.folder}\n" in limited.said
    assert_is_whole(limited.folder, b"")
    assert here("report", limited.folder).code == 0
    assert (limited.folder / "report.html").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_stops_a_run_cleanly_and_it_goes_on_once_there_is_space(
    run: Callable[..., Run], here: Callable[..., Here], small_disk: Path
) -> None:
    full = run("check", *OPTIONS, waits_at=SIZES[1], folder="disk/run").until_it_waits()
    before = (full.folder / JOURNAL).read_bytes()
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"\0" * 1024):
            pass

    assert full.let_go_on().ended() == 3

    assert (full.folder / JOURNAL).read_bytes().startswith(before)
    assert store.load(full.folder).torn_line is None
    assert "(No space left on device); free space there; go on with: python -m harness check --resume" in full.said
    (small_disk / "filler").unlink()
    before = (full.folder / JOURNAL).read_bytes()
    resumed = here("check", "--resume", "--out", full.folder, "--quiet")
    # Its report may be larger than the disk.
    assert resumed.code in (0, 3), resumed.err
    assert_is_whole(full.folder, before)


def test_a_changed_backend_or_variable_is_refused_with_both_values(
    run: Callable[..., Run], here: Callable[..., Here], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "mine.py"
    module.write_text("from faulty import Correct as Mine\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT / 'tests' / 'support'}")
    monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", "20")
    folder = tmp_path / "run"
    options = ["--problem", "ic2ih8oc3kh3", "--backend", "mine:Mine", "--threads", "1", "--out", folder, "--quiet"]
    assert here("check", *options).code == 0
    stored = store.load(folder)
    assert stored.header.variables["OPENBLAS_THREAD_TIMEOUT"] == "20"
    before = (folder / JOURNAL).read_bytes()

    module.write_text("from faulty import Correct as Mine  # and a change\n")
    monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", "21")
    refused = here("check", "--resume", "--out", folder)

    assert refused.code == 4
    assert f"the code of mine was {stored.header.sources['mine']}, now " in refused.err
    assert "the variable OPENBLAS_THREAD_TIMEOUT was 20, now 21; start a new run instead\n" in refused.err
    assert refused.err.count("\n") == 1
    assert (folder / JOURNAL).read_bytes() == before
    assert not (folder / LOCK).exists()


def test_a_run_of_an_earlier_version_is_refused_in_one_line(here: Callable[..., Here], tmp_path: Path) -> None:
    header = RunHeader(
        schema_version=1,
        command=(),
        started_utc="2026-01-01T00:00:00Z",
        seed=0,
        budget_s=60.0,
        case_timeout_s=30.0,
        memory_limit_bytes=None,
        threads=1,
        dtype=None,
        suites=("smoke",),
        backends=("naive",),
        cells_planned=1,
    )
    store.create(tmp_path / "run", header)

    refused = here("check", "--resume", "--out", tmp_path / "run")

    assert refused.code == 4
    assert "measured by an earlier version of this program (schema 1, protocol 1; this one has schema" in refused.err
    assert refused.err.count("\n") == 1
