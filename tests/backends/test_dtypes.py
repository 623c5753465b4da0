"""Dtype names and the NumPy types they stand for; bfloat16's package is loaded when it is asked for, not before."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from backends.dtypes import numpy_dtype
from backends.problem import ITEMSIZE


@pytest.mark.parametrize("name", ITEMSIZE)
def test_name_and_size_of_a_dtype_are_the_problems(name: str) -> None:
    assert numpy_dtype(name).name == name
    assert numpy_dtype(name).itemsize == ITEMSIZE[name]


def test_the_two_half_precisions_are_told_apart() -> None:
    assert numpy_dtype("bfloat16") != numpy_dtype("float16")
    assert float(np.asarray(2.0**100).astype(numpy_dtype("bfloat16"))) == 2.0**100


def test_bfloat16_is_not_loaded_until_a_problem_asks_for_it() -> None:
    script = """
import sys
import numpy as np
import backends
x = np.ones((1, 2, 9), np.float32)
backends.conv(x, np.ones((3, 2, 3), np.float32), backend="im2col")
assert "ml_dtypes" not in sys.modules
from backends.dtypes import numpy_dtype
assert numpy_dtype("bfloat16").name == "bfloat16"
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert finished.returncode == 0, finished.stderr
