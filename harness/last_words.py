"""What a worker printed last, and where it was when it crashed."""

from __future__ import annotations

import os
import re
import select
import threading
from collections.abc import Sequence
from pathlib import PurePath
from typing import IO

from harness.printable import clipped, printable

_KEPT = 1 << 14
_READ_SIZE = 1 << 16
_MOST_LINES = 3
_LONGEST_LINE = 200
_FRAME = re.compile(r'^  File "(?P<file>[^"\n]*)", line (?P<line>\d+) in (?P<name>.+)', re.MULTILINE)
# The frames that every crash has in common.
_OURS = (f"{PurePath(__file__).parent}{os.sep}", "<frozen ")


class LastWords:
    """Reads what a worker prints on a thread of its own, however much it is, and keeps the end of it.

    Args:
        streams: The worker's outputs, what is preferred as the last words first.
    """

    def __init__(self, streams: Sequence[IO[bytes]]) -> None:
        self._streams = {stream.fileno(): stream for stream in streams}
        self._ends = dict.fromkeys(self._streams, b"")
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Up to three lines that the worker printed last, on one line; empty if it printed none."""
        for end in self._ends.values():
            lines = [line.strip() for line in end.decode(errors="backslashreplace").splitlines()]
            last = [line for line in lines if line][-_MOST_LINES:]
            if last:
                return " / ".join(clipped(printable(line), _LONGEST_LINE) for line in last)
        return ""

    def close(self) -> None:
        """Stop reading: at the end of the streams, or soon if somebody keeps them open."""
        self._thread.join(timeout=0.5)
        os.close(self._stop_write)
        self._thread.join()
        os.close(self._stop_read)
        for stream in self._streams.values():
            stream.close()

    def _read(self) -> None:
        poll = select.poll()
        for descriptor in (self._stop_read, *self._streams):
            poll.register(descriptor, select.POLLIN)
        left = set(self._streams)
        while left:
            for descriptor, _ in poll.poll():
                if descriptor == self._stop_read:
                    return
                chunk = os.read(descriptor, _READ_SIZE)
                if chunk:
                    self._ends[descriptor] = (self._ends[descriptor] + chunk)[-_KEPT:]
                else:
                    poll.unregister(descriptor)
                    left.discard(descriptor)


def where(report: str) -> str:
    """Where a worker was when it crashed, as ` in call (mykernels.py:12)`; empty if the report does not say.

    Args:
        report: What Python's faulthandler wrote: for every thread its frames, the innermost first.
    """
    threads = report.rpartition("Fatal Python error: ")[2].split("\n\n")
    # After a crash in a thread that Python does not know, the main thread, which is last, says most.
    current = [thread for thread in threads if thread.startswith("Current thread")]
    for thread in [*current, *reversed(threads)]:
        for frame in _FRAME.finditer(thread):
            if not frame["file"].startswith(_OURS):
                return printable(f" in {frame['name']} ({PurePath(frame['file']).name}:{frame['line']})")
    return ""
