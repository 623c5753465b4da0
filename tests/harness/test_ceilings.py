"""Ceilings: the kernels compute what they say in the vectors they say, and the best burst is found whatever disturbs."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import bursts, ceiling_kernels, ceilings, messages
from harness.worker import Worker

REGISTER = {256: "ymm", 512: "zmm"}


class FakeMachine:
    """A clock that only work moves: so many ns a repeat, each burst slowed by the next of some factors."""

    def __init__(self, repeat_ns: float, slowdowns: Iterator[float]) -> None:
        self.now_ns = 0
        self.lengths: list[int] = []
        self._repeat_ns = repeat_ns
        self._slowdowns = slowdowns

    def clock(self) -> int:
        return self.now_ns

    def prepare(self, number: int) -> bursts.Work:
        def work(repeats: int) -> None:
            took = round(repeats * self._repeat_ns * next(self._slowdowns))
            self.lengths.append(took)
            self.now_ns += took

        return work


def endless(*factors: float) -> Iterator[float]:
    while True:
        yield from factors


@given(st.floats(100.0, 1e6), st.lists(st.floats(1.0, 10.0), max_size=20))
def test_the_best_burst_counts_however_slow_the_others_were(repeat_ns: float, disturbed: list[float]) -> None:
    machine = FakeMachine(repeat_ns, endless(*disturbed, 1.0))
    found = bursts.best_rate(machine.prepare, 1, 5_000_000_000, machine.clock)
    assert found == pytest.approx(1e9 / repeat_ns, rel=0.01)


def test_bursts_too_short_to_time_do_not_count() -> None:
    # The clock flatters whatever is shorter than a burst should be.
    machine = FakeMachine(1000.0, endless(1.0))
    flattering = lambda: machine.now_ns if machine.lengths and machine.lengths[-1] >= bursts.SHORTEST_NS else 0  # noqa: E731
    assert bursts.best_rate(machine.prepare, 1, 50_000_000, flattering) == pytest.approx(1e6, rel=0.01)


def test_bursts_vary_in_length_so_that_some_fit_between_interruptions() -> None:
    machine = FakeMachine(1000.0, endless(1.0))
    bursts.best_rate(machine.prepare, 1, 100_000_000, machine.clock)
    counted = {took for took in machine.lengths if took >= bursts.SHORTEST_NS}
    assert min(counted) < 2 * bursts.SHORTEST_NS
    assert max(counted) >= 4 * bursts.SHORTEST_NS


def test_work_longer_than_the_limit_is_still_measured() -> None:
    machine = FakeMachine(5e9, endless(1.0))
    assert bursts.best_rate(machine.prepare, 1, 1, machine.clock) == pytest.approx(0.2)
    assert len(machine.lengths) < 10


def test_threads_work_together_and_a_burst_lasts_until_the_last_has_ended() -> None:
    at_work = threading.Barrier(3, timeout=60)
    numbers: list[int] = []

    def prepare(number: int) -> bursts.Work:
        numbers.append(number)
        return lambda _: at_work.wait()  # passes only if all three are at work at the same time

    assert bursts.best_rate(prepare, 3, 1, shortest_ns=0) > 0
    assert sorted(numbers) == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not say which cores a thread may use")
def test_as_many_threads_as_cores_have_a_core_each_and_the_caller_keeps_all() -> None:
    before = os.sched_getaffinity(0)
    seen: dict[int, set[int]] = {}

    def prepare(number: int) -> bursts.Work:
        seen[number] = os.sched_getaffinity(0)
        return lambda _: None

    bursts.best_rate(prepare, len(before), 1, shortest_ns=0)
    assert set.union(*seen.values()) == before
    assert sum(map(len, seen.values())) == len(before) or len(before) == 1
    seen.clear()
    bursts.best_rate(prepare, len(before) + 1, 1, shortest_ns=0)
    assert all(cores == before for cores in seen.values())
    assert os.sched_getaffinity(0) == before


def test_a_failing_thread_ends_the_others_and_its_error_is_raised() -> None:
    def prepare(number: int) -> bursts.Work:
        if number == 1:
            raise MemoryError("no room for the slice of thread 1")
        return lambda _: None

    with pytest.raises((MemoryError, threading.BrokenBarrierError)):
        bursts.best_rate(prepare, 3, 1_000_000_000)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", sorted(ceiling_kernels.fma_kernels()))
def test_every_chain_adds_up_every_product(bits: int, dtype: type[np.floating]) -> None:
    lanes = bits // (8 * np.dtype(dtype).itemsize)
    chains, repeats = ceiling_kernels.CHAINS, 3
    found = ceiling_kernels.fma_kernels()[bits](repeats, dtype(2))
    # Small integers: exact in both dtypes.
    assert found == lanes * (chains * repeats * ceiling_kernels.STEPS * 4 + sum(range(chains)))


@pytest.mark.parametrize("bits", sorted(ceiling_kernels.fma_kernels()))
def test_the_loop_is_multiply_adds_of_the_full_width_and_keeps_its_sums_in_registers(bits: int) -> None:
    loop = innermost_loop(ceiling_kernels.fma_kernels()[bits], (numba.int64, numba.float32))
    multiply_adds = [line for line in loop if re.search(rf"vfmadd\d+ps\b.*{REGISTER[bits]}", line)]
    assert multiply_adds
    assert len(multiply_adds) % ceiling_kernels.CHAINS == 0
    assert not [line for line in loop if "(%r" in line], "a sum is spilled to memory"
    assert len(loop) - len(multiply_adds) <= 4


@pytest.mark.parametrize(("name", "loads", "stores"), [("read", 1.0, 0.0), ("triad", 2.0, 1.0)])
def test_streaming_loops_move_full_vectors(name: str, loads: float, stores: float) -> None:
    kernel = dict(zip(("read", "triad"), ceiling_kernels.stream_kernels(), strict=True))[name]
    loop = innermost_loop(kernel, (numba.int64,) * (3 if name == "read" else 5))
    register = REGISTER[512 if kernel.__name__.endswith("512") else 256]
    stored = [line for line in loop if re.search(rf"vmov[au]ps\s+%{register}\d+, .*\(", line)]
    loaded = [line for line in loop if re.search(rf"\(.*%{register}", line) and line not in stored]
    vectors = ceiling_kernels.LINE_BYTES * 8 // int(kernel.__name__.rpartition("_")[2])
    assert (len(loaded) % vectors, len(loaded) / vectors >= loads) == (0, True)
    assert len(stored) * loads == len(loaded) * stores


def test_kernels_of_512_bits_use_the_whole_register_on_a_processor_that_has_it() -> None:
    # Compiled for one, whatever this one is, and not run.
    code = """
