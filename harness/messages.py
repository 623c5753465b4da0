"""What coordinator and worker say to each other: one JSON line a message, over a pipe of their own."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from harness.records import CheckOutcome, Explanation


class Open(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Load a backend with this many threads; memory beyond what it then holds is limited."""

    backend: str
    threads: int
    memory_limit_bytes: int | None


class Refer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Compute what is true of the data of these probes with the oracle and save it in a folder."""

    problem: str
    probes: tuple[str, ...]
    seed: int
    folder: str


class Check(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Prepare the case on `data` (timed), call it once (timed), and examine it by these probes in order."""

    problem: str
    data: str
    probes: tuple[str, ...]
    seed: int
    folder: str


class Warm(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Call the prepared case until it is warm and say what a call and the clock cost."""


class TimeBlock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Time so many calls, after one untimed call if `is_primed`; keep the last output for `Recheck` if asked."""

    calls: int
    is_primed: bool
    keep_output: bool


class Recheck(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Check the kept outputs of timed calls, and that the inputs are as they were."""

    folder: str


class Explain(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Find the smallest problem on which this probe fails, and say what is wrong there; stop trying after limit_s."""

    problem: str
    probe: str
    seed: int
    limit_s: float


class Release(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Forget the case and its arrays."""


Request: TypeAlias = Open | Refer | Check | Warm | TimeBlock | Recheck | Explain | Release


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The backend is loaded."""

    name: str
    device: str
    algorithm: str
    import_ns: int


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request is carried out; there is nothing to say."""


class Declined(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The backend does not compute this problem."""

    reason: str


class Checked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The verdict, and the times of preparing and of the first call."""

    outcome: CheckOutcome
    prepare_ns: int
    first_call_ns: int


class Warmed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A warm call's time and the clock's."""

    call_ns: float
    timer_ns: float


class Block(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One timed block: wall and CPU time of all its calls."""

    wall_ns: int
    cpu_ns: int


class Rechecked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What is wrong with outputs of timed calls, or None."""

    defect: str | None


class Explained(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The failure on its smallest problem; None if the probe passes now."""

    explanation: Explanation | None


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An exception; the worker lives on but is not to be trusted with another case."""

    reason: str
    is_out_of_memory: bool
    is_usage: bool


Reply: TypeAlias = Opened | Done | Declined | Checked | Warmed | Block | Rechecked | Explained | Failed

_REQUESTS = msgspec.json.Decoder(Request)
_REPLIES = msgspec.json.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """The message as one line."""
    return msgspec.json.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """The request on a line.

    Raises:
        msgspec.MsgspecError: The line is none.
    """
    request: Request = _REQUESTS.decode(line)
    return request


def decode_reply(line: bytes) -> Reply:
    """The reply on a line.

    Raises:
        msgspec.MsgspecError: The line is none.
    """
    reply: Reply = _REPLIES.decode(line)
    return reply
