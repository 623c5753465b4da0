"""Backends that write where they should not, or close what is not theirs."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from backends import Array, ConvProblem
from faulty.control import Transformed


def descriptors() -> list[int]:
    """All that are open here."""
    return [int(path.name) for path in Path("/proc/self/fd").iterdir()]


class FloodsOutput(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        for _ in range(64):
            sys.stdout.write('{"type":"Done"}\n' * 4096)
            sys.stderr.write("noise " * 4096)
        sys.stdout.flush()
        return y


class FloodsWithoutEnd(Transformed):
    """Writes what it can, and no line of it ends."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        while True:
            os.write(1, bytes(1 << 16))
            os.write(2, b"\xff" * (1 << 16))


class WritesToEveryDescriptor(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        for descriptor in descriptors():
            with contextlib.suppress(OSError):
                os.write(descriptor, b"\x00 garbage \xff\n")
        return y


class ForgesAReply(Transformed):
    """Writes what would be a reply, into whatever it finds."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        for descriptor in descriptors():
            with contextlib.suppress(OSError):
                os.write(descriptor, b'0123456789abcdef {"type":"Prepared","prepare_ns":1,"first_call_ns":1}\n')
        return y


class NeverEndsItsLine(Transformed):
    """Fills every pipe but the usual two without a line break."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        pipes = [one for one in descriptors() if one > 2 and Path(f"/proc/self/fd/{one}").is_fifo()]
        while True:
            for descriptor in list(pipes):
                try:
                    os.write(descriptor, b"x" * (1 << 16))
                except OSError:
                    pipes.remove(descriptor)


class ClosesEverything(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os.closerange(0, 1000)
        return y


class TakesOverThePipe(Transformed):
    """Closes all descriptors and opens files that get their numbers."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os.closerange(3, 100)
        for _ in range(50):
            os.open(os.devnull, os.O_RDWR)
        return y


class ClosesOutputs(Transformed):
    """No fault of its results."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        os.closerange(0, 3)
        sys.stdout = sys.stderr = None
        return y
