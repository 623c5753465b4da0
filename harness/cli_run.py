"""The commands that work on a run: carry one out or finish it, and report it."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from backends import threads as thread_counts
from harness import doctor, environment, report, runner, store
from harness.cli_console import PlainConsole
from harness.cli_progress import Progress
from harness.records import Cell, RunHeader, Status
from harness.runner import RunSettings
from harness.selection import Selection, SelectionError, seconds, select, size_bytes

EXIT_OK, EXIT_WRONG, EXIT_INCOMPLETE = 0, 2, 3
RESULTS = Path("results")
_DEFAULT_BUDGET_S = 300.0
# More wrong cells than this are a pattern that the first of them shows.
_MOST_WRONG_SAID = 10
_INCOMPLETE = (Status.CRASHED, Status.TIMEOUT, Status.OUT_OF_MEMORY)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of `run` and `check`, as typed."""

    is_timed: bool
    given: frozenset[str]
    suites: tuple[str, ...]
    problems: tuple[str, ...]
    backends: tuple[str, ...]
    dtype: str | None
    threads: int | None
    budget: str | None
    out: Path | None
    resume: bool
    seed: int
    case_timeout: str
    memory_limit: str | None
    quiet: bool


def carry_out(asked: Asked) -> int:
    """Run or check, write what is asked for, and return the exit code."""
    if asked.resume and asked.out is None:
        raise SelectionError("--resume needs --out DIR, the folder of the run to finish")
    if asked.resume and asked.out is not None:
        return _resume(asked, store.load(asked.out))
    selection = select(asked.suites, asked.problems, asked.backends, asked.dtype)
    settings = _settings(asked, selection)
    header = _header(asked, selection, settings)
    folder = asked.out
    if folder is None and asked.is_timed:
        folder = RESULTS / _folder_name(header)
    if folder is not None:
        store.require_new(folder)
    return _measure(selection, settings, header, folder, None, asked)


def _resume(asked: Asked, stored: store.StoredRun) -> int:
    """Finish a stored run with the options it was started with; those given again must agree."""
    header = stored.header
    kept = replace(
        asked,
        is_timed=header.is_timed,
        suites=asked.suites or header.suites,
        problems=asked.problems or header.problems,
        backends=asked.backends or header.backends,
        dtype=asked.dtype or header.dtype,
        threads=header.threads if asked.threads is None else asked.threads,
        seed=asked.seed if "seed" in asked.given else header.seed,
        budget=asked.budget or (f"{header.budget_s:.9f}s" if header.budget_s is not None else None),
        case_timeout=asked.case_timeout if "case_timeout" in asked.given else f"{header.case_timeout_s:.9f}s",
    )
    selection = select(kept.suites, kept.problems, kept.backends, kept.dtype)
    settings = _settings(kept, selection)
    if header.memory_limit_bytes is not None and "memory_limit" not in asked.given:
        settings = replace(settings, memory_limit_bytes=header.memory_limit_bytes)
    now = _header(kept, selection, settings)
    differences = _differences(header, now, is_timed_asked=asked.is_timed)
    if differences:
        raise SelectionError(f"{stored.folder} cannot be resumed: {'; '.join(differences)}; start a new run instead")
    if stored.torn_line is not None:
        _say(f"the last line of {stored.folder / store.JOURNAL} was cut off; its cell is measured again")
    return _measure(selection, settings, header, stored.folder, stored, asked)


def _differences(then: RunHeader, now: RunHeader, *, is_timed_asked: bool) -> list[str]:
    """What keeps two parts of a run from being one: each named with both values."""
    found = []
    if then.is_timed != is_timed_asked:
        found.append(f"it was started by {'run' if then.is_timed else 'check'}")
    for what, old, new in (
        ("seed", then.seed, now.seed),
        ("threads", then.threads, now.threads),
        ("processor", then.machine.get("cpu"), now.machine.get("cpu")),
        ("Python", then.machine.get("python"), now.machine.get("python")),
        ("commit", then.commit, now.commit),
        *((name, then.libraries.get(name), now.libraries.get(name)) for name in then.libraries | now.libraries),
    ):
        if old != new:
            found.append(f"{what} was {old}, now {new}")
    if then.plan != now.plan:
        found.append(f"its plan of {len(then.plan)} cells differs from this one of {len(now.plan)}")
    return found


def _settings(asked: Asked, selection: Selection) -> RunSettings:
    available = thread_counts.available()
    threads = available if asked.threads is None else asked.threads
    if not 1 <= threads <= available:
        raise SelectionError(f"--threads {threads} is not possible here; use 1 to {available}, the cores usable here")
    if asked.budget:
        budget_s = seconds(asked.budget, "--budget")
    elif asked.is_timed:
        budget_s = selection.budget_s or _DEFAULT_BUDGET_S
    else:
        budget_s = float("inf")
    return RunSettings(
        backends=selection.backends,
        threads=threads,
        seed=asked.seed,
        budget_s=budget_s,
        case_timeout_s=seconds(asked.case_timeout, "--case-timeout"),
        memory_limit_bytes=size_bytes(asked.memory_limit, "--memory-limit") if asked.memory_limit else None,
        is_timed=asked.is_timed,
    )


