"""The coordinator's end of the pipes to a worker: lines that neither block it nor fill its memory."""

from __future__ import annotations

import os
import select
import time

# The longest honest reply, a check with its explanation, is some 100 kB.
_LONGEST_LINE = 64 << 20
_READ_SIZE = 1 << 16


class ChannelClosed(Exception):
    """The other side is gone."""


class LineTooLong(Exception):
    """More bytes than any message has, and no end of the line."""


class Channel:
    """Two pipes and a third that speaks when the worker has ended.

    Args:
        write_fd: Of the pipe to the worker.
        read_fd: Of the pipe from it.
        ended_fd: Readable as soon as the worker has ended. A child of it may keep its pipes open.
    """

    def __init__(self, write_fd: int, read_fd: int, ended_fd: int) -> None:
        self._write_fd, self._read_fd, self._ended_fd = write_fd, read_fd, ended_fd
        for descriptor in (write_fd, read_fd):
            os.set_blocking(descriptor, False)
        self._unread = bytearray()
        self._searched = 0

    def send(self, line: bytes, deadline: float) -> bool:
        """Write a line; False if the worker has not taken all of it by the deadline.

        Args:
            line: With its line break.
            deadline: On the clock of time.monotonic, in s.

        Raises:
            ChannelClosed: There is nobody to read it.
        """
        rest = memoryview(line)
        while rest:
            ready = self._ready(self._write_fd, select.POLLOUT, deadline)
            if self._write_fd in ready:
                try:
                    rest = rest[os.write(self._write_fd, rest) :]
                except BrokenPipeError:
                    raise ChannelClosed from None
            elif ready:
                raise ChannelClosed
            else:
                return False
        return True

    def line(self, deadline: float) -> bytes | None:
        """The next line without its end, or None if there is none by the deadline.

        Raises:
            ChannelClosed: There will be none.
            LineTooLong: It does not end.
        """
        while (end := self._unread.find(b"\n", self._searched)) < 0:
            self._searched = len(self._unread)
            if self._searched > _LONGEST_LINE:
                raise LineTooLong
            ready = self._ready(self._read_fd, select.POLLIN, deadline)
            if self._read_fd in ready:
                chunk = os.read(self._read_fd, _READ_SIZE)
                if not chunk:
                    raise ChannelClosed
                self._unread += chunk
            elif ready:  # ended, and everything it wrote is read
                raise ChannelClosed
            else:
                return None
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        self._searched = 0
        return line

    def _ready(self, descriptor: int, event: int, deadline: float) -> set[int]:
        """Which of the descriptor and the sign of the end is ready; none at the deadline."""
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            return set()
        # Not select(), which knows descriptors below 1024 only.
        poll = select.poll()
        poll.register(descriptor, event)
        poll.register(self._ended_fd, select.POLLIN)
        return {found for found, _ in poll.poll(remaining_s * 1000)}

    def close(self) -> None:
        """Close both pipes."""
        os.close(self._write_fd)
        os.close(self._read_fd)
