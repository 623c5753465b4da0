"""Which libraries compute in each backend's process, and whether they suit the processor and each other."""

from __future__ import annotations

import ctypes.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from backends import registry
from harness import environment
from harness.doctor.findings import Finding, Level
from harness.doctor.inventory import Inventory

_TIMEOUT_S = 60
# OpenBLAS's names for processors without 256-bit vectors: what it falls back to where it does not know the processor.
_OLD_KERNELS = re.compile(r"generic|prescott|katmai|coppermine|core2|penryn|dunnington|nehalem|opteron|barcelona", re.I)


def look() -> Iterator[Finding]:
    """What is missing, from the outside."""
    yield from _openmp()
    for name in registry.ROWS:
        if (reason := registry.why_not(name)) is not None:
            yield Finding(level=Level.NOTE, topic="backend", seen=f"{name} {reason}")


def look_inside() -> Iterator[Finding]:
    """Load each backend in a process of its own, one after the other; takes seconds."""
    vectors = str(environment.machine()["vector_extensions"])
    for name in registry.names():
        found = inventory_of(name)
        if isinstance(found, str):
            remedy = f"python -m harness.doctor.inventory {name} /dev/stdout shows how"
            seen = f"{name} does not load or compute: {found}"
            yield Finding(level=Level.WARNING, topic="backend", seen=seen, remedy=remedy)
        else:
            yield from judged(name, found, vectors)


def inventory_of(spec: str) -> Inventory | str:
    """A backend's libraries, or what its process said at last when it failed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory.json"
        try:
            ran = subprocess.run(
                [sys.executable, "-m", "harness.doctor.inventory", spec, str(path)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
            return msgspec.json.decode(path.read_bytes(), type=Inventory)
        except subprocess.TimeoutExpired:
            return f"no answer within {_TIMEOUT_S} s"
        except OSError:
            said = ran.stderr.strip().splitlines()
            return said[-1][:200] if said else f"its process ended with code {ran.returncode}"


def judged(name: str, found: Inventory, vectors: str) -> Iterator[Finding]:
    """What a backend's libraries mean.

    Args:
        name: The backend.
        found: What its process holds.
        vectors: The processor's vector extensions, as `environment.machine` lists them.
    """
    blas = [pool for pool in found.pools if pool.kind != "openmp"]
    runtimes = [pool for pool in found.pools if pool.kind == "openmp"]
    parts = [
        " ".join(filter(None, [pool.kind, pool.version, pool.architecture and f"({pool.architecture} kernels)"]))
        for pool in blas
    ]
    parts += [f"OpenMP by {pool.prefix}" for pool in runtimes]
    parts += [f"Numba threads by {found.numba_layer}"] if found.numba_layer else []
    parts += [f"PyTorch {found.torch}"] if found.torch else []
    yield Finding(level=Level.OK, topic="libraries", seen=f"{name}: {', '.join(dict.fromkeys(parts)) or 'none'}")
    files = dict.fromkeys(pool.file for pool in runtimes)
    if len(files) > 1:
        seen = f"{name}: {len(files)} OpenMP runtimes in one process ({', '.join(pool.prefix for pool in runtimes)})"
        remedy = f"their threads spin against each other; install libraries that share one: {', '.join(files)}"
        yield Finding(level=Level.WARNING, topic="OpenMP", seen=seen, remedy=remedy)
    for pool in blas:
        if pool.architecture and _OLD_KERNELS.fullmatch(pool.architecture) and "avx2" in vectors.split():
            seen = f"{name}: {pool.kind} uses kernels for {pool.architecture} on a processor with AVX2"
            remedy = "unset OPENBLAS_CORETYPE, or install a build that knows this processor"
            yield Finding(level=Level.WARNING, topic="BLAS", seen=seen, remedy=remedy)
    if found.numba_layer == "workqueue":
        yield _slow_threads()


def _openmp() -> Iterator[Finding]:
    """Numba's fast thread layer needs a system libgomp; without it each parallel call costs a hundred microseconds."""
    if registry.why_not("numba") is None and ctypes.util.find_library("gomp") is None:
        yield _slow_threads()


def _slow_threads() -> Finding:
    remedy = "install your system's libgomp package (Debian: libgomp1)"
    seen = "no system OpenMP library: Numba starts its threads slowly"
    return Finding(level=Level.WARNING, topic="OpenMP", seen=seen, remedy=remedy)
