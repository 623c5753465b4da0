"""The commands that work on a run: carry one out or finish it, and report it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import cli_show, plan, resuming, run_lock, runner, store, strata, tally
from harness.cli_asked import Asked, completed, folder_name, header_of, settings_of
from harness.cli_interrupts import Interrupts
from harness.cli_progress import Progress
from harness.cli_show import say
from harness.errors import StoreError, WriteFailed, disk_remedy
from harness.journal import JOURNAL, Journal
from harness.plan import CellPlace, RunSettings
from harness.records import Ceilings, Cell, RunHeader
from harness.selection import Selection, SelectionError, select

RESULTS = Path("results")


@dataclass(frozen=True, kw_only=True)
class _Task:
    """A run that is about to be carried out, or finished."""

    asked: Asked
    selection: Selection
    settings: RunSettings
    header: RunHeader
    folder: Path | None
    """None for a check that keeps nothing."""
    earlier: tuple[Cell, ...] | None = None
    """What a run that is finished now has already; None of a new one."""


@dataclass(kw_only=True)
class _Ended:
    """What is there when the measuring ends, in whatever way."""

    cells: dict[CellPlace, Cell] = field(default_factory=dict)
    why_early: str | None = None
    """In a sentence; None where the plan was carried out."""
    is_hurried: bool = False
    """Whoever ended it does not want to wait for a report."""
    ceilings: list[Ceilings] = field(default_factory=list)
    spent_s: dict[str, float] = field(default_factory=dict)

    def header(self, begun: RunHeader) -> RunHeader:
        """The header of the run as it began, with what came to be known; parts of a resumed run add up."""
        spent_s = {
            name: round(begun.spent_s.get(name, 0.0) + self.spent_s.get(name, 0.0), 3)
            for name in begun.spent_s | self.spent_s
        }
        return replace(begun, ceilings=(*begun.ceilings, *self.ceilings), spent_s=spent_s)


def carry_out(asked: Asked) -> int:
    """Run or check, write what is asked for, and return the exit code."""
    if asked.resume and asked.out is None:
        raise SelectionError("--resume needs --out DIR, the folder of the run to finish")
    with Interrupts() as interrupts:
        try:
            with _prepared(asked) as task:
                return _finished(task, _measured(task, interrupts), interrupts)
        except KeyboardInterrupt:
            say("interrupted before anything was measured; nothing is changed, start again with the same command")
            return tally.EXIT_INCOMPLETE


@contextlib.contextmanager
def _prepared(asked: Asked) -> Iterator[_Task]:
    """What is to be done, with its folder held against others."""
    if asked.resume and asked.out is not None:
        store.load(asked.out)  # a folder that is no run stays as it is, without a lock in it
        with run_lock.held(asked.out):
            yield _resumed(asked, store.load(asked.out))
        return
    selection = select(asked.default_suites, asked.problems, asked.backends, asked.dtype)
    selection = _sampled(selection, asked.sample, asked.seed)
    settings = settings_of(asked, selection)
    header = header_of(asked, selection, settings)
    folder = asked.out
    if folder is None and asked.is_timed:
        folder = RESULTS / folder_name(header)
    task = _Task(asked=asked, selection=selection, settings=settings, header=header, folder=folder)
    if folder is None:
        yield task
        return
    _require_target(folder)
    store.require_new(folder)
    with run_lock.held(folder):
        store.require_new(folder)  # again: another run may have begun and ended in between
        yield task


def _resumed(asked: Asked, stored: store.StoredRun) -> _Task:
    """A stored run with the options it was started with; those given again must agree."""
    header = stored.header
    kept = completed(asked, header)
    selection = select(kept.default_suites, kept.problems, kept.backends, kept.dtype)
    if asked.sample is not None:
        selection = _sampled(selection, asked.sample, kept.seed)
    else:
        selection = resuming.drawn_again(selection, header, kept.seed)
    settings = settings_of(kept, selection, header.cores)
    now = header_of(kept, selection, settings)
    differences = resuming.differences(header, now, is_timed_asked=asked.is_timed)
    if differences:
        raise SelectionError(f"{stored.folder} cannot be resumed: {'; '.join(differences)}; start a new run instead")
    if stored.torn_line is not None:
        say(f"the last line of {stored.folder / JOURNAL} was cut off; its cell is measured again")
    return _Task(
        asked=asked,
        selection=selection,
        settings=settings,
        header=header,
        folder=stored.folder,
        earlier=stored.cells,
    )


def _sampled(selection: Selection, n: int | None, seed: int) -> Selection:
    """The sample asked for, with a word on what it leaves out; without one, the selection as it is."""
    total = len(selection.cases)
    if n is None or n >= total:
        return selection
    say(f"{n:,} of {total:,} cases, stratified; --seed {seed + 1} draws others")
    return replace(selection, cases=strata.sample(selection.cases, n, seed))


def _require_target(folder: Path) -> None:
    """Refuse a folder that lies behind a link to nowhere: it looks as if nothing were there, but cannot be made."""
    for path in (folder, *folder.parents):
        if path.is_symlink() and not path.exists():
            raise SelectionError(f"cannot write to {folder}: {path} is a link to nowhere; give --out another folder")


def _measured(task: _Task, interrupts: Interrupts) -> _Ended:
    """Carry out what is left of the plan, each cell kept before the next is begun."""
    ended = _Ended(cells={plan.place_of(cell): cell for cell in task.earlier or ()})
    has_begun = task.earlier is not None
    try:
        events = runner.run(
            task.selection.cases,
            task.settings,
            finished=tuple(ended.cells.values()),
            stop_soon=interrupts.is_asked,
        )
        with contextlib.closing(events):
            # The first event comes when every backend is open: a mistyped one leaves no folder behind.
            first = next(events, None)
            if task.folder is not None and task.earlier is None:
                store.create(task.folder, task.header)
            has_begun = True
            interrupts.let_finish("the cell in flight")
            _kept(itertools.chain([first] if first else [], events), task, ended, interrupts)
    except KeyboardInterrupt:
        if not has_begun:
            raise
        ended.is_hurried = True
    except WriteFailed as error:
        if not ended.cells:
            raise StoreError(f"{error}{_how_to_go_on(task.header, task.folder)}") from error
        ended.why_early = f"error: {error}"
    except OSError as error:
        if not has_begun:
            raise
        # Such as a full /tmp, through which workers pass arrays.
        where = error.filename or "a file"
        ended.why_early = f"error: {where} cannot be used ({error.strerror}); {disk_remedy(error)}"
    if ended.why_early is None and (ended.is_hurried or interrupts.is_asked()) and _is_part(task, ended):
        ended.why_early = f"interrupted after {len(ended.cells)} of {task.header.cells_planned} cells"
    return ended


def _kept(events: Iterator[runner.Event], task: _Task, ended: _Ended, interrupts: Interrupts) -> None:
    journal_of_run = contextlib.nullcontext() if task.folder is None else Journal(task.folder)
    with journal_of_run as journal, Progress(is_quiet=task.asked.quiet) as progress:
        for event in events:
            match event:
                case Cell():
                    with interrupts.deferred():
                        if journal is not None:
                            journal.append(event)
                        ended.cells[plan.place_of(event)] = event
                case runner.CeilingsMeasured():
                    ended.ceilings.append(event.ceilings)
                    _keep_header(task, ended)
                case runner.RunEnded():
                    ended.spent_s = event.spent_s
                    _keep_header(task, ended)
                case _:
                    pass
            progress.show(event)


def _keep_header(task: _Task, ended: _Ended) -> None:
    """Write what came to be known of the run as a whole: the journal holds cells only."""
    if task.folder is not None:
        store.replace_header(task.folder, ended.header(task.header))


def _is_part(task: _Task, ended: _Ended) -> bool:
    return len(ended.cells) < task.header.cells_planned


def _finished(task: _Task, ended: _Ended, interrupts: Interrupts) -> int:
    """Say what came of it, write the report unless somebody is in a hurry, and return the exit code."""
    header, folder, cells = ended.header(task.header), task.folder, tuple(ended.cells.values())
    is_early = ended.is_hurried or ended.why_early is not None
    if ended.why_early is not None:
        say(f"{ended.why_early}{_how_to_go_on(header, folder)}")
    interrupts.let_finish("the report")
    try:
        if not task.asked.quiet:
            cli_show.show_tables(header, cells)
        cli_show.show_cells(header, cells)
        left_open = tally.what_is_open(header, cells)
        if left_open is not None:
            say(left_open if folder is not None else f"{left_open}; --out DIR keeps all reasons")
        if folder is not None and ended.is_hurried:
            say(f"the report is left out; make it with: {cli_show.report_command(folder)}")
        elif folder is not None:
            is_early |= not cli_show.write_files(header, cells, folder)
    except KeyboardInterrupt:
        is_early = True
        if folder is not None:
            say(f"the report is left out; every cell is kept, make it with: {cli_show.report_command(folder)}")
    return tally.exit_code(header, cells, was_interrupted=is_early)


def _how_to_go_on(header: RunHeader, folder: Path | None) -> str:
    return "" if folder is None else f"; go on with: {cli_show.resume_command(header, folder)}"


def report_again(folders: Sequence[Path], *, is_quiet: bool) -> int:
    """Rebuild everything that is made from the stored cells."""
    code = tally.EXIT_OK
    for stored in [store.load(folder) for folder in folders]:
        writer = run_lock.holder(stored.folder)
        if writer is not None:
            say(
                f"{stored.folder} is being written by process {writer.pid}: this is a report of the first"
                f" {len(stored.cells)} of {stored.header.cells_planned} cells"
            )
        elif stored.torn_line is not None:
            say(
                f"the last line of {stored.folder / JOURNAL} is cut off and left out; measure its cell again with:"
                f" {cli_show.resume_command(stored.header, stored.folder)}"
            )
        if not is_quiet:
            cli_show.show_tables(stored.header, stored.cells)
        cli_show.show_cells(stored.header, stored.cells)
        if not cli_show.write_files(stored.header, stored.cells, stored.folder):
            code = tally.EXIT_INCOMPLETE
    return code
