"""The program that loads one backend, makes it compute, and writes down which libraries compute in its process.

Run as `python -m harness.doctor.inventory SPEC FILE`: in a process of its own, so that whoever asks loads nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """One library with threads of its own."""

    kind: str
    """openblas, mkl, blis, flexiblas or openmp."""
    prefix: str
    """libgomp, libiomp5: which OpenMP it is."""
    file: str
    version: str | None = None
    architecture: str | None = None
    """For which processor its kernels are."""


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend's process holds."""

    pools: tuple[Pool, ...]
    numba_layer: str | None = None
    """omp, tbb or workqueue; None where no Numba threads run."""
    torch: str | None = None
    """PyTorch's version, and whether it has oneDNN."""


def taken(spec: str) -> Inventory:
    """Load a backend and let it compute something small: some libraries are loaded only then."""
    import numpy as np
    import threadpoolctl

    import backends

    backend = backends.get(spec)
    problem = backends.ConvProblem(N=1, C_in=8, C_out=8, spatial=(16, 16), kernel=3, padding=1)
    if backend.why_unsupported(problem) is None:
        call = backend.prepare(problem, np.ones(problem.weight_shape, np.float32))
        call(backend.device.put(np.ones(problem.x_shape, np.float32)))
        backend.device.synchronize()
    pools = tuple(
        Pool(
            kind=pool["internal_api"],
            prefix=pool["prefix"],
            file=pool["filepath"],
            version=pool["version"],
            architecture=pool.get("architecture"),
        )
        for pool in threadpoolctl.threadpool_info()
    )
    return Inventory(pools=pools, numba_layer=_numba_layer(), torch=_torch())


def _numba_layer() -> str | None:
    numba: Any = sys.modules.get("numba")
    if numba is None:
        return None
    try:
        return str(numba.threading_layer())
    except ValueError:  # no parallel function has run
        return None


def _torch() -> str | None:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return None
    return f"{torch.__version__} {'with' if torch.backends.mkldnn.is_available() else 'without'} oneDNN"


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(msgspec.json.encode(taken(sys.argv[1])))
