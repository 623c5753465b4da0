"""Backends that take memory without end, each by another way."""

from __future__ import annotations

import ctypes
import mmap
import os
import time

import numpy as np

from backends import Array, ConvProblem
from faulty.control import Transformed

_STEP = 16 << 20


class EatsMemory(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        hoard = [np.ones(1 << 24) for _ in range(64)]
        return y + 0 * hoard[0][0]


class EatsByMalloc(Transformed):
    """Does not ask whether it got any, as C code does."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        while True:
            ctypes.memset(libc.malloc(ctypes.c_size_t(_STEP)), 1, _STEP)


class EatsPrivateMaps(Transformed):
    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        hoard = []
        while True:
            hoard.append(mmap.mmap(-1, _STEP, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            hoard[-1].write(b"x" * _STEP)


class EatsSharedMaps(Transformed):
    """No limit of the kernel counts these. Slowly, so that a test takes no more than it must."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        hoard = []
        while True:
            hoard.append(mmap.mmap(-1, _STEP))
            hoard[-1].write(b"x" * _STEP)
            time.sleep(0.02)


class EatsMemoryFiles(Transformed):
    """Memory that is mapped nowhere."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        file = os.memfd_create("hoard")
        while True:
            os.write(file, b"x" * _STEP)
            time.sleep(0.02)


class EatsInChildren(Transformed):
    """No process holds much."""

    def spoil(self, y: Array, x: Array, problem: ConvProblem) -> object:
        for _ in range(40):
            if os.fork() == 0:
                held = np.ones(4 * _STEP, np.uint8)
                time.sleep(600)
                os._exit(int(held[0]))
            time.sleep(0.02)
        time.sleep(600)
        return y
