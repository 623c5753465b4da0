from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from harness.cli_interrupts import Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with Interrupts() as opened:
        yield opened
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "as it was before"
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_stops_at_once_while_nothing_is_in_flight(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_the_first_is_told_and_noted_and_the_second_stops(
    interrupts: Interrupts, capfd: pytest.CaptureFixture[str]
) -> None:
    interrupts.let_finish("the cell in flight")
    assert not interrupts.is_asked()

    interrupt()

    assert interrupts.is_asked()
    assert capfd.readouterr().err == "finishing the cell in flight; interrupt again to stop at once\n"
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_what_must_not_be_stopped_halfway_is_done_first(interrupts: Interrupts) -> None:
    interrupts.let_finish("the cell in flight")
    done = []

    with pytest.raises(KeyboardInterrupt):  # noqa: PT012  # what is done before counts
        with interrupts.deferred():
            interrupt()
            interrupt()
            done.append("the line is whole")
        done.append("not reached")

    assert done == ["the line is whole"]


def test_a_first_one_does_not_stop_after_what_was_not_to_be_stopped(interrupts: Interrupts) -> None:
    interrupts.let_finish("the cell in flight")

    with interrupts.deferred():
        interrupt()

    assert interrupts.is_asked()


def test_what_ends_the_workers_is_not_stopped_by_a_third_and_the_report_is(interrupts: Interrupts) -> None:
    interrupts.let_finish("the cell in flight")
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        interrupt()

    interrupt()  # while workers are being ended
    interrupts.let_finish("the report")

    with pytest.raises(KeyboardInterrupt):
        interrupt()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_and_a_hang_up_are_interrupts(number: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with Interrupts(), pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)


def test_what_is_ignored_from_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupts.is_asked()
    finally:
        signal.signal(signal.SIGHUP, before)
