"""How many threads each library in this process is set to, asked of the libraries themselves."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import threadpoolctl


def pools() -> dict[str, int]:
    """Threads by pool: every BLAS and OpenMP runtime in the process, and Numba and PyTorch where they are loaded.

    Names are "openblas", "mkl", "openmp (libgomp)", "numba", "torch"; a second one of a kind is "openblas 2". Nothing
    is imported for it, and no pool is started.
    """
    found: dict[str, int] = {}
    seen: Counter[str] = Counter()
    # By file, so that numbers stay the same whatever the order in which libraries were loaded.
    for pool in sorted(threadpoolctl.threadpool_info(), key=lambda pool: str(pool["filepath"])):
        name = _name_of(pool)
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} {seen[name]}"] = int(pool["num_threads"])
    return found | _by_library()


def _name_of(pool: dict[str, Any]) -> str:
    kind = str(pool["internal_api"])
    return f"{kind} ({pool['prefix']})" if kind == "openmp" else kind


def _by_library() -> dict[str, int]:
    """What libraries with a number of their own say; it may differ from that of the pool they use."""
    found = {}
    if (torch := _loaded("torch")) is not None:
        found["torch"] = int(torch.get_num_threads())
    if (numba := _loaded("numba")) is not None:
        # Asking Numba starts its threads; until something else has, they will be as many as its configuration says.
        parallel = _loaded("numba.np.ufunc.parallel")
        is_started = parallel is not None and getattr(parallel, "_is_initialized", True)
        found["numba"] = int(numba.get_num_threads() if is_started else numba.config.NUMBA_NUM_THREADS)
    return found


def _loaded(name: str) -> Any:
    """A module that something has imported, completely; else None."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    return None if module is None or getattr(spec, "_initializing", False) else module
