"""Backends that start processes which are meant to outlive them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import ClassVar

from backends import Array, ConvProblem
from faulty.control import Transformed


class Hangs(Transformed):
    """Ignores polite signals, and leaves a grandchild behind."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        if path := os.environ.get("FAULTY_CHILD_PID_FILE"):
            with open(path, "w") as file:  # noqa: PTH123  # as short as a fault should be
                file.write(str(child.pid))
        time.sleep(600)
        return y


class LeavesProcesses(Transformed):
    """No fault of its results, but one child is in a session of its own, one a daemon by the book, and none heeds."""

    environment: ClassVar[dict[str, str] | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.has_left = False

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        if not self.has_left:
            self.has_left = True
            stays = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
            stays += f"  # {os.environ.get('RUN_OF_THIS_TEST')}"  # which is all that is left of it without a mark
            subprocess.Popen([sys.executable, "-c", stays], start_new_session=True, env=self.environment)
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                if os.fork():
                    os._exit(0)
                time.sleep(600)
        return y


class LeavesUnmarkedProcesses(LeavesProcesses):
    """Nothing in the environment of what it starts says where that comes from."""

    environment: ClassVar[dict[str, str]] = {}


class LeavesProcessesAndDies(LeavesProcesses):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        super().spoil(y, x, problem)
        os._exit(9)


class LeavesProcessesAndHangs(LeavesProcesses):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        super().spoil(y, x, problem)
        time.sleep(600)
        return y


class StopsItsParent(LeavesProcesses):
    """No guard will answer."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        super().spoil(y, x, problem)
        os.kill(os.getppid(), signal.SIGSTOP)
        time.sleep(600)
        return y


class MultipliesWithoutEnd(Transformed):
    """A small bomb: every process starts another as soon as it can, in a session of its own, and ends."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        for _ in range(3):
            if os.fork() == 0:
                while True:
                    time.sleep(0.01)
                    if os.fork():
                        os._exit(0)
                    os.setsid()
        time.sleep(600)
        return y
