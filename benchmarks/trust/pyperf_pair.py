"""A pyperf script: two backends on one problem, each a benchmark of its own, set up once in each of pyperf's workers.

Run by `rival_tools`; what is measured comes in the variables TRUST_PROBLEM and TRUST_BACKENDS.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

from benchmarks import cells


def _timer_of(problem: str, backend: str) -> Callable[[int], float]:
    prepared: list[cells.PreparedCell] = []

    def seconds_of(loops: int) -> float:
        if not prepared:
            prepared.append(cells.prepare(problem, backend))
            prepared[0].call(prepared[0].x)
        call, x = prepared[0].call, prepared[0].x
        start = time.perf_counter()
        for _ in range(loops):
            call(x)
        return time.perf_counter() - start

    return seconds_of


if __name__ == "__main__":
    import pyperf  # here, because whoever looks through this folder for benchmarks need not have it

    runner = pyperf.Runner()
    for spec in json.loads(os.environ["TRUST_BACKENDS"]):
        runner.bench_time_func(spec, _timer_of(os.environ["TRUST_PROBLEM"], spec))
