"""Backends that change their process for the worse, in ways that must not reach their results or anybody else."""

from __future__ import annotations

import gc
import os
import resource
import signal
import tempfile
import threading
import time

from backends import Array, ConvProblem
from faulty.control import Transformed


class IllMannered(Transformed):
    """Every bad habit that leaves results right, once."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = False

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        if not self.has_begun:
            self.has_begun = True
            self.misbehave()
        return y

    def misbehave(self) -> None:
        os.chdir("/")
        os.umask(0o777)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
        gc.disable()
        gc.freeze()
        os.environ.clear()
        tempfile.tempdir = "/nonexistent"
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.nice(19)


class StopsTheClock(IllMannered):
    """Looks infinitely fast to whoever asks the clock by its name."""

    def misbehave(self) -> None:
        stopped = time.perf_counter_ns()
        time.perf_counter_ns = lambda: stopped
        time.perf_counter = time.monotonic = time.time = lambda: stopped / 1e9


class AnswersTwice(Transformed):
    """Forks in its first call, and both processes return."""

    def __init__(self) -> None:
        super().__init__()
        self.has_forked = False

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        if not self.has_forked:
            self.has_forked = True
            os.fork()
        return y


class LeavesThreads(IllMannered):
    """Computes on after it has returned, on a few threads: one a call would soon leave no time for any."""

    def misbehave(self) -> None:
        def spin() -> None:
            while True:
                sum(range(1000))

        if threading.active_count() < 4:
            threading.Thread(target=spin, daemon=True).start()
