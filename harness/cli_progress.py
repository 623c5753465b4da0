"""The live progress bar: what is being measured, how far, and how long it will take."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

from harness.cases import Case
from harness.events import BackendStarted, CaseStarted, Event
from harness.records import Cell, Status


class Progress:
    """Shows the events of a run on stderr; a terminal gets a bar, anything else gets nothing.

    Args:
        is_quiet: Show nothing at all.
    """

    def __init__(self, *, is_quiet: bool) -> None:
        console = Console(stderr=True)
        self._is_shown = console.is_terminal and not is_quiet
        self._bar = RichProgress(
            BarColumn(bar_width=16),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=7)),
            TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
            TextColumn("left", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            console=console,
            disable=not self._is_shown,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        """Bring the bar up to date; what failed is said above it at once."""
        match event:
            case CaseStarted():
                # With several jobs the cases before may still be under way, which is near enough for a bar.
                done = event.number - 1
                self._bar.update(self._task, total=event.total, completed=done, description=_title(event.case))
            case BackendStarted():
                description = f"{_title(event.case)}: {event.step} {escape(event.backend)}"
                self._bar.update(self._task, description=description)
            case Cell() if self._is_shown and event.status not in (
                Status.OK,
                Status.NOISY,
                Status.UNSUPPORTED,
                Status.SKIPPED,
            ):
                self._bar.console.print(
                    f"[bold red]{event.status.value}[/] {escape(event.key.backend)} on"
                    f" {escape(event.label or event.key.problem)}: {escape(event.reason or '')}"
                )
            case _:
                pass


def _title(case: Case) -> str:
    return escape((case.problem.label or str(case.problem))[:40])
