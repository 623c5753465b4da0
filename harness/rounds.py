"""Times the backends that are right on one problem, in interleaved rounds until each is done or time is up."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from harness import messages
from harness.entry import Entry
from harness.records import StopReason
from harness.sampling import StopRule, calls_per_block

Ask = Callable[[Entry, messages.Request, str], messages.Reply | None]
"""Sends a request to an entry's backend; None after the entry was failed."""


def time_in_rounds(
    entries: Sequence[Entry], ask: Ask, deadline: float, clock: Callable[[], float], order: random.Random
) -> None:
    """In each round each backend not yet done times one block, in random order.

    Args:
        entries: Those that are right; samples are added to them.
        ask: How their backends are asked.
        deadline: When to stop, on the clock.
        clock: Seconds.
        order: Shuffles each round.
    """
    for entry in entries:
        reply = ask(entry, messages.Warm(), "warming up")
        if isinstance(reply, messages.Warmed):
            entry.calls = calls_per_block(reply.call_ns, reply.timer_ns)
    active = [entry for entry in entries if entry.is_right]
    left_s = max(0.0, deadline - clock())
    rule = StopRule(share_ns=left_s * 1e9 / max(1, len(active)))
    kept_round = order.randrange(1, rule.least_samples)
    round_number = 0
    while active:
        order.shuffle(active)
        for entry in active:
            # Others have had the caches, and thread pools have gone to sleep: short calls are timed hot, as a loop
            # over them would run, after one call that wakes everything.
            request = messages.TimeBlock(
                calls=entry.calls, is_primed=entry.calls > 1, keep_output=round_number in (0, kept_round)
            )
            reply = ask(entry, request, "timing")
            if isinstance(reply, messages.Block):
                entry.samples_ns.append(reply.wall_ns / entry.calls)
                entry.rounds.append(round_number)
                entry.wall_ns += reply.wall_ns
                entry.cpu_ns += reply.cpu_ns
                entry.stop = rule.reason_to_stop(entry.samples_ns, entry.wall_ns)
        active = [entry for entry in active if entry.is_right and entry.stop is None]
        round_number += 1
        if clock() >= deadline:
            # Waiting for idle threads between blocks takes time as well, which no block counts.
            for entry in active:
                entry.stop = StopReason.BUDGET
            break
