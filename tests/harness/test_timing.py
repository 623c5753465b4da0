"""Timed blocks in the process itself: what the clock sees, what is checked afterwards, cold and hot."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import backends
from backends import HOST, Algorithm, Array, ConvCall, ConvProblem
from harness import cold_cache, disturbance, inputs, messages, reference
from harness.records import CacheState
from harness.timing import TimedCase

PROBLEM = ConvProblem.parse("ic2ih8oc3kh3")
ARRAYS = inputs.data_set(PROBLEM, "normal", 0)


class Ticking:
    """A right backend whose every call takes 1 ms of a clock that nothing else moves."""

    name = "ticking"
    algorithm = Algorithm.DIRECT
    device = HOST

    def __init__(self) -> None:
        self.now_ns = 0
        self.calls = 0

    def clock(self) -> int:
        return self.now_ns

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        return None

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        inner = backends.get("im2col").prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            self.now_ns += 1_000_000
            self.calls += 1
            return inner(x)

        return call


def timed_case(backend: Ticking) -> TimedCase:
    call = backend.prepare(PROBLEM, ARRAYS.weight, ARRAYS.bias)
    return TimedCase(backend, PROBLEM, "normal", call, ARRAYS, backend.clock)


def block_of(calls: int, *, is_primed: bool = False, cache: CacheState = CacheState.HOT) -> messages.TimeBlock:
    return messages.TimeBlock(calls=calls, is_primed=is_primed, keep_output=True, cache=cache)


@pytest.mark.parametrize("cache", list(CacheState))
def test_a_block_lasts_as_long_as_its_calls(cache: CacheState) -> None:
    backend = Ticking()
    case = timed_case(backend)

    assert case.block(block_of(5, cache=cache)).wall_ns == 5_000_000
    assert backend.calls == 5


def test_the_priming_call_is_made_and_not_timed() -> None:
    backend = Ticking()

    block = timed_case(backend).block(block_of(5, is_primed=True))

    assert backend.calls == 6
    assert block.wall_ns == 5_000_000


@pytest.mark.parametrize(("calls", "made"), [(80, 10), (7, 5), (4, 4)])
def test_a_block_that_takes_longer_than_its_limit_ends_early(calls: int, made: int) -> None:
    """It is looked at eight times on the way, and after every call of short ones."""
    backend = Ticking()
    case = timed_case(backend)
    request = messages.TimeBlock(calls=calls, is_primed=False, keep_output=True, limit_ns=4_500_000)

    block = case.block(request)

    assert (block.calls, block.wall_ns) == (made, made * 1_000_000)
    expected = reference.compute(PROBLEM, ARRAYS, 0)
    assert case.defect(lambda: expected) is None, "the output that was kept is the last that was made"


def test_a_warm_call_is_as_long_as_it_is_and_a_block_costs_nothing_on_this_clock() -> None:
    backend = Ticking()

    assert timed_case(backend).warm(CacheState.HOT) == (1_000_000, 0)


def test_outputs_of_timed_calls_are_right() -> None:
    case = timed_case(Ticking())
    expected = reference.compute(PROBLEM, ARRAYS, 0)
    for calls in (1, 2, 7):
        case.block(block_of(calls))

    assert case.defect(lambda: expected) is None


def test_an_output_that_is_wrong_once_it_is_timed_is_found() -> None:
    class Tired(Ticking):
        def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
            inner = super().prepare(problem, weight, bias)
            return lambda x: inner(x) + np.float32(0.1) * (self.calls > 3)

    case = timed_case(Tired())
    expected = reference.compute(PROBLEM, ARRAYS, 0)
    case.block(block_of(2))
    case.block(block_of(5))

    assert "output of a timed call" in (case.defect(lambda: expected) or "")


def test_a_flush_is_twice_the_last_cache_within_limits() -> None:
    assert cold_cache.flush_bytes(None) == 32 << 20
    assert cold_cache.flush_bytes(1 << 20) == 32 << 20
    assert cold_cache.flush_bytes(32 << 20) == 64 << 20
    assert cold_cache.flush_bytes(480 << 20) == 960 << 20
    assert cold_cache.flush_bytes(2 << 30) == 1 << 30


def test_a_flush_leaves_the_callers_cores_alone() -> None:
    before = os.sched_getaffinity(0)

    cold_cache.Flusher(1 << 20).flush()

    assert os.sched_getaffinity(0) == before


def test_steal_is_a_share_of_all_cores() -> None:
    cores = os.cpu_count() or 1
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    before = disturbance.Meter(preemptions=3, steal_ticks=10)
    after = disturbance.Meter(preemptions=5, steal_ticks=10 + ticks_per_s)

    assert disturbance.stolen_share(before, after, 1_000_000_000 * 2) == pytest.approx(1 / (2 * cores))
    assert disturbance.stolen_share(before, after, 1) == 1.0, "ticks are coarse: never more than all of it"
    assert disturbance.stolen_share(before, after, 0) == 0.0


def test_steal_is_read_from_the_line_of_all_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = tmp_path / "stat"
    monkeypatch.setattr(disturbance, "_STAT", stat)
    assert disturbance.read().steal_ticks == 0, "where it is not told"

    stat.write_text("cpu  1 2 3 4 5 6 7 88 9 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    assert disturbance.read().steal_ticks == 88
