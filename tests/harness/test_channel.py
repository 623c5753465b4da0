from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness import channel
from harness.channel import Channel, ChannelClosed, LineTooLong


@dataclass
class Pipes:
    """A channel and the other ends of its pipes."""

    channel: Channel
    requests: int
    replies: int
    life: int

    def close(self, name: str) -> None:
        os.close(getattr(self, name))
        setattr(self, name, -1)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    (requests, write), (read, replies), (ended, life) = os.pipe(), os.pipe(), os.pipe()
    found = Pipes(channel=Channel(write, read, ended), requests=requests, replies=replies, life=life)
    yield found
    found.channel.close()
    for descriptor in (ended, found.requests, found.replies, found.life):
        if descriptor >= 0:
            os.close(descriptor)


def soon() -> float:
    return time.monotonic() + 0.05


def later() -> float:
    return time.monotonic() + 60


def test_lines_come_out_as_they_went_in_however_they_are_cut(pipes: Pipes) -> None:
    os.write(pipes.replies, b"one\ntw")
    assert pipes.channel.line(later()) == b"one"
    assert pipes.channel.line(soon()) is None
    os.write(pipes.replies, b"o\n\nthree\n")
    assert [pipes.channel.line(later()) for _ in range(3)] == [b"two", b"", b"three"]


def test_a_line_that_nobody_reads_is_given_up_at_the_deadline(pipes: Pipes) -> None:
    assert pipes.channel.send(b"x" * (1 << 20) + b"\n", soon()) is False


def test_a_line_longer_than_the_pipe_arrives_whole(pipes: Pipes) -> None:
    line, received = b"x" * (1 << 20) + b"\n", bytearray()

    def read() -> None:
        while not received.endswith(b"\n"):
            received.extend(os.read(pipes.requests, 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    assert pipes.channel.send(line, later()) is True
    reader.join()
    assert received == line


def test_a_line_without_an_end_is_given_up_before_it_fills_the_memory(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_LONGEST_LINE", 1000)
    os.write(pipes.replies, b"x" * 2000)

    with pytest.raises(LineTooLong):
        pipes.channel.line(later())


def test_a_closed_pipe_is_no_end_of_a_line(pipes: Pipes) -> None:
    os.write(pipes.replies, b"half a li")
    pipes.close("replies")

    with pytest.raises(ChannelClosed):
        pipes.channel.line(later())


def test_nothing_more_is_waited_for_when_the_worker_has_ended_though_a_child_keeps_its_pipes(pipes: Pipes) -> None:
    os.write(pipes.replies, b"the last\n")
    os.write(pipes.life, b"-9\n")

    assert pipes.channel.line(later()) == b"the last"
    with pytest.raises(ChannelClosed):
        pipes.channel.line(later())
    with pytest.raises(ChannelClosed):
        pipes.channel.send(b"x" * (1 << 20), later())


def test_writing_to_nobody_is_said_to_be_so(pipes: Pipes) -> None:
    pipes.close("requests")

    with pytest.raises(ChannelClosed):
        pipes.channel.send(b"anybody?\n", later())
