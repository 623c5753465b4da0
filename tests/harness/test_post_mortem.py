from __future__ import annotations

import signal

import pytest

from harness.last_words import where
from harness.post_mortem import Ending

REPORT = """Fatal Python error: Segmentation fault

Thread 0x00007f01 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait

{first} (most recent call first):
  File "/home/me/my kernels.py", line 12 in <lambda>
  File "/home/me/my kernels.py", line 40 in call

Extension modules: numpy._core._multiarray_umath (total: 1)
"""


@pytest.mark.parametrize("first", ["Current thread 0x00007f02", "Thread 0x00007f02"])
def test_a_crash_is_placed_at_the_innermost_frame_of_its_own_thread_or_else_the_main_one(first: str) -> None:
    assert where(REPORT.format(first=first)) == " in <lambda> (my kernels.py:12)"


def test_only_the_last_report_counts_and_garbage_before_it_does_not() -> None:
    assert (
        where(
            "\0\xff"
            + REPORT.format(first="Current thread 1").replace("12", "11")
            + REPORT.format(first="Current thread 1")
        )
        == " in <lambda> (my kernels.py:12)"
    )


def test_no_report_places_nothing() -> None:
    assert where("") == ""
    assert (
        where("Fatal Python error: Aborted\n\nCurrent thread 0x1 (most recent call first):\n  <no Python frame>\n")
        == ""
    )


@pytest.mark.parametrize(
    ("ending", "is_out_of_memory", "says"),
    [
        (Ending(code=-9, has_kernel_killed=True), True, "most likely because memory ran out"),
        (Ending(code=-9), False, "though memory had not run out"),
        (Ending(code=-9, has_kernel_killed=True, is_stopped_by_us=True), False, "was stopped"),
        (Ending(code=-11, is_at_limit=True, peak_bytes=10**9), True, "SIGSEGV, as it held 1.00 GB"),
        (Ending(code=-11, peak_bytes=10**9), False, "SIGSEGV"),
        (Ending(code=0, is_at_limit=True), False, "exited with code 0"),
        (
            Ending(code=-6, said="terminate called / what():  std::bad_alloc"),
            True,
            "SIGABRT; its last output: terminate",
        ),
        (Ending(code=1, said="MemoryError"), True, "exited with code 1"),
        (Ending(code=1, said="memory of old times"), False, "exited with code 1"),
        (Ending(code=-(signal.SIGRTMIN + 1)), False, f"signal {signal.SIGRTMIN + 1}"),
        (Ending(is_running=True), False, "closed its pipe but did not end"),
        (Ending(), False, "the process that guards it were killed"),
    ],
)
def test_an_end_has_its_reason_and_memory_is_blamed_only_where_it_was_short(
    ending: Ending, is_out_of_memory: bool, says: str
) -> None:
    assert ending.is_out_of_memory is is_out_of_memory
    assert says in ending.reason
