"""PyTorch's own bfloat16 convolution is wrong on some processors: the checks must see it without being told where."""

from __future__ import annotations

import pytest
from processor import has_instructions

import backends
from backends import ConvProblem
from harness import conformance

torch = pytest.importorskip("torch")

# A later version that is right must not turn these tests red.
pytestmark = pytest.mark.skipif(
    not torch.__version__.startswith(("2.13.", "2.14.")), reason="this PyTorch is not known to be wrong"
)


def failing_problems(spec: str) -> list[ConvProblem]:
    """The smallest problem of each check that fails."""
    backend = backends.get(spec)
    failures = [conformance.run_check(check, backend, "bfloat16").failure for check in conformance.checks()]
    lines = [line for text in failures if text is not None for line in text.splitlines()]
    return [ConvProblem.parse(line.split(maxsplit=1)[1]) for line in lines if line.startswith("  smallest")]


# PyTorch issues 188426 and 169688.
@pytest.mark.skipif(not has_instructions("amx_bf16"), reason="this processor has no AMX (no amx_bf16 in /proc/cpuinfo)")
def test_wrong_volumes_on_matrix_units_are_found() -> None:
    found = failing_problems("torch")

    assert any(problem.ndim == 3 and problem.out[-1] == 1 and problem.stride[-1] > 1 for problem in found)


@pytest.mark.skipif(
    not has_instructions("avx512_bf16") or has_instructions("amx_bf16"),
    reason="this processor does not run the kernel in question (avx512_bf16 without AMX in /proc/cpuinfo)",
)
def test_wrong_channels_last_results_of_channel_multipliers_are_found() -> None:
    found = failing_problems("torch[layout=channels_last]")

    assert any(problem.groups > 1 and problem.out[-1] == 1 and problem.stride[-1] > 1 for problem in found)
