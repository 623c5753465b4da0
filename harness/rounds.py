"""Times the backends that are right on one problem, in interleaved rounds until each is done or time is up."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Mapping, Sequence

from harness import messages
from harness.entry import Entry
from harness.records import CacheState, StopReason
from harness.sampling import MOST_SAMPLES, StopRule, calls_per_block, eliminated, is_primed, pairs_suffice

Ask = Callable[[Entry, messages.Request, str], messages.Reply | None]
"""Sends a request to an entry's backend; None after the entry was failed."""

# A first timed call this much quicker than the call it was planned by means that the latter compiled something.
_QUICKER = 0.5
# A block may take so many times as long as planned before it is cut short: on a machine that suddenly gives a tenth of
# itself, blocks of the planned number of calls would eat the time of all that come later.
_LONGEST = 4.0
# Reading the clock may cost this fraction of a cold block.
_TIMER_SHARE = 1e-3


class Rounds:
    """One visit of a problem: each backend not yet done times one block a round, in random order.

    Args:
        ask: How backends are asked.
        clock: Seconds.
        order: Shuffles each round.
        cache: What caches hold before a timed call.
    """

    def __init__(self, ask: Ask, clock: Callable[[], float], order: random.Random, cache: CacheState) -> None:
        self._ask = ask
        self._clock = clock
        self._order = order
        self._cache = cache

    def time(self, entries: Sequence[Entry], deadline: float, first: int = 0) -> None:
        """Add samples to the entries, and to their twins, until each is done or the clock has reached the deadline.

        Args:
            entries: Those that are right. Rounds are numbered on from those that they have been through.
            deadline: On the clock.
            first: The least number that a round may have: those before were others' or of an earlier part of the run.
        """
        lanes = [lane for entry in entries for lane in (entry, entry.twin) if lane is not None]
        by_backend = {entry.backend: entry for entry in entries}
        for lane in lanes:
            self._plan_blocks(lane)
        active = [lane for lane in lanes if lane.is_right]
        first = max(first, 1 + max((number for lane in active for number in lane.samples.rounds), default=-1))
        left_s = max(0.0, deadline - self._clock())
        earlier = max((len(lane.samples.ns) for lane in active), default=0)
        rule = StopRule(share_ns=left_s * 1e9 / max(1, len(active)), most_samples=earlier + MOST_SAMPLES)
        # Outputs of the first block and of a random later one are checked: who goes wrong later is found out too.
        kept = {first, first + self._order.randrange(1, rule.least_samples)}
        for lane in active:
            lane.visits.append(first)
            lane.stop = None
        began_ns = {id(lane): lane.samples.wall_ns for lane in active}
        number = first
        while active:
            self._order.shuffle(active)
            for lane in active:
                if lane.samples.rounds and self._would_outlast(lane, deadline):
                    lane.stop = StopReason.BUDGET
                elif self._time_block(lane, number, keep_output=number in kept) and not lane.is_twin:
                    lane.stop = rule.reason_to_stop(
                        lane.samples.ns,
                        lane.samples.wall_ns - began_ns[id(lane)],
                        functools.partial(_pairs_suffice, lane.backend, by_backend),
                    )
            _stop_the_decided(entries)
            for entry in entries:
                if entry.twin is not None and not (entry.is_right and entry.stop is None):
                    entry.twin.stop = entry.twin.stop or entry.stop or StopReason.DECIDED
            active = [lane for lane in active if lane.is_right and lane.stop is None]
            number += 1
            if self._clock() >= deadline:
                # Waiting for idle threads between blocks takes time as well, which no block counts.
                for lane in active:
                    lane.stop = StopReason.BUDGET
                break

    def _plan_blocks(self, lane: Entry, *, is_first: bool = True) -> None:
        """Warm a backend and decide how many calls its blocks have."""
        reply = self._ask(lane, messages.Warm(cache=self._cache, may_skip=is_first), "warming up")
        if isinstance(reply, messages.Warmed):
            lane.thread_pools = reply.thread_pools or lane.thread_pools
            lane.planned_ns = reply.call_ns
            if self._cache is CacheState.HOT:
                lane.calls = calls_per_block(reply.call_ns, reply.timer_ns, reply.block_overhead_ns)
                lane.is_primed = is_primed(reply.call_ns)
            else:
                # Each call is timed by itself, and each costs a flush: as few as the clock's resolution allows.
                lane.calls = max(1, math.ceil(reply.timer_ns / _TIMER_SHARE / max(reply.call_ns, 1.0)))

    def _time_block(self, lane: Entry, number: int, *, keep_output: bool) -> bool:
        """Time one block; False where it gave no sample."""
        start = self._clock()
        block = self._block(lane, keep_output=keep_output)
        if block is not None and not lane.samples.ns and block.wall_ns < _QUICKER * lane.planned_ns * block.calls:
            # Blocks were planned by a call that compiled, and are far too short.
            self._plan_blocks(lane, is_first=False)
            block = self._block(lane, keep_output=keep_output) if lane.is_right else None
        lane.timing_s += self._clock() - start
        if block is not None:
            lane.samples.add(block, number)
        return block is not None

    def _block(self, lane: Entry, *, keep_output: bool) -> messages.Block | None:
        # Others have had the caches, and thread pools have gone to sleep: short calls are timed hot, as a loop over
        # them would run, after one call that wakes everything.
        request = messages.TimeBlock(
            calls=lane.calls,
            is_primed=lane.is_primed,
            keep_output=keep_output,
            cache=self._cache,
            limit_ns=round(_LONGEST * lane.planned_ns * lane.calls),
        )
        reply = self._ask(lane, request, "timing")
        return reply if isinstance(reply, messages.Block) else None

    def _would_outlast(self, lane: Entry, deadline: float) -> bool:
        """Whether another block is likely to end after the deadline."""
        return self._clock() + lane.samples.ns[-1] * lane.calls * 1e-9 > deadline


def _stop_the_decided(entries: Sequence[Entry]) -> None:
    """Leave the time to those whose ranking is open."""
    running = _timed({entry.backend: entry for entry in entries})
    for backend in eliminated({name: entry.samples.by_round for name, entry in running.items()}):
        running[backend].stop = running[backend].stop or StopReason.DECIDED


def _pairs_suffice(backend: str, entries: Mapping[str, Entry]) -> bool:
    undecided = {name: entry for name, entry in _timed(entries).items() if entry.stop is not StopReason.DECIDED}
    return pairs_suffice(backend, {name: entry.samples.by_round for name, entry in undecided.items()})


def _timed(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {name: entry for name, entry in entries.items() if entry.is_right and entry.samples.ns}
