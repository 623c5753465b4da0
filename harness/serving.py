"""The worker's end of the pipes: reads requests, has them carried out, and writes replies, whatever foreign code does.

It talks over those two pipes only; stdout and stderr belong to the libraries it loads.
"""

from __future__ import annotations

import os

# Their own names here, because a backend may replace what is in `os`.
from os import _exit, fstat, getpid, write

import msgspec

from harness import messages
from harness.exception_text import failed
from harness.worker import Worker


def serve(request_fd: int, reply_fd: int) -> None:
    """Answer requests until the coordinator closes its end."""
    for descriptor in (request_fd, reply_fd):
        os.set_inheritable(descriptor, False)
    worker, own, pipe = Worker(), getpid(), _inode(reply_fd)
    with os.fdopen(request_fd, "rb") as requests:
        for line in requests:
            ticket, request = messages.decode_request(line)
            reply = _encoded(_answer(worker, request), ticket)
            if getpid() != own:
                _exit(0)  # a child that a backend forked and let return: the answer is its parent's to give
            if _inode(reply_fd) != pipe:
                _exit(messages.PIPE_LOST)
            _write(reply_fd, reply)


def _answer(worker: Worker, request: messages.Request) -> messages.Reply:
    try:
        return worker.answer(request)
    except BaseException as error:  # SystemExit and the like are the backend's as much as any other
        return failed(error)


def _encoded(reply: messages.Reply, ticket: str) -> bytes:
    try:
        return messages.encode(reply, ticket)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:  # half a character in what a backend says
        return messages.encode(failed(error), ticket)


def _inode(descriptor: int) -> int | None:
    """What the descriptor is of: a backend may close it and open something else under its number."""
    try:
        return fstat(descriptor).st_ino
    except OSError:
        return None


def _write(descriptor: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[write(descriptor, rest) :]
