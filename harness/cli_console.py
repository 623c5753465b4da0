"""The console that commands print on: one whose reader may leave early."""

from __future__ import annotations

from rich.console import Console


class PlainConsole(Console):
    """Rich's console, except that a reader who has seen enough (head, a pager) is no failure of the command."""

    def on_broken_pipe(self) -> None:
        """Let the command line end quietly instead of exiting with 1 here.

        Raises:
            BrokenPipeError: Always.
        """
        raise BrokenPipeError
