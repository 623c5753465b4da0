"""Times one prepared case inside its worker: inputs that rotate, blocks of calls, outputs kept for checking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# Their own names here, because a backend may replace what is in `time`.
from time import perf_counter_ns, process_time_ns
from typing import Any

import numpy as np

from backends import HOST, Array, ConvBackend, ConvCall, ConvProblem
from harness import check, cold_cache, disturbance, environment, examination, messages
from harness.idleness import wait_until_idle
from harness.inputs import ConvArrays
from harness.process_handle import can_freeze
from harness.records import CacheState
from harness.reference import Reference

# Timed inputs are the checked one times these: distinct buffers and contents whose outputs follow exactly from the
# same reference, since signs and doubling commute with every rounding (halving does not where numbers are subnormal).
# None is 1: the answer to the checked input itself must not do for a timed one.
_INPUT_FACTORS = (-1.0, 2.0, -2.0)
_WARM_NS = 5_000_000
# A block whose calls suddenly take far longer than planned ends early: it is looked at so many times on the way. More
# readings of the clock would cost more than a ten-thousandth of the shortest block.
_LOOKS = 8
# Contents move to other buffers before a block whose output is checked, and every so many blocks besides.
_BLOCKS_A_REFILL = 4
# Blocks of one call that tell what a block costs besides; the quickest counts.
_OVERHEAD_BLOCKS = 2


@dataclass(frozen=True, kw_only=True)
class _Ran:
    """Some calls in a row, and the last one's output."""

    wall_ns: int
    calls: int
    y: Any


