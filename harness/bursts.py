"""The highest rate that threads reach together at the same work, in many short bursts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Work = Callable[[int], object]
"""Does something so many times over."""

SHORTEST_NS = 500_000
"""What a burst must last to count: threads start some 20 µs apart."""
# Bursts get twice as long each time up to so many times the shortest, then short again. Where other programs want the
# cores, short ones still fit between their turns; elsewhere long ones lose least to the start.
_LONGEST = 8
_FEWEST = 4


def best_rate(
    prepare: Callable[[int], Work],
    threads: int,
    limit_ns: int,
    clock: Callable[[], int] = time.perf_counter_ns,
    shortest_ns: int = SHORTEST_NS,
) -> float:
    """Repeats per second that each thread does while all do it, in the best burst of those that fit into the limit.

    A burst lasts from the first start to the last end. Noise only ever lowers a rate, so the best is nearest to what
    the machine can do. The repeats of a burst are doubled until it is long enough to be timed; those before do not
    count. A few bursts are made even where the limit is too short for them.

    Args:
        prepare: Called in each thread with its number, so that memory it touches is near that thread; returns the work,
            which must release the GIL.
        threads: How many.
        limit_ns: Time for all of it.
        clock: In nanoseconds.
        shortest_ns: What a burst must last to count.
    """
    crew = _Crew(threads, clock() + limit_ns, shortest_ns, clock)
    if threads == 1:
        crew.run(prepare, 0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for future in [pool.submit(_run_apart, crew, prepare, number, threads) for number in range(threads)]:
                future.result()
    return crew.best_per_ns * 1e9


def _run_apart(crew: _Crew, prepare: Callable[[int], Work], number: int, threads: int) -> None:
    """Take part on a core of this thread's own, where there are as many as threads.

    Where others are busy, the system leaves threads that began on one core there for seconds. With cores to choose from
    it knows better than we do which of them are two halves of one.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) == threads:
            os.sched_setaffinity(0, {cores[number]})
    crew.run(prepare, number)


class _Crew:
    """Threads that start each burst together; who comes last to the start judges the burst before."""

    def __init__(self, threads: int, until_ns: int, shortest_ns: int, clock: Callable[[], int]) -> None:
        self.best_per_ns = 0.0
        self._clock = clock
        self._until_ns = until_ns
        self._shortest_ns = shortest_ns
        self._starts = [0] * threads
        self._ends = [0] * threads
        self._base = 1
        self._repeats = 0
        self._counted = 0
        self._is_over = False
        self._gate = threading.Barrier(threads, action=self._judge)

    def run(self, prepare: Callable[[int], Work], number: int) -> None:
        """Take part in every burst."""
        try:
            work = prepare(number)
            while True:
                self._gate.wait()
                if self._is_over:
                    return
                self._starts[number] = self._clock()
                work(self._repeats)
                self._ends[number] = self._clock()
        except BaseException:
            # The others would wait for this one for ever.
            self._gate.abort()
            raise

    def _judge(self) -> None:
        took_ns = max(self._ends) - min(self._starts)
        if self._repeats == 0:
            self._repeats = self._base
        elif took_ns < self._shortest_ns:
            self._repeats = self._base = 2 * self._base
        else:
            self.best_per_ns = max(self.best_per_ns, self._repeats / took_ns)
            self._counted += 1
            self._repeats = 2 * self._repeats if took_ns < _LONGEST * self._shortest_ns else self._base
        self._is_over = self._counted >= _FEWEST and self._clock() >= self._until_ns
