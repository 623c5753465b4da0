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
from harness import doctor, environment, plan, report, resuming, runner, store, strata, tally
from harness.cli_console import PlainConsole
from harness.cli_progress import Progress
from harness.failure_text import explanation_lines
from harness.plan import RunSettings
from harness.probes import EVERY_PROBE
from harness.records import Cell, Explanation, RunHeader, Status
from harness.selection import Selection, SelectionError, seconds, select, size_bytes

RESULTS = Path("results")
_DEFAULT_BUDGET_S = 300.0
# More wrong or unfinished cells than this are a pattern that the first of them shows.
_MOST_WRONG_SAID = 5


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
    sample: int | None
    jobs: int | None = None
    probe: tuple[str, ...] = ()

    @property
    def default_suites(self) -> tuple[str, ...]:
        """What is worked on where neither a suite nor a problem is named: a check begins with what shows most."""
        if self.suites or self.problems:
            return self.suites
        return () if self.is_timed else ("conformance", "default")


def carry_out(asked: Asked) -> int:
    """Run or check, write what is asked for, and return the exit code."""
    if asked.resume and asked.out is None:
        raise SelectionError("--resume needs --out DIR, the folder of the run to finish")
    if asked.resume and asked.out is not None:
        return _resume(asked, store.load(asked.out))
    selection = select(asked.default_suites, asked.problems, asked.backends, asked.dtype)
    selection = _sampled(selection, asked.sample, asked.seed)
    settings = _settings(asked, selection)
    header = _header(asked, selection, settings)
    folder = asked.out
    if folder is None and asked.is_timed:
        folder = RESULTS / _folder_name(header)
    if folder is not None:
        _require_target(folder)
        store.require_new(folder)
    return _measure(selection, settings, header, folder, None, asked)


def _resume(asked: Asked, stored: store.StoredRun) -> int:
    """Finish a stored run with the options it was started with; those given again must agree."""
    header = stored.header
    kept = replace(
        asked,
        is_timed=header.is_timed,
        jobs=None if header.is_timed else asked.jobs,
        suites=asked.suites or header.suites,
        problems=asked.problems or header.problems,
        backends=asked.backends or header.backends,
        dtype=asked.dtype or header.dtype,
        probe=asked.probe or header.probes,
        threads=header.threads if asked.threads is None else asked.threads,
        seed=asked.seed if "seed" in asked.given else header.seed,
        budget=_duration(header.budget_s) if asked.budget is None and header.budget_s is not None else asked.budget,
        case_timeout=asked.case_timeout if "case_timeout" in asked.given else _duration(header.case_timeout_s),
    )
    selection = select(kept.default_suites, kept.problems, kept.backends, kept.dtype)
    if asked.sample is not None:
        selection = _sampled(selection, asked.sample, kept.seed)
    else:
        selection = resuming.drawn_again(selection, header, kept.seed)
    settings = _settings(kept, selection)
    if header.memory_limit_bytes is not None and "memory_limit" not in asked.given:
        settings = replace(settings, memory_limit_bytes=header.memory_limit_bytes)
    now = _header(kept, selection, settings)
    differences = resuming.differences(header, now, is_timed_asked=asked.is_timed)
    if differences:
        raise SelectionError(f"{stored.folder} cannot be resumed: {'; '.join(differences)}; start a new run instead")
    if stored.torn_line is not None:
        _say(f"the last line of {stored.folder / store.JOURNAL} was cut off; its cell is measured again")
    return _measure(selection, settings, header, stored.folder, stored, asked)


def _sampled(selection: Selection, n: int | None, seed: int) -> Selection:
    """The sample asked for, with a word on what it leaves out; without one, the selection as it is."""
    total = len(selection.cases)
    if n is None or n >= total:
        return selection
    _say(f"{n:,} of {total:,} cases, stratified; --seed {seed + 1} draws others")
    return replace(selection, cases=strata.sample(selection.cases, n, seed))


def _require_target(folder: Path) -> None:
    """Refuse a folder that lies behind a link to nowhere: it looks as if nothing were there, but cannot be made."""
    for path in (folder, *folder.parents):
        if path.is_symlink() and not path.exists():
            raise SelectionError(f"cannot write to {folder}: {path} is a link to nowhere; give --out another folder")


