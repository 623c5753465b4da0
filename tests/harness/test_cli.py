from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness import cli, store
from harness.records import Status

ROOT = Path(__file__).parent.parent.parent
TINY = ["--problem", 'ic2ih8oc3kh3ph1n"tiny"', "--threads", "1", "--budget", "20s"]
SUMMARY_COLUMNS = (
    "problem label backend device dtype threads status median_s ci_low_s ci_high_s samples prepare_s first_call_s"
    " gflops peak_fraction workspace_bytes error error_bound effective_bits reason"
).split()


@pytest.fixture(autouse=True)
def _workers_find_the_faulty_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "support"))


class Ran:
    """Exit code, stdout and stderr of one command."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        with pytest.raises(SystemExit) as exit_info:
            cli.main([str(argument) for argument in arguments])
        self.code = exit_info.value.code
        self.out, self.err = capsys.readouterr()


def test_a_run_leaves_everything_it_promises_and_exits_0(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"

    ran = Ran(capsys, "run", *TINY, "--backend", "im2col,naive", "--out", folder)

    assert ran.code == 0, ran.err
    assert "tiny" in ran.out
    header = json.loads((folder / "run.json").read_text())
    assert header["schema_version"] == 2
    assert header["threads"] == 1
    cells = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]
    assert {cell["key"]["backend"] for cell in cells} == {"im2col", "naive"}
    assert all(cell["samples_ns"] for cell in cells)
    summary = pd.read_csv(folder / "summary.csv")
    assert list(summary.columns[: len(SUMMARY_COLUMNS)]) == SUMMARY_COLUMNS
    assert (summary["median_s"] > 0).all()
    assert header["ceilings"] == [], "the budget is too short to look for the machine's quiet moments"
    assert summary["peak_fraction"].isna().all(), "not measured is empty"
    for name in ("report.html", "report.md"):
        assert "tiny" in (folder / name).read_text()
    assert list((folder / "plots").glob("*.svg"))
    assert list((folder / "plots").glob("*.png"))


def test_report_rebuilds_what_was_deleted_from_the_samples_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    Ran(capsys, "run", *TINY, "--backend", "im2col", "--out", folder, "--quiet")
    kept = {name: (folder / name).read_bytes() for name in ("summary.csv", "report.md", "report.html")}
    journal = (folder / "cells.jsonl").read_bytes()
    for name in kept:
        (folder / name).unlink()

    assert Ran(capsys, "report", folder).code == 0

    assert {name: (folder / name).read_bytes() for name in kept} == kept
    assert (folder / "cells.jsonl").read_bytes() == journal


@pytest.mark.parametrize(
    ("backend", "code"),
    [
        ("faulty:FlippedKernel", 2),
        ("faulty:Segfaults", 3),
        ("faulty:FlippedKernel,faulty:Segfaults", 2),
        ("faulty:Declines", 0),
        ("faulty:Correct", 0),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_exit_code_says_what_happened_and_wrong_beats_incomplete(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, backend: str, code: int
) -> None:
    ran = Ran(capsys, command, *TINY, "--backend", backend, "--out", tmp_path / "run")

    assert ran.code == code
    if code == 2:
        assert "WRONG: faulty:FlippedKernel on tiny" in ran.err
        assert re.search(r"repeat:? +python -m harness \w+ --(problem|backend) ", ran.err)


def test_a_check_without_out_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert Ran(capsys, "check", *TINY, "--backend", "im2col").code == 0

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--suite", "resnet51"], "resnet50"),
        (["run", "--suite", "missing.toml"], "missing.toml"),
        (["run", "--backend", "nunba"], "did you mean 'numba'"),
        (["run", "--backend", "numba,"], "empty spec"),
        (["run", "--backend", "numba[", "--problem", "ic1iw3oc1kw1"], "cannot read backend spec"),
        (["run", "--backend", "im2col,im2col"], "twice"),
        (["run", "--problem", "ic64ih56oc64xx3"], "cannot read 'xx3'"),
        (["run", "--problem", "ic3ih5oc4kh9"], "spans more than the padded input"),
        (["run", "--budget", "-5m"], "is no duration"),
        (["run", "--budget", "0s"], "is not positive"),
        (["run", "--case-timeout", "soon"], "is no duration"),
        (["run", "--memory-limit", "lots"], "is no size"),
        (["run", "--prepare-timeout", "soon"], "--prepare-timeout 'soon' is no duration"),
        (["run", "--cache", "lukewarm"], "--cache"),
        (["check", "--cache", "cold"], "--cache"),
        (["run", "--budget", ""], "--budget '' is no duration"),
        (["run", "--case-timeout", ""], "--case-timeout '' is no duration"),
        (["run", "--memory-limit", ""], "--memory-limit '' is no size"),
        (["run", "--out", ""], "'' is no folder"),
        (["run", "--sample", "0"], "--sample"),
        (["run", "--jobs", "2"], "--jobs"),
        (["check", "--jobs", "0"], "--jobs"),
        (["check", "--jobs", "1000"], "--jobs"),
        (["run", "--threads", "0"], "use 1 to"),
        (["run", "--threads", "100000"], "use 1 to"),
        (["run", "--seed", "-1"], "seed"),
        (["run", "--dtype", "int8"], "int8"),
        (["run", "--resume"], "--resume needs --out"),
        (["run", "--frobnicate"], "--frobnicate"),
        (["frobnicate"], "frobnicate"),
        (["report"], "RUN_DIR"),
        (["report", "tests"], "is no run folder"),
        (["list", "everything"], "everything"),
        (["list", "suites", "--suite", "smoke"], "list problems"),
    ],
)
def test_bad_input_gets_one_clear_line_and_exit_code_4(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()

    ran = Ran(capsys, *arguments)

    assert ran.code == 4
    assert says in ran.err
    assert ran.err.startswith("error: ")
    assert len(ran.err.strip().splitlines()) == 1
    assert ran.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["tests"], "nothing was written"


def test_a_toml_with_a_wrong_key_names_the_key(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text('description = "x"\n[[problems]]\ngroup = "g"\ndescriptor = ["ic1iw3oc1kw1"]\n')

    ran = Ran(capsys, "run", "--suite", suite)

    assert ran.code == 4
    assert "'descriptor'" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_an_existing_out_is_refused_and_untouched(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    ran = Ran(capsys, "run", *TINY, "--backend", "im2col", "--out", tmp_path)

    assert ran.code == 4
    assert "already holds files" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_out_that_cannot_be_written_is_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")

    ran = Ran(capsys, "run", *TINY, "--backend", "im2col", "--out", tmp_path / "file" / "run")

    assert ran.code == 4
    assert "cannot write to" in ran.err


@pytest.mark.parametrize("below", ["", "run", "deep/er/run"])
def test_an_out_behind_a_link_to_nowhere_is_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, below: str
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")

    ran = Ran(capsys, "check", *TINY, "--backend", "faulty:RefusesToLoad", "--out", link / below)

    assert ran.code == 4
    assert f"{link} is a link to nowhere; give --out another folder" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_a_failed_start_leaves_no_half_made_run_behind(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ran = Ran(capsys, "run", *TINY, "--backend", "faulty:RefusesToLoad", "--out", tmp_path / "run")

    assert ran.code == 4
    assert "its shared library is missing" in ran.err
    assert not (tmp_path / "run").exists()


def test_a_run_that_measured_nothing_is_not_called_a_success(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran = Ran(
        capsys, "run", *TINY[:4], "--budget", "0.000001s", "--backend", "im2col", "--out", tmp_path / "run", "--quiet"
    )

    assert ran.code == 3
    assert "every cell was skipped" in ran.err


def test_a_check_without_a_reference_is_not_called_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys, "check", *TINY, "--backend", "im2col", "--case-timeout", "0.000001s")

    assert ran.code == 3


def test_a_check_says_how_much_of_it_was_decided_and_skipped_cells_alone_are_no_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    problems = [item for h in (10, 15, 20, 25, 30, 40, 300) for item in ("--problem", f"ic2ih{h}oc3kh3")]

    ran = Ran(capsys, "check", *problems, "--backend", "naive,im2col", "--threads", "1", "--case-timeout", "10s")

    assert ran.code == 0, ran.err
    assert re.search(r"^naive: 6 of 7 problems decided \(1 skipped\) in \d+s$", ran.out, re.MULTILINE)
    assert re.search(r"^im2col: 7 of 7 problems decided in \d+s$", ran.out, re.MULTILINE)
    assert ran.err.strip() == "of 14 cells 1 skipped; --out DIR keeps all reasons"


def test_a_check_in_which_nothing_is_known_of_a_backend_is_not_called_a_success(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran = Ran(capsys, "check", *TINY[:4], "--backend", "im2col", "--budget", "0.000001s")

    assert ran.code == 3
    assert "nothing is known of im2col" in ran.err


def test_jobs_share_the_cores_and_say_the_same_in_the_same_order(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = [*SEVERAL, "--backend", "faulty:FlippedKernel,im2col", "--threads", "1"]

    alone = Ran(capsys, "check", *options)
    together = Ran(capsys, "check", *options, "--jobs", "2", "--out", tmp_path / "run")
    Ran(capsys, "check", "--problem", "ic2iw9oc2kw3", "--backend", "im2col", "--jobs", "64", "--out", tmp_path / "many")

    def wrong_lines(text: str) -> list[str]:
        # Each job explains the first failure that it meets, and explained ones are shown first.
        return sorted(line for line in text.splitlines() if line.startswith("WRONG: "))

    def without_times(text: str) -> str:
        return re.sub(r" in \d+s$", "", text.partition("\n\nreport: ")[0].strip(), flags=re.MULTILINE)

    assert together.code == alone.code == 2
    assert without_times(together.out) == without_times(alone.out)
    assert wrong_lines(together.err) == wrong_lines(alone.err) != []
    assert store.load(tmp_path / "many").header.threads == 1


def test_a_sample_says_what_it_leaves_out_and_is_the_same_when_resumed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    options = ["--suite", "smoke", "--sample", "4", "--seed", "7", "--backend", "im2col", "--threads", "1"]

    ran = Ran(capsys, "check", *options, "--out", folder, "--quiet")

    assert ran.code == 0, ran.err
    assert re.match(r"4 of \d+ cases, stratified; --seed 8 draws others\n", ran.err)
    cells = store.load(folder).cells
    assert len(cells) == 4
    (folder / "cells.jsonl").write_bytes((folder / "cells.jsonl").read_bytes().splitlines(keepends=True)[0])
    assert Ran(capsys, "check", "--resume", "--out", folder, "--quiet").code == 0
    assert {cell.key for cell in store.load(folder).cells} == {cell.key for cell in cells}
    other = Ran(capsys, "check", "--resume", "--out", folder, "--sample", "5", "--quiet")
    assert other.code == 4
    assert "its plan of 4 cells differs from this one of 5" in other.err


def test_a_reader_who_leaves_early_is_no_failure() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "list", "problems", "--suite", "edges"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stream:
        assert stream.read() == b""
    assert process.wait(timeout=30) == 0


def test_a_terminal_without_our_signs_gets_a_question_mark_not_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "list", "suites"],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0
    assert b"smoke" in done.stdout


def start(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    # Processes inherit what is ignored, as it is where the tests themselves run in the background of a shell.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests" / "support")} | (environment or {}),
    )


def wait_for(is_so: Callable[[], object]) -> None:
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("still not so after 60 s")


def wait_for_cells(folder: Path, count: int) -> None:
    journal = folder / "cells.jsonl"
    wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= count)


SEVERAL = [item for h in (8, 10, 12, 14, 16, 18) for item in ("--problem", f"ic4ih{h}oc4kh3")]


def test_a_killed_run_is_resumed_without_losing_or_repeating_a_cell(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    options = [*SEVERAL, "--backend", "im2col,naive", "--threads", "1", "--out", folder]
    process = start("run", *options)
    wait_for_cells(folder, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    before = (folder / "cells.jsonl").read_bytes()
    (folder / "cells.jsonl").write_bytes(before + b'{"key": {"problem": "torn')

    ran = Ran(capsys, "run", "--resume", "--out", folder)

    assert ran.code == 0, ran.err
    assert "was cut off" in ran.err
    after = (folder / "cells.jsonl").read_bytes()
    assert after.startswith(before)
    cells = store.load(folder).cells
    assert len(cells) == 12
    assert len({cell.key for cell in cells}) == 12


def test_a_terminated_run_reports_like_an_interrupted_one(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start("run", *SEVERAL, "--backend", "im2col,naive", "--threads", "1", "--out", folder)
    wait_for_cells(folder, 2)
    process.terminate()
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert "interrupted after" in err
    assert (folder / "report.html").exists()


def test_an_interrupt_keeps_what_is_done_reports_it_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start("run", *SEVERAL, "--backend", "im2col,naive", "--threads", "1", "--out", folder)
    wait_for_cells(folder, 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert "interrupted after" in err
    assert f"--resume --out {folder}" in err
    assert (folder / "report.html").exists()
    assert 2 <= len(store.load(folder).cells) < 12


def test_a_killed_check_leaves_nothing_that_the_next_run_does_not_remove(tmp_path: Path) -> None:
    left = tmp_path / "tmp"
    left.mkdir()
    environment = {"TMPDIR": str(left)}
    process = start("check", *TINY, "--backend", "im2col,faulty:Hangs", environment=environment)
    wait_for(lambda: list(left.glob("convbench-*/*/normal.npz")))
    process.kill()
    process.communicate(timeout=30)
    assert list(left.iterdir())

    process = start("check", *TINY, "--backend", "im2col", environment=environment)
    process.communicate(timeout=60)

    assert process.returncode == 0
    assert list(left.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ["run", "--problem", 'ic2ih8oc3kh3ph1n"named*3"', "--backend", "im2col", "--dtype", "f64", "--cache", "cold"],
        ["run", "--suite", "{suite}", "--backend", "im2col", "--memory-limit", "3GiB", "--prepare-timeout", "0.5m"],
        ["check", "--problem", "ic2ih8oc3kh3", "--backend", "faulty:FlippedKernel", "--probe", "one-hot"],
    ],
    ids=["descriptor", "picture", "wrong"],
)
def test_the_line_in_a_cells_row_repeats_exactly_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: list[str]
) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(
        'description = "x"\n[[problems]]\ngroup = "g"\ndata = "mri"\ndescriptors = ["ic1ih256oc2kh3ph1"]\n'
    )
    options = [option.format(suite=suite) for option in options]
    common = ["--threads", "1", "--seed", "5", "--case-timeout", "20.5s", "--quiet"]
    first = Ran(capsys, *options, *common, "--out", tmp_path / "first")
    (line,) = pd.read_csv(tmp_path / "first" / "summary.csv")["repeat"]
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "harness"]
    second = Ran(capsys, *words[3:], "--out", tmp_path / "second", "--quiet")

    assert second.code == first.code
    one, other = (store.load(tmp_path / name) for name in ("first", "second"))
    (cell,), (again,) = one.cells, other.cells
    assert (line in first.err) == (cell.status is not Status.OK), "who is named on the terminal has the line there"
    assert (again.key, again.dtype, again.threads_asked) == (cell.key, cell.dtype, cell.threads_asked)
    assert again.check == cell.check
    for name in ("seed", "cache", "case_timeout_s", "prepare_timeout_s", "memory_limit_bytes", "probes", "is_timed"):
        assert getattr(other.header, name) == getattr(one.header, name), name
    assert pd.read_csv(tmp_path / "second" / "summary.csv")["repeat"].tolist() == [line]


def test_a_reader_who_leaves_before_the_end_of_a_run_costs_neither_report_nor_exit_code(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start("check", *TINY, "--backend", "faulty:FlippedKernel", "--out", folder)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()

    assert process.wait(timeout=60) == 2
    assert (folder / "report.html").exists()


def test_an_interrupt_ends_hanging_workers_of_all_jobs(tmp_path: Path) -> None:
    options = [*SEVERAL, "--backend", "im2col,faulty:Hangs", "--jobs", "2", "--case-timeout", "60s"]
    process = start("check", *options, environment={"TMPDIR": str(tmp_path)})
    wait_for(lambda: len(list(tmp_path.glob("convbench-*/*/normal.npz"))) == 2)
    workers = [pid for pid, parent in parents().items() if parent == process.pid]
    assert len(workers) == 6

    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("finishing the cell in flight")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 3
    assert "interrupted after 0 of 12 cells" in err
    assert not set(workers) & set(parents())
    assert list(tmp_path.iterdir()) == []


def parents() -> dict[int, int]:
    """Every process and who started it."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return found


