from __future__ import annotations

import mmap

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import messages
from harness.exception_text import failed
from harness.printable import clipped, printable


@given(st.text())
def test_whatever_an_exception_says_can_be_stored_and_shown(text: str) -> None:
    reply = failed(ValueError(text + "\ud800\x1b\x00"))

    assert messages.decode_reply(messages.encode(reply, "t").rstrip(), "t") == reply
    assert all(one.isprintable() or one in "\n\t" for one in reply.reason)


@given(st.text(alphabet="ab ", max_size=300), st.integers(20, 100))
def test_clipped_text_keeps_its_beginning_and_its_end(text: str, longest: int) -> None:
    short = clipped(text, longest)

    assert short[:10] == text[:10]
    assert short[-4:] == text[-4:]
    assert len(short) <= longest + len(" [... 300 characters ...] ")


def test_printable_text_is_left_alone() -> None:
    assert printable("ß – naïve\n\t漢字 \\x1b") == "ß – naïve\n\t漢字 \\x1b"


def test_a_users_mistake_is_said_without_a_class() -> None:
    assert failed(ValueError("no such option"), is_usage=True) == messages.Failed(
        reason="no such option", is_out_of_memory=False, is_usage=True
    )


def test_failed_allocations_of_numpy_and_of_the_system_are_known_as_such() -> None:
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(1 << 60, np.uint8)
    with pytest.raises(OSError, match="memory") as of_system:
        mmap.mmap(-1, 1 << 62)

    assert failed(of_numpy.value).is_out_of_memory
    assert failed(of_system.value).is_out_of_memory
    assert failed(
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes")
    ).is_out_of_memory
    assert not failed(ValueError("workspace_mb is the memory of a tile")).is_out_of_memory


def test_a_late_reply_is_not_taken_for_the_answer() -> None:
    line = messages.encode(messages.Done(), "earlier").rstrip()

    with pytest.raises(messages.WrongTicket, match="a Done that answers another request"):
        messages.decode_reply(line, "now")


@given(st.binary(max_size=60))
def test_garbage_is_no_reply(garbage: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, messages.WrongTicket)):
        messages.decode_reply(garbage, "ticket")