def _header(asked: Asked, selection: Selection, settings: RunSettings) -> RunHeader:
    plan = runner.plan_keys(selection.cases, selection.backends)
    return RunHeader(
        command=("python", "-m", "harness", *sys.argv[1:]),
        started_utc=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seed=settings.seed,
        budget_s=None if settings.budget_s == float("inf") else settings.budget_s,
        case_timeout_s=settings.case_timeout_s,
        memory_limit_bytes=settings.memory_limit_bytes,
        threads=settings.threads,
        dtype=asked.dtype,
        is_timed=asked.is_timed,
        suites=asked.suites,
        problems=asked.problems,
        backends=selection.backends,
        cells_planned=len(plan),
        machine=environment.machine(),
        libraries=environment.libraries(),
        commit=environment.commit(),
        warnings=doctor.warnings(doctor.examine()) if asked.is_timed and not asked.resume else (),
        plan=plan,
    )


def _folder_name(header: RunHeader) -> str:
    stamp = header.started_utc.replace("-", "").replace(":", "")
    return "-".join((stamp, environment.label(header.machine), header.commit or "nocommit"))


def _measure(
    selection: Selection,
    settings: RunSettings,
    header: RunHeader,
    folder: Path | None,
    earlier: store.StoredRun | None,
    asked: Asked,
) -> int:
    cells = list(earlier.cells) if earlier else []
    finished = frozenset(runner.place_of(cell) for cell in cells)
    was_interrupted = False
    for name in (signal.SIGTERM, signal.SIGHUP):
        # Whoever ends the run politely gets what Ctrl-C gets: the cells so far, reported.
        signal.signal(name, signal.default_int_handler)
    with contextlib.closing(runner.run(selection.cases, settings, finished=finished)) as events:
        # The first event comes when every backend is open: a mistyped one leaves no folder behind.
        first = next(events, None)
        if folder is not None and earlier is None:
            store.create(folder, header)
        journal_of_run = contextlib.nullcontext() if folder is None else store.Journal(folder)
        with journal_of_run as journal, Progress(is_quiet=asked.quiet) as progress:
            try:
                for event in itertools.chain([first] if first else [], events):
                    if isinstance(event, Cell):
                        if journal is not None:
                            journal.append(event)
                        cells.append(event)
                    progress.show(event)
            except KeyboardInterrupt:
                was_interrupted = True
    if was_interrupted:
        _say(f"interrupted after {len(cells)} of {header.cells_planned} cells{_how_to_go_on(header, folder)}")
    _show(header, cells, folder, is_quiet=asked.quiet)
    return EXIT_INCOMPLETE if was_interrupted and not _has(cells, Status.WRONG) else _exit_code(header, cells)


def _how_to_go_on(header: RunHeader, folder: Path | None) -> str:
    if folder is None:
        return ""
    command = "run" if header.is_timed else "check"
    return f"; go on with: python -m harness {command} --resume --out {shlex.quote(str(folder))}"


def _show(header: RunHeader, cells: Sequence[Cell], folder: Path | None, *, is_quiet: bool) -> None:
    """Tables on the terminal and, for a stored run, all files that are made from its cells."""
    if not is_quiet:
        console = PlainConsole()
        console.print(report.terminal_tables(header, cells, width=console.width))
    wrong = [cell for cell in cells if cell.status is Status.WRONG]
    for cell in wrong[:_MOST_WRONG_SAID]:
        _say(f"WRONG: {cell.key.backend} on {cell.label or cell.key.problem}: {cell.reason}")
        _say(f"  repeat: {report.repeat_line(header, cell)}")
    if len(wrong) > _MOST_WRONG_SAID:
        _say(f"WRONG: {len(wrong) - _MOST_WRONG_SAID} more; --out DIR keeps all of them with their reasons")
    if folder is not None:
        # Pictures need NumPy and matplotlib, which no other part of a command line has to wait for.
        from harness.report.edges import pictures_of

        paths = report.write_report(folder, header, cells, pictures_of(cells))
        click.echo(f"\nreport:  {paths.html}\ntable:   {paths.summary}\nplots:   {folder / 'plots'}")


def _exit_code(header: RunHeader, cells: Sequence[Cell]) -> int:
    if _has(cells, Status.WRONG):
        return EXIT_WRONG
    if _has(cells, *_INCOMPLETE):
        return EXIT_INCOMPLETE
    # Nothing went wrong, but where the whole point was left out, silence would be taken for success.
    if not header.is_timed and _has(cells, Status.SKIPPED, Status.MISTRUSTED):
        _say("some cells could not be checked; --out DIR keeps the reasons")
        return EXIT_INCOMPLETE
    if cells and all(cell.status is Status.SKIPPED for cell in cells):
        _say(f"every cell was skipped: {cells[0].reason}")
        return EXIT_INCOMPLETE
    return EXIT_OK


def _has(cells: Sequence[Cell], *statuses: Status) -> bool:
    return any(cell.status in statuses for cell in cells)


def report_again(folders: Sequence[Path], *, is_quiet: bool) -> int:
    """Rebuild everything that is made from the stored cells."""
    for stored in [store.load(folder) for folder in folders]:
        if stored.torn_line is not None:
            _say(f"the last line of {stored.folder / store.JOURNAL} is cut off and left out: {stored.torn_line}...")
        _show(stored.header, stored.cells, stored.folder, is_quiet=is_quiet)
    return EXIT_OK


def _say(message: str) -> None:
    click.echo(message, err=True)
