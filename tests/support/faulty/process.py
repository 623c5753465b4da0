"""Backends that end their process, hang in it, or use up what it has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np

from backends import Array, ConvCall, ConvProblem
from faulty.control import Correct, Transformed
from faulty.geometry import FlippedKernel


class Segfaults(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os.kill(os.getpid(), signal.SIGSEGV)
        return y


class SegfaultsOnGroups(Correct):
    """Reads a null pointer wherever there is more than one group."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        if problem.groups > 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().prepare(problem, weight, bias)


class ExitsQuietly(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os._exit(0)


class DiesWhileLoading(Correct):
    def __init__(self) -> None:
        os._exit(7)


class DiesWhenShrunk(FlippedKernel):
    """Wrong, and gone as soon as a problem has a single input channel."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        if problem.C_in == 1:
            os._exit(5)
        return super().prepare(problem, weight, bias)


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


class FloodsOutput(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        for _ in range(64):
            sys.stdout.write('{"type":"Done"}\n' * 4096)
            sys.stderr.write("noise " * 4096)
        sys.stdout.flush()
        return y


class EatsMemory(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        hoard = [np.ones(1 << 24) for _ in range(64)]
        return y + 0 * hoard[0][0]
