"""PyTorch's border: 16-bit memory is shared, and what a build cannot compute is declined in its own words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import backends
from backends import ConvProblem
from backends.dtypes import numpy_dtype

torch_native = pytest.importorskip("backends.torch_native")

HALF_DTYPES = ("float16", "bfloat16")


@pytest.fixture
def torch_without_3d_half(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A build whose 3-D convolution knows no 16-bit type."""

    def declined(*_: object, **__: object) -> None:
        raise RuntimeError("\"slow_conv3d\" not implemented for 'Half'\nand a trace")

    monkeypatch.setitem(torch_native._CONV, 3, declined)
    torch_native._refusal.cache_clear()
    yield
    torch_native._refusal.cache_clear()


@pytest.mark.parametrize("dtype", ["float32", *HALF_DTYPES])
def test_arrays_cross_the_border_without_a_copy(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = ConvProblem(C_in=2, C_out=2, spatial=(4,), kernel=1, dtype=dtype)
    x = np.arange(8).reshape(problem.x_shape).astype(numpy_dtype(dtype))
    monkeypatch.setitem(torch_native._CONV, 1, lambda x_t, *_, **__: x_t)

    y = backends.get("torch").prepare(problem, np.ones(problem.weight_shape, x.dtype))(x)

    assert np.shares_memory(x, y)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("dtype", HALF_DTYPES)
def test_half_precision_that_this_build_lacks_is_declined_with_what_it_said(
    dtype: str, torch_without_3d_half: None
) -> None:
    volume = ConvProblem(C_in=2, C_out=2, spatial=(5, 5, 5), kernel=3, dtype=dtype)

    reason = backends.get("torch").why_unsupported(volume)

    assert reason is not None
    assert f"3-D convolution in {dtype}" in reason
    assert "not implemented for 'Half'" in reason
    assert "trace" not in reason
    assert backends.get("torch").why_unsupported(volume.replace(dtype="float32")) is None


def test_what_selects_a_kernel_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    real = torch_native._CONV[2]
    monkeypatch.setitem(torch_native._CONV, 2, lambda *args, **how: (tried.append(how), real(*args, **how))[1])
    torch_native._refusal.cache_clear()
    problem = ConvProblem(C_in=2, C_out=2, spatial=(9, 9), kernel=3, dtype="float16")

    for _ in range(3):
        backends.get("torch").why_unsupported(problem)
        backends.get("torch").why_unsupported(problem.replace(dilation=2, C_in=4))

    assert [how["dilation"] for how in tried] == [1, 2]
