"""A backend that takes more threads than it was given, whatever its libraries are set to."""

from __future__ import annotations

import hashlib
import threading

from faulty import Correct

from backends import Array, ConvCall, ConvProblem

# Some milliseconds for each thread: long beside starting it, and short enough to find two cores free now and then.
_BLOCK = bytes(20 << 20)


class Greedy(Correct):
    """A right answer, while other threads burn CPU time outside the interpreter's lock as long as the call lasts."""

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            burning = [threading.Thread(target=hashlib.sha256, args=(_BLOCK,)) for _ in range(3)]
            for thread in burning:
                thread.start()
            y = right(x)
            for thread in burning:
                thread.join()
            return y

        return call