def _duration(value_s: float) -> str:
    return f"{value_s:.9f}s"


def _settings(asked: Asked, selection: Selection) -> RunSettings:
    available = thread_counts.available()
    jobs = 1 if asked.jobs is None else asked.jobs
    threads = max(1, available // jobs) if asked.threads is None else asked.threads
    if not 1 <= threads <= available:
        raise SelectionError(f"--threads {threads} is not possible here; use 1 to {available}, the cores usable here")
    if asked.budget is not None:
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
        memory_limit_bytes=None if asked.memory_limit is None else size_bytes(asked.memory_limit, "--memory-limit"),
        is_timed=asked.is_timed,
        jobs=jobs,
        # In the order in which they are always made, whatever the order of asking.
        probes=tuple(name for name in EVERY_PROBE if name in asked.probe),
    )


def _header(asked: Asked, selection: Selection, settings: RunSettings) -> RunHeader:
    keys = plan.plan_keys(selection.cases, selection.backends)
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
        probes=settings.probes,
        suites=asked.suites,
        problems=asked.problems,
        backends=selection.backends,
        cells_planned=len(keys),
        machine=environment.machine(),
        libraries=environment.libraries(),
        commit=environment.commit(),
        warnings=doctor.warnings(doctor.examine()) if asked.is_timed and not asked.resume else (),
        plan=keys,
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
    finished = frozenset(plan.place_of(cell) for cell in cells)
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
    left_open = tally.what_is_open(header, cells)
    if left_open is not None:
        _say(left_open if folder is not None else f"{left_open}; --out DIR keeps all reasons")
    return tally.exit_code(header, cells, was_interrupted=was_interrupted)


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
        if not header.is_timed:
            lines = "\n".join(map(str, tally.coverage(header, cells)))
            console.print(f"\n{lines}", highlight=False, markup=False, soft_wrap=True)
    place = {key: number for number, key in enumerate(header.plan)}
    # Jobs end their cells in any order; two runs of the same plan should read the same.
    wrong = [cell for cell in cells if cell.status is Status.WRONG]
    wrong.sort(key=lambda cell: (_explanation_of(cell) is None, place.get(cell.key, len(place))))
    for cell in wrong[:_MOST_WRONG_SAID]:
        _say(f"WRONG: {cell.key.backend} on {cell.label or cell.key.problem}: {cell.reason}")
        explanation = _explanation_of(cell)
        if explanation is None:
            _say(f"  repeat: {report.repeat_line(header, cell)}")
        else:
            _say("\n".join(explanation_lines(cell.key.backend, explanation, header.seed)))
    if len(wrong) > _MOST_WRONG_SAID:
        _say(f"WRONG: {len(wrong) - _MOST_WRONG_SAID} more; --out DIR keeps all of them with their reasons")
    unfinished = [cell for cell in cells if cell.status in tally.BROKEN_OFF]
    for cell in unfinished[:_MOST_WRONG_SAID]:
        status = cell.status.value.upper().replace("_", " ")
        _say(f"{status}: {cell.key.backend} on {cell.label or cell.key.problem}: {cell.reason}")
        _say(f"  repeat: {report.repeat_line(header, cell)}")
    if folder is not None:
        # Pictures need NumPy and matplotlib, which no other part of a command line has to wait for.
        from harness.report.edges import pictures_of

        paths = report.write_report(folder, header, cells, pictures_of(cells))
        click.echo(f"\nreport:  {paths.html}\ntable:   {paths.summary}\nplots:   {folder / 'plots'}")


def _explanation_of(cell: Cell) -> Explanation | None:
    return cell.check.explanation if cell.check else None


def report_again(folders: Sequence[Path], *, is_quiet: bool) -> int:
    """Rebuild everything that is made from the stored cells."""
    for stored in [store.load(folder) for folder in folders]:
        if stored.torn_line is not None:
            _say(f"the last line of {stored.folder / store.JOURNAL} is cut off and left out: {stored.torn_line}...")
        _show(stored.header, stored.cells, stored.folder, is_quiet=is_quiet)
    return tally.EXIT_OK


def _say(message: str) -> None:
    click.echo(message, err=True)
