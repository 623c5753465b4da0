"""On a machine with AMX, PyTorch's own bfloat16 convolution is wrong on narrow strided volumes: the checks must see it."""

from __future__ import annotations

import pytest
from processor import has_amx

import backends
from backends import ConvProblem
from harness import conformance

torch = pytest.importorskip("torch")

# PyTorch issues 188426 and 169688. A later version that is right must not turn this test red.
WRONG_VERSIONS = ("2.13.", "2.14.")


@pytest.mark.skipif(not has_amx(), reason="this processor has no AMX (no amx_bf16 in /proc/cpuinfo)")
@pytest.mark.skipif(not torch.__version__.startswith(WRONG_VERSIONS), reason="this PyTorch is not known to be wrong")
def test_wrong_bfloat16_volumes_of_pytorch_are_found_without_being_told_where_to_look() -> None:
    backend = backends.get("torch")

    failures = [
        result.failure
        for check in conformance.checks()
        if (result := conformance.run_check(check, backend, "bfloat16")).failure is not None
    ]

    assert failures
    smallest = [line.split()[1] for text in failures for line in text.splitlines() if line.startswith("  smallest")]
    problems = [ConvProblem.parse(text) for text in smallest]
    assert any(problem.ndim == 3 and problem.out[-1] == 1 and problem.stride[-1] > 1 for problem in problems)
