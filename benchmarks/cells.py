"""The cells that asv follows over commits: a fixed table of problems and backends, and how one cell is set up.

asv needs the same parameters wherever it runs, so the lists are constants; a backend that is missing or declines is
skipped in `setup`. Threads are one per backend: history should follow the code, not the neighbours.
"""

from __future__ import annotations

import os

from backends.threads import ENVIRONMENT_VARIABLES

# Libraries read these when they load, so they must be set before anything below is imported.
os.environ.update(dict.fromkeys(ENVIRONMENT_VARIABLES, "1"))

from dataclasses import dataclass  # after the environment is set

import backends
from backends import Array, ConvBackend, ConvCall, ConvProblem, threads
from harness import inputs

PROBLEMS = (
    'ic1ih128oc1kh15ph7n"filter 15x15"',
    'ic16ih32oc16kh3ph1n"3x3, small"',
    'ic64ih28oc64kh3ph1n"3x3"',
    'ic128ih28oc512kh1n"1x1"',
    'g64ic64ih56oc64kh3ph1n"depthwise"',
    'ic8id16oc16kd3pd1n"3-D"',
    'ic16iw4096oc16kw9pw4n"1-D"',
)
SPECS = ("naive", "im2col", "fft", "numba", "torch", "torch[layout=channels_last]")
SEED = 0

# Interpreted loops over more outputs than this take seconds a call and tell nothing new.
_NAIVE_MAX_OUTPUTS = 20_000


@dataclass(frozen=True, kw_only=True)
class PreparedCell:
    """One backend prepared for one problem."""

    backend: ConvBackend
    problem: ConvProblem
    weight: Array
    x: Array
    call: ConvCall


def prepare(descriptor: str, spec: str) -> PreparedCell:
    """Set up a cell.

    Raises:
        NotImplementedError: asv's word for "skip": the backend is not installed, declines, or is hopeless here.
    """
    problem = ConvProblem.parse(descriptor)
    if spec == "naive" and problem.C_out * problem.macs_nominal // problem.accumulation_length > _NAIVE_MAX_OUTPUTS:
        raise NotImplementedError("too slow to be worth following")
    try:
        backend = backends.get(spec)
    except backends.BackendUnavailable as error:
        raise NotImplementedError(str(error)) from error
    if (reason := backend.why_unsupported(problem)) is not None:
        raise NotImplementedError(reason)
    threads.request(1)
    arrays = inputs.normal_arrays(problem, SEED)
    call = backend.prepare(problem, arrays.weight)
    x = backend.device.put(arrays.x)
    return PreparedCell(backend=backend, problem=problem, weight=arrays.weight, x=x, call=call)
