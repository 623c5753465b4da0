"""What this machine can do at most: multiply-adds in registers, matrix products, and streaming at each memory level."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from backends import threads as thread_request
from backends.problem import ITEMSIZE
from harness import environment
from harness.bursts import Work, best_rate
from harness.records import Bandwidth, Ceilings

Clock = Callable[[], int]

# NumPy multiplies matrices of these by BLAS, and processors have multiply-adds of these in vectors.
_ARITHMETIC = ("float32", "float64")
_GEMM_SIZES = (512, 1024, 2048, 4096)
# Bandwidth takes the most: it has several levels.
_FMA_SHARE, _GEMM_SHARE = 0.2, 0.3
# Sizes of a common processor, where the system does not tell.
_L1_BYTES, _L2_BYTES, _L3_BYTES = 32 << 10, 1 << 20, 32 << 20
_MOST_BYTES = 1 << 30
_PARTS = 3
_ALIGNMENT = 64
# Of each part; what streams a large working set at a go has no short bursts, and is interrupted in each.
_PIECE_BYTES = 4 << 20


def measure(dtype: str, threads: int, when: str, limit_s: float = 2.0, clock: Clock = time.perf_counter_ns) -> Ceilings:
    """Measure for about `limit_s`, in a fresh process whose libraries were started with `threads` threads.

    Matrix products are NumPy's: other libraries may have better ones, but all are below the multiply-adds in registers,
    which hold for any. Without Numba there are no such multiply-adds and no bandwidths. Bandwidth counts bytes that the
    program reads and writes, not those that a cache fetches before it is written to (write-allocate), and is that of
    the better of a sum, which only reads, and STREAM's triad (McCalpin 1995), which reads two and writes one: a
    convolution may be anything between.

    Args:
        dtype: Of the arithmetic. For those of 16 bits there is neither product nor multiply-add here, only bandwidths.
        threads: Threads that compute together.
        when: "start" or "end", kept in the result.
        limit_s: Seconds for all; very slow machines take longer, since a few bursts are made of everything.
        clock: In nanoseconds.

    Raises:
        ValueError: dtype is unknown, or threads below 1.
    """
    if dtype not in ITEMSIZE:
        raise ValueError(f"dtype={dtype!r} is not supported; use one of {', '.join(ITEMSIZE)}")
    if threads < 1:
        raise ValueError(f"threads={threads}; use 1 or more")
    limit_ns = limit_s * 1e9
    fma = gemm = None
    if dtype in _ARITHMETIC:
        fma = fma_flop_per_s(dtype, threads, round(limit_ns * _FMA_SHARE), clock)
        gemm = gemm_flop_per_s(dtype, threads, round(limit_ns * _GEMM_SHARE), clock)
    return Ceilings(
        dtype=dtype,
        threads=threads,
        when=when,
        fma_flop_per_s=fma,
        gemm_flop_per_s=gemm,
        bandwidths=bandwidths(threads, round(limit_ns * (1 - _FMA_SHARE - _GEMM_SHARE)), clock),
    )


def fma_flop_per_s(dtype: str, threads: int, limit_ns: int, clock: Clock = time.perf_counter_ns) -> float | None:
    """Operations per second of fused multiply-adds on registers, two each; None where no kernel for them runs here."""
    kernels = _kernels()
    if kernels is None:
        return None
    factor = np.dtype(dtype).type(1)
    # The widest vectors are not always the fastest: some processors lower their clock for them.
    found = kernels.fma_kernels()
    rates = []
    for bits, kernel in found.items():
        kernel(1, factor)  # compiles
        flops = threads * 2 * kernels.CHAINS * kernels.STEPS * bits // (8 * factor.itemsize)
        adding = partial(_adding, kernel, factor)
        rates.append(flops * best_rate(adding, threads, limit_ns // len(found), clock))
    return max(rates, default=None)


def _adding(kernel: Callable[..., float], factor: Any, _: int) -> Work:
    return lambda repeats: kernel(repeats, factor)


def gemm_flop_per_s(dtype: str, threads: int, limit_ns: int, clock: Clock = time.perf_counter_ns) -> float:
    """Operations per second of NumPy's best product of square matrices."""
    thread_request.request(threads)
    thread_request.apply_to_blas()
    noise = np.random.default_rng(0)
    best, until = 0.0, clock() + limit_ns
    for place, size in enumerate(_GEMM_SIZES):
        flops = 2 * size**3
        # The first call and a few bursts; what would not fit is not begun, but one must be.
        if best and 5e9 * flops / best > until - clock():
            break
        left = noise.random((size, size)).astype(dtype)
        share_ns = max(0, until - clock()) // (len(_GEMM_SIZES) - place)
        best = max(best, flops * best_rate(partial(_multiplying, left), 1, share_ns, clock))
    return best


