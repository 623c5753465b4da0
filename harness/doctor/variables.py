"""Environment variables that change what libraries do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from backends import threads
from harness.doctor.findings import Finding, Level

_KERNELS = "which kernels a library uses"
_THREADS = "where and how a library's threads wait"
_MEMORY = "how memory is given out"
_STEERING = {
    "OPENBLAS_CORETYPE": _KERNELS,
    "MKL_CBWR": _KERNELS,
    "MKL_ENABLE_INSTRUCTIONS": _KERNELS,
    "ONEDNN_MAX_CPU_ISA": _KERNELS,
    "DNNL_MAX_CPU_ISA": _KERNELS,
    "ATEN_CPU_CAPABILITY": _KERNELS,
    "NPY_DISABLE_CPU_FEATURES": _KERNELS,
    "NUMBA_CPU_NAME": _KERNELS,
    "NUMBA_CPU_FEATURES": _KERNELS,
    "NUMBA_OPT": _KERNELS,
    "NUMBA_THREADING_LAYER": _THREADS,
    "OMP_PROC_BIND": _THREADS,
    "OMP_PLACES": _THREADS,
    "OMP_WAIT_POLICY": _THREADS,
    "GOMP_CPU_AFFINITY": _THREADS,
    "GOMP_SPINCOUNT": _THREADS,
    "KMP_AFFINITY": _THREADS,
    "KMP_BLOCKTIME": _THREADS,
    "OPENBLAS_THREAD_TIMEOUT": _THREADS,
    "MALLOC_ARENA_MAX": _MEMORY,
    "NUMPY_MADVISE_HUGEPAGE": _MEMORY,
    "LD_PRELOAD": "what every program here loads first",
}
# Each turns what is measured into something else.
_SPOILING = {
    "NUMBA_DISABLE_JIT": "compiled backends run in the interpreter, thousands of times slower",
    "ONEDNN_VERBOSE": "PyTorch prints a line for each call",
    "DNNL_VERBOSE": "PyTorch prints a line for each call",
    "PYTHONMALLOC": "Python's own allocator is replaced",
}


def look(variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Name those that are set."""
    for name, effect in _SPOILING.items():
        if variables.get(name, "") not in {"", "0", "none"}:
            seen = f"{name}={variables[name]}: {effect}"
            yield Finding(level=Level.WARNING, topic="environment", seen=seen, remedy=f"unset {name}")
    for name, effect in _STEERING.items():
        if name in variables:
            seen = f"{name}={variables[name]} changes {effect}"
            yield Finding(level=Level.NOTE, topic="environment", seen=seen, remedy=f"unset {name} unless you mean it")
    preset = [name for name in threads.ENVIRONMENT_VARIABLES if name in variables]
    if preset:
        seen = f"{', '.join(preset)} set; a run replaces them by --threads"
        yield Finding(level=Level.NOTE, topic="environment", seen=seen)
