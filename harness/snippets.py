"""Lines to paste elsewhere: a problem as a call of PyTorch, and as the command that checks a backend on it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from backends import ConvProblem


def torch_call(problem: ConvProblem) -> str:
    """One line of Python that poses the problem to PyTorch with random data, after `import torch`.

    Defaults are left out, and one number stands for all axes where these agree. PyTorch pads both ends of an axis
    alike; other padding is a call of its own.
    """
    x = _randn(problem.x_shape, problem.dtype)
    is_symmetric = all(begin == end for begin, end in problem.padding)
    if not is_symmetric:
        # PyTorch lists the last axis first.
        ends = tuple(end for pair in reversed(problem.padding) for end in pair)
        x = f"torch.nn.functional.pad({x}, {ends})"
    arguments = [x, _randn(problem.weight_shape, problem.dtype)]
    if problem.bias:
        arguments.append(_randn(problem.bias_shape, problem.dtype))
    if set(problem.stride) != {1}:
        arguments.append(f"stride={_axes_text(problem.stride)}")
    if is_symmetric and set(problem.padding) != {(0, 0)}:
        arguments.append(f"padding={_axes_text([begin for begin, _ in problem.padding])}")
    if set(problem.dilation) != {1}:
        arguments.append(f"dilation={_axes_text(problem.dilation)}")
    if problem.groups != 1:
        arguments.append(f"groups={problem.groups}")
    return f"torch.nn.functional.conv{problem.ndim}d({', '.join(arguments)})"


def check_command(backend: str, problem: ConvProblem, *, probe: str | None = None, seed: int = 0) -> str:
    """The line for a shell that checks one backend on one problem.

    Args:
        backend: A spec, as `backends.get` takes it.
        problem: Given as its descriptor, label and count included.
        probe: Name of the only probe to check with; None for all.
        seed: Of the data; left out where it is the default.
    """
    words = ["python", "-m", "harness", "check", "--backend", backend, "--problem", str(problem)]
    if probe is not None:
        words += ["--probe", probe]
    if seed != 0:
        words += ["--seed", str(seed)]
    return shlex.join(words)


def _randn(shape: Sequence[int], dtype: str) -> str:
    sizes = ", ".join(str(size) for size in shape)
    return f"torch.randn({sizes})" if dtype == "float32" else f"torch.randn({sizes}, dtype=torch.{dtype})"


def _axes_text(values: Sequence[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else str(tuple(values))
