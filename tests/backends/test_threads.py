"""The requested number of threads reaches each library's own control."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import threadpoolctl
from strategies import problem_arrays

import backends
from backends import ConvError, ConvProblem, threads

PROBLEM = ConvProblem(C_in=4, C_out=4, spatial=(8, 8), kernel=3)


@pytest.fixture(autouse=True)
def _request_is_withdrawn() -> Iterator[None]:
    yield
    threads.request(None)


def prepare(name: str) -> None:
    if name not in backends.names():
        pytest.skip(f"{name} does not load here")
    backends.get(name).prepare(PROBLEM, problem_arrays(PROBLEM).weight)


def test_nothing_is_requested_at_first_and_none_withdraws_a_request() -> None:
    assert threads.requested() is None
    threads.request(3)
    assert threads.requested() == 3
    threads.request(None)
    assert threads.requested() is None


@pytest.mark.parametrize("count", [0, -1])
def test_fewer_than_one_thread_is_refused(count: int) -> None:
    with pytest.raises(ConvError, match=f"threads={count}; use 1 or more"):
        threads.request(count)
    assert threads.requested() is None


def test_at_least_one_core_is_available() -> None:
    assert threads.available() >= 1


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", ["im2col", "fft"])
def test_blas_gets_the_number_requested(name: str, count: int) -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    threads.request(count)
    prepare(name)
    blas = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    assert blas, "NumPy's BLAS is not visible, so nothing was tested"
    # A BLAS started with fewer threads cannot grow: its environment variable or the machine had the last word.
    assert all(used <= count for used in blas)
    assert count == 1 or max(blas) == min(count, threads.available())


@pytest.mark.parametrize("count", [1, 2])
def test_torch_gets_the_number_requested(count: int) -> None:
    torch = pytest.importorskip("torch")
    threads.request(count)
    prepare("torch")
    assert torch.get_num_threads() == count


@pytest.mark.parametrize("count", [1, 2])
def test_numba_gets_the_number_requested_or_all_it_has(count: int) -> None:
    numba = pytest.importorskip("numba")
    threads.request(count)
    prepare("numba")
    assert numba.get_num_threads() == min(count, numba.config.NUMBA_NUM_THREADS)
