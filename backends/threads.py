"""The number of threads that prepared convolutions use.

Libraries read their own environment variables when they load and keep their own settings afterwards. A caller who wants
one number everywhere sets it here; each backend then applies it through its library's own control in `prepare`. Until
someone does, every library keeps its default.
"""

from __future__ import annotations

import os

from backends.errors import ConvError

# Read by the libraries when they load, so they must be in the environment of a fresh process.
ENVIRONMENT_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class _Request:
    threads: int | None = None


def request(threads: int | None) -> None:
    """Ask that convolutions prepared from now on use this many threads; None leaves each library its default.

    Raises:
        ConvError: threads is below 1.
    """
    if threads is not None and threads < 1:
        raise ConvError(f"threads={threads}; use 1 or more, or None for each library's default")
    _Request.threads = threads


def requested() -> int | None:
    """The number asked for, or None."""
    return _Request.threads


def available() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def apply_to_blas() -> None:
    """Give the BLAS that NumPy loaded the number asked for, if any: its environment variable was read long ago."""
    if _Request.threads is not None:
        import threadpoolctl

        threadpoolctl.threadpool_limits(limits=_Request.threads, user_api="blas")