import numba
from harness import ceiling_kernels as kernels
for kernel, count in ((kernels.fma_512, 1), (kernels.read_512, 3), (kernels.triad_512, 5)):
    compiled = numba.njit(nogil=True)(kernel.py_func)
    compiled.compile((numba.int64,) * count + ((numba.float32,) if kernel is kernels.fma_512 else ()))
    (assembly,) = compiled.inspect_asm().values()
    print(assembly.count("vfmadd"), assembly.count("zmm"), sum("ymm" in line and "vextract" not in line
          for line in assembly.splitlines() if line.lstrip().startswith(("vfmadd", "vmovaps", "vaddps", "vmovups"))))
"""
    features = "+avx512f,+avx512vl,+avx512dq,+avx512bw,+avx512cd,+fma,+avx2,+avx"
    environment = os.environ | {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": features}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    (multiply_adds, _, narrow), *streams = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    assert multiply_adds >= ceiling_kernels.CHAINS
    assert [narrow, *(ymm for _, _, ymm in streams)] == [0, 0, 0]
    assert all(zmm >= ceiling_kernels.LINE_BYTES // 64 for _, zmm, _ in streams)


def innermost_loop(kernel: Callable[..., object], types: tuple[object, ...]) -> list[str]:
    """Instructions of the loop that repeats without another inside and has most of them; compiled anew, for Numba cannot show what it cached."""
    compiled = numba.njit(nogil=True)(kernel.py_func)
    compiled.compile(types)
    (assembly,) = compiled.inspect_asm().values()
    lines = [line.strip() for line in assembly.splitlines()]
    labels = {line[:-1]: place for place, line in enumerate(lines) if line.endswith(":")}
    loops = []
    for place, line in enumerate(lines):
        target = line.split()[-1] if re.match(r"j\w+\s", line) else None
        if target in labels and labels[target] < place:
            body = lines[labels[target] + 1 : place + 1]
            if not any(item.endswith(":") for item in body):
                loops.append([item for item in body if not item.startswith(("#", "."))])
    return max(loops, key=len)


def test_streaming_kernels_read_everything_and_write_only_the_result() -> None:
    read, triad = ceiling_kernels.stream_kernels()
    part = 4 * ceiling_kernels.LINE_BYTES
    memory = ceilings._touched(3 * part)
    memory[:] = np.arange(memory.size)
    before, address = memory.copy(), memory.ctypes.data
    assert address % 64 == 0
    assert read(2, address, memory.nbytes) == 2 * memory.sum()
    triad(2, address, address + part, address + 2 * part, part)
    _, left, right = np.split(before, 3)
    assert np.array_equal(memory, np.concatenate([left + 3 * right, left, right]))


@pytest.mark.parametrize("stream", [ceilings._reading, ceilings._adding_up])
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_working_set_is_streamed_piece_by_piece_from_end_to_end(
    stream: Callable[..., bursts.Work], pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[np.ndarray] = []
    touched = ceilings._touched
    monkeypatch.setattr(ceilings, "_touched", lambda size: held.append(touched(size)) or held[-1])
    seen: list[tuple[int, int]] = []

    class Kernels:
        @staticmethod
        def stream_kernels() -> tuple[Callable[..., None], Callable[..., None]]:
            def read(repeats: int, address: int, size: int) -> None:
                seen.append((address, address + size))

            def triad(repeats: int, to: int, left: int, right: int, size: int) -> None:
                seen.extend((start, start + size) for start in (to, left, right))

            return read, triad

    piece = 2 * ceiling_kernels.LINE_BYTES
    stream(Kernels, piece, pieces, 0)(2 * pieces)
    (memory,) = held
    first, last = memory.ctypes.data, memory.ctypes.data + memory.nbytes
    # Every byte once in each round, and none beyond.
    ranges = sorted(set(seen))
    assert (ranges[0][0], ranges[-1][1]) == (first, last)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(ranges))
    assert {seen.count(item) for item in ranges} == {1 if pieces == 1 else 2}


@given(
    st.integers(1, 256),
    *[st.integers(1 << 14, 1 << bits) for bits in (18, 23, 29)],
    st.integers(1 << 20, 1 << 40),
)
def test_working_sets_ascend_and_fit_into_free_memory(threads: int, l1: int, l2: int, l3: int, free: int) -> None:
    sizes = ceilings.working_sets(threads, l1_bytes=l1, l2_bytes=l2, l3_bytes=l3, free_bytes=free)
    assert sizes == sorted(set(sizes))
    assert all(size <= min(free // 4, 1 << 40) for size in sizes)


def test_the_largest_working_set_fits_no_cache_of_a_common_machine() -> None:
    sizes = ceilings.working_sets(2, l1_bytes=32 << 10, l2_bytes=512 << 10, l3_bytes=32 << 20, free_bytes=1 << 34)
    assert sizes == [32 << 10, 512 << 10, 16 << 20, 128 << 20]
    # A host's L3 behind a virtual machine: a size that fits our share of it comes in between.
    shared = ceilings.working_sets(2, l1_bytes=48 << 10, l2_bytes=2 << 20, l3_bytes=480 << 20, free_bytes=1 << 34)
    assert shared == [48 << 10, 2 << 20, 16 << 20, 240 << 20, 1 << 30]


def test_a_worker_answers_with_every_ceiling_of_the_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "_GEMM_SIZES", (64, 128))
    monkeypatch.setattr(ceilings, "_free_bytes", lambda: 1 << 24)
    reply = Worker().answer(messages.MeasureCeilings(dtype="float64", threads=1, when="end", limit_s=0.0))
    assert isinstance(reply, messages.CeilingsMeasured), reply
    found = reply.ceilings
    assert (found.dtype, found.threads, found.when) == ("float64", 1, "end")
    assert found.gemm_flop_per_s
    assert (found.fma_flop_per_s is None) == (not ceiling_kernels.fma_kernels())
    assert len(found.bandwidths) > 1
    assert messages.decode_reply(messages.encode(reply, "a"), "a") == reply


def test_half_precision_has_bandwidths_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "_free_bytes", lambda: 1 << 22)
    found = ceilings.measure("bfloat16", 1, "start", limit_s=0.0)
    assert (found.fma_flop_per_s, found.gemm_flop_per_s) == (None, None)
    assert found.bandwidths


def test_without_numba_only_the_matrix_product_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "_kernels", lambda: None)
    monkeypatch.setattr(ceilings, "_GEMM_SIZES", (64,))
    found = ceilings.measure("float32", 1, "start", limit_s=0.0)
    assert (found.fma_flop_per_s, found.bandwidths) == (None, ())
    assert found.gemm_flop_per_s


def test_a_machine_without_numba_is_told_from_one_with_it() -> None:
    code = "import sys; sys.modules['numba'] = None; from harness import ceilings; print(ceilings._kernels())"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "None"
    )


@pytest.mark.parametrize(("dtype", "threads"), [("int8", 1), ("float32", 0)])
def test_senseless_requests_are_refused(dtype: str, threads: int) -> None:
    with pytest.raises(ValueError, match="use"):
        ceilings.measure(dtype, threads, "start")
