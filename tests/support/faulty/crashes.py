"""Backends that end their process."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import sys
import tempfile

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


class ReadsANullPointer(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        return ctypes.memset(8, 1, 1)


class Aborts(Transformed):
    """As C++ does over an exception that nobody catches."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os.write(2, b"older\nold\nterminate called after throwing\n  what(): tile \x1b[31mtoo large\xc3\n\n")
        os.abort()


class FreesTwice(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        block = ctypes.c_void_p(libc.malloc(64))
        libc.free(block)
        libc.free(block)
        return y


class DividesByZero(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os.kill(os.getpid(), signal.SIGFPE)
        return y


class ReadsBeyondItsFile(Transformed):
    """Maps a file that is shorter by the time it is read: a bus error."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        with tempfile.TemporaryFile() as file:
            file.truncate(1 << 16)
            mapped = mmap.mmap(file.fileno(), 1 << 16)
            file.truncate(0)
            return mapped[1 << 15]


class OverflowsTheStack(Transformed):
    """Recurses through C, beyond what Python counts."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        sys.setrecursionlimit(1 << 30)

        def deeper(_: object) -> object:
            return max([0], key=deeper)

        return deeper(None)


class KillsItself(Transformed):
    """What a person with `kill -9` does, though memory is plentiful."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os.kill(os.getpid(), signal.SIGKILL)
        return y


class KillsItsGroup(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os.killpg(0, signal.SIGTERM)
        return y


class KillsItsParent(Transformed):
    """Takes its guard with it, after it has set a process free."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        if os.fork() == 0:
            os.setsid()
            signal.pause()
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()
        return y


class LimitsItsTime(Transformed):
    """Has a second of processor time, and uses it."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
        while True:
            pass
