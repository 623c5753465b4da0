from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from harness.merging import merged


def counting(first: int, count: int) -> Callable[[], Iterator[int]]:
    return lambda: iter(range(first, first + count))


def waiting_for(stopped: threading.Event) -> Callable[[], Iterator[int]]:
    """A source that yields once and then hangs until it is stopped."""

    def source() -> Iterator[int]:
        yield 1
        assert stopped.wait(timeout=20)
        raise RuntimeError("this comes of being stopped and is nobody's concern")

    return source


def test_everything_comes_out_once_and_each_source_keeps_its_order() -> None:
    out = list(merged([counting(0, 100), counting(1000, 50), counting(5000, 0)], stop=lambda: None))

    assert [item for item in out if item < 1000] == list(range(100))
    assert [item for item in out if item >= 1000] == list(range(1000, 1050))


def test_the_first_error_ends_the_others_and_is_raised() -> None:
    stopped = threading.Event()

    def failing() -> Iterator[int]:
        yield 0
        raise ArithmeticError("the second source fell over")

    before = threading.active_count()
    with pytest.raises(ArithmeticError, match="fell over"):
        list(merged([waiting_for(stopped), failing], stop=stopped.set))

    assert threading.active_count() == before


def test_closing_stops_the_sources_and_leaves_no_thread() -> None:
    stopped = threading.Event()
    before = threading.active_count()
    events = merged([waiting_for(stopped), waiting_for(stopped)], stop=stopped.set)
    assert next(events) == 1

    events.close()

    assert stopped.is_set()
    assert threading.active_count() == before


def test_nothing_starts_before_it_is_asked_for() -> None:
    def source() -> Iterator[int]:
        raise AssertionError("nobody asked")
        yield 0

    merged([source], stop=lambda: None).close()
