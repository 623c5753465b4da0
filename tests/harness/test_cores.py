"""Which cores are quiet follows from two readings of the kernel's counters."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from harness import cores


def stat(*idle: int, busy: int = 0, steal: int = 0) -> str:
    rows = [f"cpu{core} {busy} 0 0 {ticks} 0 0 0 {steal} 0 0" for core, ticks in enumerate(idle)]
    return "\n".join(["cpu  1 2 3 4 5 6 7 8 9 10", *rows, "intr 5 6", "ctxt 1"])


def alone(count: int) -> dict[int, set[int]]:
    return {core: {core} for core in range(count)}


def test_idle_shares_are_of_the_time_between_two_readings() -> None:
    before = stat(1000, 2000, busy=50)
    after = "cpu 0\ncpu0 60 0 0 1010 0 0 0 0 0 0\ncpu1 50 0 0 2015 0 0 0 5 0 0\n"

    assert cores.idle_shares(before, after) == {0: 0.5, 1: 0.75}


def test_a_core_that_went_offline_or_did_not_tick_is_left_out() -> None:
    assert cores.idle_shares(stat(10, 20, 30), stat(10, 25)) == {1: 1.0}


def test_quietest_come_first() -> None:
    assert cores.quietest({0: 0.1, 1: 0.9, 2: 0.5}, alone(3), 3) == (1, 2, 0)
    assert cores.quietest({0: 0.1, 1: 0.9, 2: 0.5}, alone(3), 1) == (1,)


def test_among_equals_core_0_is_the_last() -> None:
    assert cores.quietest({0: 1.0, 1: 0.98, 2: 0.99}, alone(3), 2) == (1, 2)


def test_two_threads_of_one_core_are_not_taken_while_another_core_is_free() -> None:
    sharing = {0: {0, 2}, 1: {1, 3}, 2: {0, 2}, 3: {1, 3}}

    assert cores.quietest(dict.fromkeys(range(4), 1.0), sharing, 2) == (1, 0)
    assert set(cores.quietest(dict.fromkeys(range(4), 1.0), sharing, 3)) == {0, 1, 3}


def test_a_busy_hardware_thread_spoils_its_core() -> None:
    sharing = {0: {0, 2}, 1: {1, 3}, 2: {0, 2}, 3: {1, 3}}

    assert cores.quietest({0: 1.0, 1: 1.0, 2: 1.0, 3: 0.0}, sharing, 2) == (0, 1)


def test_only_cores_to_choose_from_are_chosen() -> None:
    assert cores.quietest({0: 0.2, 1: 1.0, 2: 0.5}, {0: {0}, 2: {2}}, 5) == (2, 0)


@pytest.mark.parametrize(("text", "expected"), [("0", {0}), ("0,4\n", {0, 4}), ("0-2,8-9", {0, 1, 2, 8, 9})])
def test_lists_of_the_kernel_are_read(text: str, expected: set[int]) -> None:
    assert cores.cores_of(text) == expected


def test_this_process_gets_cores_that_it_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    readings = itertools.count(1)

    def later(_: float) -> None:
        (tmp_path / "stat").write_text(stat(*[100 * next(readings)] * (max(allowed) + 1)))

    later(0)
    monkeypatch.setattr(cores, "_STAT", tmp_path / "stat")
    assert set(cores.quietest_cores(1, sleep=later)) <= set(allowed)
    assert len(cores.quietest_cores(len(allowed) + 3, sleep=later)) == len(allowed)
    monkeypatch.setattr(cores, "_STAT", tmp_path / "missing")
    assert cores.quietest_cores(1, sleep=later) == ()
