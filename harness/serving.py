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

_PIPE_TAKEN = 70  # EX_SOFTWARE of sysexits.h


def serve(request_fd: int, reply_fd: int) -> None:
    """Answer requests until the coordinator closes its end."""
    for descriptor in (request_fd, reply_fd):
        os.set_inheritable(descriptor, False)
    worker, own, pipe = Worker(), getpid(), fstat(reply_fd).st_ino
    with os.fdopen(request_fd, "rb") as requests:
        for line in requests:
            ticket, request = messages.decode_request(line)
            reply = _encoded(_answer(worker, request), ticket)
            if getpid() != own:
                _exit(0)  # a child that a backend forked and let return: the answer is its parent's to give
            if fstat(reply_fd).st_ino != pipe:
                write(2, b"the pipe to the coordinator was closed, and its number is another file's now\n")
                _exit(_PIPE_TAKEN)
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


def _write(descriptor: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[write(descriptor, rest) :]