class TimedCase:
    """A case that has been found right, and what is needed to time it and to check its timed outputs.

    Args:
        backend: What prepared it.
        problem: Its geometry.
        data: Name of the data that it was prepared with and checked on.
        call: What `prepare` returned.
        arrays: Those data.
        clock: Nanoseconds.
    """

    def __init__(
        self,
        backend: ConvBackend,
        problem: ConvProblem,
        data: str,
        call: ConvCall,
        arrays: ConvArrays,
        clock: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self._backend = backend
        self._problem = problem
        self._data = data
        self._call = call
        self._arrays = arrays
        self._clock = clock
        scaled = [arrays.x * arrays.x.dtype.type(factor) for factor in _INPUT_FACTORS]
        self._checksums = [examination.checksum(x) for x in scaled]
        self._inputs = [backend.device.put(x) for x in scaled]
        self._blocks = self._refills = 0
        self._factors: tuple[float, ...] = _INPUT_FACTORS
        """What each of the inputs is now, as a multiple of the checked one."""
        self._kept: list[tuple[float, Array]] = []
        self._last: tuple[float, Any] | None = None
        self._flusher: cold_cache.Flusher | None = None
        # Threads that spin on would disturb whoever is timed next, unless this process is frozen between requests.
        self._must_wait = not can_freeze()

    def warm(self, cache: CacheState) -> tuple[float, float]:
        """Nanoseconds of the quickest warm call, and of what a block costs besides its timed calls."""
        fastest, spent, calls = float("inf"), 0, 0
        while spent < _WARM_NS:
            taken = self._run([calls % len(self._inputs)]).wall_ns
            fastest, spent, calls = min(fastest, taken), spent + taken, calls + 1
        overhead = float("inf")
        for _ in range(_OVERHEAD_BLOCKS if fastest < _WARM_NS else 0):
            start = self._clock()
            block = self.block(messages.TimeBlock(calls=1, is_primed=False, keep_output=False, cache=cache))
            overhead = min(overhead, self._clock() - start - block.wall_ns)
        return fastest, 0.0 if overhead == float("inf") else overhead

    def block(self, request: messages.TimeBlock) -> messages.Block:
        """Time so many calls, and keep the last one's output if asked."""
        if request.keep_output:
            # What is not written shows in the outputs that are checked.
            examination.poison_memory(self._problem)
        if request.keep_output or self._blocks % _BLOCKS_A_REFILL == 0:
            self._refill()
        self._blocks += 1
        factors = self._factors
        count = len(self._inputs)
        # Each kept output answers another input, so that replaying any one answer is found out.
        last = len(self._kept) % count
        sequence = [(last - i) % count for i in reversed(range(request.calls))]
        if request.is_primed:
            self._run(sequence[:1])
        timed = self._cold_block if request.cache is CacheState.COLD else self._hot_block
        block, y = timed(sequence, request.limit_ns)
        factor = factors[sequence[block.calls - 1]]
        self._last = (factor, y)
        if request.keep_output:
            self._kept.append((factor, examination.host_copy(self._backend, y)))
        if self._must_wait:
            wait_until_idle()
        return block

    def defect(self, load: Callable[[], Reference]) -> str | None:
        """What is wrong with kept outputs of timed calls, or with their inputs afterwards; None if nothing is."""
        found = sorted(examination.checksum(self._backend.device.get(x)) for x in self._inputs)
        if found != sorted(self._checksums):
            return "a timed call modified its input"
        base = load()
        # The last output is still valid: no call came after it.
        last = [(self._last[0], examination.host_copy(self._backend, self._last[1]))] if self._last else []
        for factor, y in [*self._kept, *last]:
            arrays, expected = _scaled(self._arrays, base, factor)
            transforms = examination.transforms_of(self._backend, self._problem)
            outcome = check.judge(self._data, y, arrays, expected, self._problem, self._backend.algorithm, transforms)
            if not outcome.passed:
                return f"output of a timed call: {outcome.detail}"
        return None

    def _run(self, sequence: list[int], limit_ns: int | None = None) -> _Ran:
        """Call on each input in turn, by its number, but stop once that has taken longer than the limit."""
        call, synchronize, clock = self._call, self._backend.device.synchronize, self._clock
        inputs = [self._inputs[number] for number in sequence]
        step = max(1, len(inputs) // _LOOKS)
        done, y = 0, None
        start = clock()
        while done < len(inputs):
            for x in inputs[done : done + step]:
                y = call(x)
            done = min(len(inputs), done + step)
            if limit_ns is not None and clock() - start > limit_ns:
                break
        synchronize()
        return _Ran(wall_ns=clock() - start, calls=done, y=y)

    def _hot_block(self, sequence: list[int], limit_ns: int | None) -> tuple[messages.Block, Any]:
        before, cpu_start = disturbance.read(), process_time_ns()
        ran = self._run(sequence, limit_ns)
        cpu_ns, after = process_time_ns() - cpu_start, disturbance.read()
        block = messages.Block(
            wall_ns=ran.wall_ns,
            calls=ran.calls,
            cpu_ns=cpu_ns,
            preemptions=after.preemptions - before.preemptions,
            stolen=disturbance.stolen_share(before, after, ran.wall_ns),
        )
        return block, ran.y

    def _cold_block(self, sequence: list[int], limit_ns: int | None) -> tuple[messages.Block, Any]:
        """Every call by itself after a flush, which neither clock sees."""
        if self._flusher is None:
            self._flusher = cold_cache.Flusher(cold_cache.flush_bytes(environment.last_level_cache_bytes()))
        blocks: list[messages.Block] = []
        y = None
        for number in sequence:
            self._flusher.flush()
            wait_until_idle()
            one, y = self._hot_block([number], None)
            blocks.append(one)
            if limit_ns is not None and sum(block.wall_ns for block in blocks) > limit_ns:
                break
        together = messages.Block(
            wall_ns=sum(block.wall_ns for block in blocks),
            calls=len(blocks),
            cpu_ns=sum(block.cpu_ns for block in blocks),
            preemptions=sum(block.preemptions for block in blocks),
            stolen=max(block.stolen for block in blocks),
        )
        return together, y

    def _refill(self) -> None:
        """Move the contents of the timed inputs to other buffers.

        After the first block none holds what it held at first, so who remembers answers by the address of their input
        is wrong from the second refill on.
        """
        shift = 0 if self._refills == 0 else 1 + self._refills % (len(_INPUT_FACTORS) - 1)
        self._factors = factors = _INPUT_FACTORS[shift:] + _INPUT_FACTORS[:shift]
        self._refills += 1
        if self._backend.device is HOST:
            for buffer, factor in zip(self._inputs, factors, strict=True):
                np.multiply(self._arrays.x, buffer.dtype.type(factor), out=buffer)
        else:
            scaled = (self._arrays.x * self._arrays.x.dtype.type(factor) for factor in factors)
            self._inputs = [self._backend.device.put(x) for x in scaled]


def _scaled(arrays: ConvArrays, base: Reference, factor: float) -> tuple[ConvArrays, Reference]:
    """The reference for x * factor: the bias alone does not scale."""
    bias = 0.0 if arrays.bias is None else arrays.bias.astype(np.float64)[:, None]
    scaled = Reference(
        positions=base.positions,
        y=(base.y - bias) * factor + bias,
        magnitude=(base.magnitude - np.abs(bias)) * abs(factor) + np.abs(bias),
        energy=(base.energy - np.square(bias)) * factor**2 + np.square(bias),
        has_input=base.has_input,
        poison=base.poison * np.sign(factor),
    )
    x = arrays.x * arrays.x.dtype.type(factor)
    return ConvArrays(x=x, weight=arrays.weight, bias=arrays.bias), scaled
