"""Pasted lines: they are read by Python and by a shell as the problem that they were written from."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EVERY_DTYPE, conv_problems, problem_arrays

import backends
from backends import ConvProblem
from harness.cli import commands
from harness.snippets import check_command, torch_call

PROBE = "one-hot"


def evaluated(line: str, torch: object) -> object:
    return eval(line, {"torch": torch})  # noqa: S307  # evaluating the line is what it is for


@given(problem=conv_problems(dtypes=EVERY_DTYPE))
def test_torch_reads_the_shapes_and_the_dtype_of_the_problem(problem: ConvProblem) -> None:
    torch = pytest.importorskip("torch")

    y = evaluated(torch_call(problem), torch)

    assert tuple(y.shape) == problem.y_shape
    assert str(y.dtype) == f"torch.{problem.dtype}"


@given(problem=conv_problems())
def test_torch_computes_what_we_do_on_the_same_data(problem: ConvProblem) -> None:
    torch = pytest.importorskip("torch")
    arrays = problem_arrays(problem)
    given_tensors = iter(torch.from_numpy(array) for array in arrays if array is not None)

    def next_tensor(*shape: int, dtype: object = torch.float32) -> object:
        tensor = next(given_tensors)
        assert (tuple(tensor.shape), tensor.dtype) == (shape, dtype)
        return tensor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", next_tensor)
        y = evaluated(torch_call(problem), torch)

    expected = backends.conv(
        *arrays,
        stride=problem.stride,
        padding=problem.padding,
        dilation=problem.dilation,
        groups=problem.groups,
        backend="im2col",
    )
    np.testing.assert_array_equal(y.numpy(), expected)  # sums of small integers are exact
    assert next(given_tensors, None) is None


@pytest.mark.parametrize(
    ("descriptor", "line"),
    [
        ("ic3iw9oc4kw5", "torch.nn.functional.conv1d(torch.randn(1, 3, 9), torch.randn(4, 3, 5))"),
        (
            "--dt=f64 ic3ih9oc4kh5sh2dh1ph2",
            (
                "torch.nn.functional.conv2d(torch.randn(1, 3, 9, 9, dtype=torch.float64),"
                " torch.randn(4, 3, 5, 5, dtype=torch.float64), stride=2, padding=2, dilation=2)"
            ),
        ),
        (
            "--dir=FWD_B g2mb2ic6ih11iw9oc4kh3kw3sh2sw1ph1pw2",
            (
                "torch.nn.functional.conv2d(torch.randn(2, 6, 11, 9), torch.randn(4, 3, 3, 3), torch.randn(4),"
                " stride=(2, 1), padding=(1, 2), groups=2)"
            ),
        ),
        (
            "--dt=bf16 ic1id5ih6iw7oc1kd1kh2kw3pd0ph1pw2ed0eh0ew3",
            (
                "torch.nn.functional.conv3d(torch.nn.functional.pad(torch.randn(1, 1, 5, 6, 7, dtype=torch.bfloat16),"
                " (2, 3, 1, 0, 0, 0)), torch.randn(1, 1, 1, 2, 3, dtype=torch.bfloat16))"
            ),
        ),
    ],
)
def test_torch_call_says_no_more_than_it_must(descriptor: str, line: str) -> None:
    assert torch_call(ConvProblem.parse(descriptor)) == line


# Specs and names with everything that means something to a shell.
specs = st.sampled_from(["numba", "mypackage.kernels:Tiled", "im2col[workspace_mb=1]", "a.b:C[path='x y',t=\"$HOME\"]"])


@given(
    problem=conv_problems(dtypes=EVERY_DTYPE, has_label=True),
    backend=specs | st.text(min_size=1),
    probe=st.none() | st.just(PROBE),
    seed=st.integers(0, 2**32),
)
def test_a_shell_reads_the_command_as_it_was_meant(
    problem: ConvProblem, backend: str, probe: str | None, seed: int
) -> None:
    words = shlex.split(check_command(backend, problem, probe=probe, seed=seed))

    assert words[:5] == ["python", "-m", "harness", "check", "--backend"]
    assert words[5] == backend
    assert words[6] == "--problem"
    read = ConvProblem.parse(words[7])
    assert (read, read.label, read.count) == (problem, problem.label, problem.count)
    assert words[8:] == [*(["--probe", probe] if probe else []), *(["--seed", str(seed)] if seed else [])]


@given(problem=conv_problems(dtypes=EVERY_DTYPE, has_label=True), backend=specs, seed=st.integers(0, 2**32))
def test_the_command_line_takes_the_command(problem: ConvProblem, backend: str, seed: int) -> None:
    words = shlex.split(check_command(backend, problem, seed=seed))

    read = commands.commands["check"].make_context("check", words[4:]).params

    assert (read["backends"], read["problems"], read["seed"]) == ((backend,), (str(problem),), seed)


def test_a_plain_command_has_neither_quotes_nor_defaults() -> None:
    problem = ConvProblem.parse("mb2ic1iw9oc1kw3")

    line = check_command("mypackage.kernels:Tiled", problem)

    assert line == f"python -m harness check --backend mypackage.kernels:Tiled --problem {problem}"
    assert check_command("numba", problem, probe=PROBE, seed=3).endswith(f" --probe {PROBE} --seed 3")
