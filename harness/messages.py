"""What coordinator and worker say to each other: one JSON line a message, over a pipe of their own."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from harness.records import CacheState, Ceilings, CheckOutcome, Explanation


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


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Prepare the case on `data` (timed)."""

    problem: str
    data: str
    seed: int
    is_memory_measured: bool = True
    """Whether to say what is retained, which costs some milliseconds: too many for a case that is only checked."""


class CallFirst(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Call the prepared case for the first time (timed)."""


class Check(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Examine the prepared case by these probes in order, against the references in a folder."""

    probes: tuple[str, ...]
    folder: str


class MeasureMemory(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Call the prepared case once more and say how much memory that takes at its peak."""


class Warm(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Call the prepared case until it is warm and say what a call, the clock and a block besides its calls cost.

    A case whose first call took long may skip that: the first call tells enough.
    """

    cache: CacheState = CacheState.HOT
    may_skip: bool = False


class TimeBlock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Time so many calls, after one untimed call if `is_primed`; keep the last output for `Recheck` if asked.

    With cold caches every one of them comes after a flush, which is not timed.
    """

    calls: int
    is_primed: bool
    keep_output: bool
    cache: CacheState = CacheState.HOT
    limit_ns: int | None = None
    """Fewer calls are made where they take longer than this."""


class Recheck(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Check the kept outputs of timed calls, and that the inputs are as they were."""

    folder: str


class Explain(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Find the smallest problem on which this probe fails, and say what is wrong there; stop trying after limit_s."""

    problem: str
    probe: str
    seed: int
    limit_s: float


class MeasureCeilings(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Measure what this machine can do at most in a dtype, with the threads the worker was started for."""

    dtype: str
    threads: int
    when: str
    limit_s: float
    """For all kinds together, besides loading libraries."""


class Release(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Forget the case and its arrays."""


Request: TypeAlias = (
    Open
    | Refer
    | Prepare
    | CallFirst
    | Check
    | MeasureMemory
    | Warm
    | TimeBlock
    | Recheck
    | Explain
    | MeasureCeilings
    | Release
)


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


class Prepared(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The case can be called."""

    prepare_ns: int
    predicted_bytes: int | None = None
    """What the backend said beforehand that it needs beyond inputs and outputs."""


class Called(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first call has returned; its output is kept for `Check`."""

    first_call_ns: int
    retained_bytes: int | None = None
    """What preparing and the first call keep."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The case would not fit into memory, so nothing was allocated."""

    reason: str


class Checked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The verdict."""

    outcome: CheckOutcome


class MemoryMeasured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Peak of one call beyond input, output and what was there before; None where it cannot be seen here."""

    workspace_bytes: int | None


class Warmed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A warm call's time, the clock's, a block's besides its calls, and the threads each library is set to."""

    call_ns: float
    timer_ns: float
    block_overhead_ns: float = 0.0
    thread_pools: dict[str, int] = {}


class Block(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One timed block: wall and CPU time of all its calls, and what disturbed them."""

    wall_ns: int
    calls: int
    cpu_ns: int
    preemptions: int = 0
    """Involuntary context switches of the worker."""
    stolen: float = 0.0
    """Share of the machine's time that the host gave to others."""


class CeilingsMeasured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the machine can do at most."""

    ceilings: Ceilings


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


Reply: TypeAlias = (
    Opened
    | Done
    | Declined
    | Refused
    | Prepared
    | Called
    | Checked
    | MemoryMeasured
    | Warmed
    | Block
    | Rechecked
    | Explained
    | CeilingsMeasured
    | Failed
)

_REQUESTS = msgspec.json.Decoder(Request)
_REPLIES = msgspec.json.Decoder(Reply)


PIPE_LOST = 70
"""Exit code of a worker whose pipe to the coordinator was closed under it: EX_SOFTWARE of sysexits.h."""


class WrongTicket(Exception):
    """A reply to another request than the one that was just made: a late one, a second one, or a forged one."""


def encode(message: Request | Reply, ticket: str) -> bytes:
    """The message as one line. A reply bears its request's ticket, so that no other line passes for it.

    Args:
        message: What to say.
        ticket: A word that was never used before.
    """
    return b"%s %s\n" % (ticket.encode(), msgspec.json.encode(message))


def decode_request(line: bytes) -> tuple[str, Request]:
    """The ticket and the request on a line.

    Raises:
        msgspec.MsgspecError: The line is none.
    """
    ticket, _, body = line.partition(b" ")
    request: Request = _REQUESTS.decode(body)
    return ticket.decode(), request


def decode_reply(line: bytes, ticket: str) -> Reply:
    """The reply on a line.

    Raises:
        msgspec.MsgspecError: The line is none.
        WrongTicket: It answers another request.
    """
    found, _, body = line.partition(b" ")
    reply: Reply = _REPLIES.decode(body)
    if found != ticket.encode():
        raise WrongTicket(f"a {type(reply).__name__} that answers another request")
    return reply