@pytest.mark.parametrize(
    ("option", "says"),
    [(["--seed", "5"], "seed was 0, now 5"), (["--backend", "naive"], "its plan of 1 cells differs")],
)
def test_a_run_is_not_resumed_as_something_else(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: list[str], says: str
) -> None:
    folder = tmp_path / "run"
    Ran(capsys, "run", *TINY, "--backend", "im2col", "--out", folder, "--quiet")
    before = (folder / "cells.jsonl").read_bytes()

    ran = Ran(capsys, "run", "--resume", "--out", folder, *option)

    assert ran.code == 4
    assert says in ran.err
    assert (folder / "cells.jsonl").read_bytes() == before


@pytest.mark.parametrize("command", [[], ["run"], ["check"], ["report"], ["list"], ["doctor"]])
def test_every_command_explains_itself_with_an_example(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    ran = Ran(capsys, *command, "--help")

    assert ran.code == 0
    assert "python -m harness" in ran.out


def test_lists_show_backends_suites_and_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert "torch[layout=channels_last]" in Ran(capsys, "list", "backends").out
    assert "resnet50" in Ran(capsys, "list", "suites").out
    assert "ic" in Ran(capsys, "list", "problems", "--suite", "smoke").out


def test_a_listed_problem_can_be_given_back_as_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    line = Ran(capsys, "list", "problems", "--suite", "smoke").out.splitlines()[0]

    ran = Ran(capsys, "check", "--problem", line.split("  #")[0], "--backend", "im2col", "--threads", "1")

    assert ran.code == 0, ran.err


def test_doctor_looks_at_the_timer_the_cores_and_other_work(capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys, "doctor")

    assert ran.code == 0
    for topic in ("timer", "other work", "interruptions", "cores", "memory"):
        assert topic in ran.out


def test_help_and_list_load_no_numerical_library() -> None:
    code = (
        "import sys\n"
        "from harness import cli\n"
        "try:\n    cli.main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'scipy', 'numba', 'torch', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for arguments in (["--help"], ["list", "backends"], ["list", "suites"]):
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=ROOT, capture_output=True, timeout=60)
