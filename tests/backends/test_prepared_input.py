"""A prepared call refuses what it was not prepared for: compiled code would read memory that is not its own."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import EVERY_BACKEND

from backends import ConvProblem, DtypeMismatch, ShapeMismatch, get, names
from backends.dtypes import numpy_dtype

PROBLEM = ConvProblem.parse("--dir=FWD_B mb2ic4ih8oc3kh3ph1")
POINTWISE = ConvProblem.parse("--dir=FWD_B mb2ic4ih8oc3kh1")


def arrays_of(problem: ConvProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.ones(s, np.float32) for s in (problem.x_shape, problem.weight_shape, problem.bias_shape))  # type: ignore[return-value]


@pytest.mark.parametrize("problem", [PROBLEM, POINTWISE], ids=["3x3", "1x1"])
@pytest.mark.parametrize("spec", EVERY_BACKEND)
def test_an_input_of_another_shape_or_dtype_is_refused(spec: str, problem: ConvProblem) -> None:
    x, weight, bias = arrays_of(problem)
    call = get(spec).prepare(problem, weight, bias)

    with pytest.raises(ShapeMismatch, match="was prepared for"):
        call(x[:, :, :4])
    with pytest.raises(DtypeMismatch, match="was prepared for float32"):
        call(x.astype(np.float64))
    with pytest.raises(DtypeMismatch, match="was prepared for float32"):
        call(x.astype(x.dtype.newbyteorder()))
    assert call(x).shape == problem.y_shape


@pytest.mark.parametrize("spec", EVERY_BACKEND)
def test_weights_that_are_not_the_problems_are_refused(spec: str) -> None:
    backend = get(spec)
    _, weight, bias = arrays_of(PROBLEM)

    for wrong_weight, wrong_bias in ((weight[:, :2], bias), (weight, bias[:1]), (weight, None)):
        with pytest.raises(ShapeMismatch):
            backend.prepare(PROBLEM, wrong_weight, wrong_bias)
    with pytest.raises(DtypeMismatch):
        backend.prepare(PROBLEM, weight.astype(np.float64), bias)
    with pytest.raises(DtypeMismatch):
        backend.prepare(PROBLEM, weight, bias.astype(bias.dtype.newbyteorder()))


@pytest.mark.parametrize(("dtype", "other"), [("float16", "bfloat16"), ("bfloat16", "float16")])
def test_half_precisions_of_the_same_size_are_not_taken_for_each_other(dtype: str, other: str) -> None:
    problem = POINTWISE.replace(dtype=dtype)
    x, weight, bias = (array.astype(numpy_dtype(dtype)) for array in arrays_of(problem))
    if "torch" not in names() or get("torch").why_unsupported(problem):
        pytest.skip(f"nothing computes {dtype} here")

    with pytest.raises(DtypeMismatch, match=f"has dtype {other}, but the problem is {dtype}"):
        get("torch").prepare(problem, weight.astype(numpy_dtype(other)), bias)
    with pytest.raises(DtypeMismatch, match=f"has dtype {other}, but was prepared for {dtype}"):
        get("torch").prepare(problem, weight, bias)(x.astype(numpy_dtype(other)))


def test_dilation_of_a_single_tap_costs_the_fft_nothing() -> None:
    problem = ConvProblem(C_in=1, C_out=1, spatial=(8, 8), kernel=1, dilation=20_000)
    x = np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8)

    y = get("fft").prepare(problem, np.full((1, 1, 1, 1), 2, np.float32))(x)

    np.testing.assert_allclose(y, 2 * x, atol=1e-4)
