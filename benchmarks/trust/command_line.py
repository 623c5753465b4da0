"""Runs `python -m harness` in a process of its own, bounded in time, and reads back the run it stored."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.trust.neighbour import ROOT
from harness import store
from harness.records import Cell

# A run past its budget by so much is stuck, and ended.
_GRACE_S = 240.0


class CommandFailed(Exception):
    """A command that ended as it should not; the message holds the end of what it said."""


@dataclass(frozen=True, kw_only=True)
class TimedRun:
    """A stored run, and how long its process lived."""

    stored: store.StoredRun
    wall_s: float

    @property
    def measurements(self) -> tuple[Cell, ...]:
        """One cell a measurement: those that only show it in another place are left out."""
        return tuple({cell.key: cell for cell in self.stored.cells}.values())


def timed_run(folder: Path, arguments: Sequence[str], budget_s: float) -> TimedRun:
    """Carry out a run into a new folder.

    Raises:
        CommandFailed: It ended with another code than 0 or 3 (some cells skipped), or was stuck.
    """
    command = ["run", *arguments, "--budget", f"{budget_s:g}s", "--out", str(folder), "--quiet"]
    wall_s = wall_of([sys.executable, "-m", "harness", *command], limit_s=budget_s + _GRACE_S, codes=(0, 3))
    return TimedRun(stored=store.load(folder), wall_s=wall_s)


def wall_of(
    command: Sequence[str],
    *,
    limit_s: float,
    codes: Sequence[int] = (0,),
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> float:
    """The wall time of a command in seconds, from before its start to after its end.

    Raises:
        CommandFailed: It ended with another code, or took longer than the limit and was killed with all it started.
    """
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=limit_s)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise CommandFailed(f"{' '.join(command)} took longer than {limit_s:g} s and was ended") from None
        raise
    wall_s = time.monotonic() - start
    if process.returncode not in codes:
        raise CommandFailed(
            f"{' '.join(command)} ended with {process.returncode}: {said.decode(errors='replace')[-2000:]}"
        )
    return wall_s