def _multiplying(left: Any, _: int) -> Work:
    right, product = left.T.copy(), np.empty_like(left)

    def work(repeats: int) -> None:
        for _ in range(repeats):
            np.matmul(left, right, out=product)

    work(1)
    return work


def bandwidths(threads: int, limit_ns: int, clock: Clock = time.perf_counter_ns) -> tuple[Bandwidth, ...]:
    """How fast all threads together stream working sets that fit each cache and none; empty without Numba."""
    kernels = _kernels()
    if kernels is None:
        return ()
    facts = environment.machine()
    sizes = working_sets(
        threads,
        l1_bytes=int(facts["l1d_cache_bytes"] or _L1_BYTES),
        l2_bytes=int(facts["l2_cache_bytes"] or _L2_BYTES),
        l3_bytes=int(facts["l3_cache_bytes"] or _L3_BYTES),
        free_bytes=_free_bytes(),
    )
    found = []
    for size in sizes:
        pieces = max(1, size // (threads * _PARTS * _PIECE_BYTES))
        piece = size // (threads * _PARTS * pieces * kernels.LINE_BYTES) * kernels.LINE_BYTES
        moved = threads * _PARTS * piece
        rates = [
            best_rate(partial(stream, kernels, piece, pieces), threads, limit_ns // (2 * len(sizes)), clock)
            for stream in (_reading, _adding_up)
        ]
        found.append(Bandwidth(working_set_bytes=moved * pieces, bytes_per_s=moved * max(rates)))
    return tuple(found)


def working_sets(threads: int, *, l1_bytes: int, l2_bytes: int, l3_bytes: int, free_bytes: int) -> list[int]:
    """Sizes to stream, ascending, of all threads together: half of each cache, and what no cache holds.

    Args:
        threads: Each has an L1 and L2 of its own, and all share the L3.
        l1_bytes, l2_bytes, l3_bytes: Of one cache.
        free_bytes: Memory that may be had; no more than a quarter is used.
    """
    sizes = [threads * l1_bytes // 2, threads * l2_bytes // 2]
    # The L3 that a virtual machine shows is its host's, and others fill most of it. Between it and an L2 that is tiny
    # beside it lies a size that a share of it still holds.
    sizes += [size for size in (4 * threads * l2_bytes,) if size < l3_bytes // 8]
    sizes += [l3_bytes // 2, min(4 * l3_bytes, _MOST_BYTES)]
    return sorted({size for size in sizes if size <= free_bytes // 4})


def _reading(kernels: ModuleType, piece: int, pieces: int, _: int) -> Work:
    memory = _touched(_PARTS * piece * pieces)
    read, _triad = kernels.stream_kernels()

    def move(repeats: int, place: int) -> None:
        read(repeats, memory.ctypes.data + _PARTS * piece * place, _PARTS * piece)

    return _in_turn(move, pieces)


def _adding_up(kernels: ModuleType, piece: int, pieces: int, _: int) -> Work:
    memory = _touched(_PARTS * piece * pieces)
    _read, triad = kernels.stream_kernels()

    def move(repeats: int, place: int) -> None:
        to = memory.ctypes.data + piece * place
        triad(repeats, to, to + piece * pieces, to + 2 * piece * pieces, piece)

    return _in_turn(move, pieces)


def _in_turn(move: Callable[[int, int], None], pieces: int) -> Work:
    """Work whose repeats are of one piece after the other, so that a cache that holds a piece is of no use."""
    if pieces == 1:
        return lambda repeats: move(repeats, 0)
    places = cycle(range(pieces))

    def work(repeats: int) -> None:
        for place in islice(places, repeats):
            move(1, place)

    return work


def _touched(size: int) -> Any:
    """So many bytes that begin on a line of the cache, written to by this thread, which decides where they lie."""
    held = np.empty(size + _ALIGNMENT, np.uint8)
    memory = held[-held.ctypes.data % _ALIGNMENT :][:size].view(np.float32)
    memory[:] = 1
    return memory


def _kernels() -> ModuleType | None:
    try:
        from harness import ceiling_kernels
    except ImportError:  # Numba is an extra
        return None
    return ceiling_kernels


def _free_bytes() -> int:
    """Memory that can be had without swapping; half of all, where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
