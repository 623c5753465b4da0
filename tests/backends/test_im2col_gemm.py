"""im2col in panels: the workspace bounds memory and changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import problem_arrays

from backends import ConvProblem, im2col_gemm
from backends.im2col_gemm import Im2colBackend

MANY_PANELS = [
    # Columns of 3.5 MiB, an uneven last panel.
    ConvProblem(N=2, C_in=64, C_out=5, spatial=(40, 41), kernel=3, padding=1, bias=True),
    # One output row alone exceeds the workspace of 1 MiB.
    ConvProblem(C_in=64, C_out=3, spatial=(5, 700), kernel=3),
    # Lines have an output position a row.
    ConvProblem(C_in=32, C_out=4, groups=4, spatial=(5000,), kernel=7, stride=2, dilation=2),
    ConvProblem(N=2, C_in=16, C_out=3, spatial=(12, 13, 14), kernel=3, stride=(1, 2, 1), dtype="float64"),
]


@pytest.mark.parametrize("problem", MANY_PANELS, ids=str)
def test_many_panels_and_one_panel_agree(problem: ConvProblem, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = problem_arrays(problem)
    unfolded = []
    plain = im2col_gemm.im2col
    monkeypatch.setattr(im2col_gemm, "im2col", lambda *args: unfolded.append(args[-1]) or plain(*args))

    whole = Im2colBackend(workspace_mb=1024).prepare(problem, weight, bias)(x)
    assert unfolded == [problem.out[0]] * problem.N
    unfolded.clear()
    panels = Im2colBackend(workspace_mb=1).prepare(problem, weight, bias)(x)

    assert len(unfolded) > problem.N, "the workspace was not small enough to need panels"
    assert sum(unfolded) == problem.N * problem.out[0]
    np.testing.assert_array_equal(panels, whole)


def test_pointwise_convolution_unfolds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a 1x1 convolution was unfolded")

    monkeypatch.setattr(im2col_gemm, "im2col", refuse)
    problem = ConvProblem(N=2, C_in=6, C_out=4, groups=2, spatial=(5, 4), kernel=1, bias=True)
    x, weight, bias = problem_arrays(problem)
    y = Im2colBackend().prepare(problem, weight, bias)(x)
    grouped = np.einsum("goc,ngchw->ngohw", weight.reshape(2, 2, 3), x.reshape(2, 2, 3, 5, 4))
    np.testing.assert_array_equal(y, grouped.reshape(y.shape) + bias[:, None, None])
