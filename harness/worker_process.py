"""The coordinator's handle on a worker: start, ask with a time limit, and end it with everything it started."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

import msgspec

from backends.threads import ENVIRONMENT_VARIABLES
from harness import last_words, messages, process_memory, process_tree
from harness.channel import Channel, ChannelClosed, LineTooLong
from harness.memory_watch import MemoryWatch
from harness.post_mortem import Ending
from harness.process_handle import ProcessHandle

# glibc gives freed memory back to the kernel and faults it in again at the next call; told to keep it, no backend pays
# for page faults on fresh outputs. 2**62 is "never" for the trim threshold.
_ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 62), "MALLOC_TOP_PAD_": str(64 << 20)}
# Unbound, the second thread of a pool may be woken on the core where the first one spins for it: both then wait for a
# scheduler's time slice, and a call of 0.3 ms takes 10.
_BINDING = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
# OpenBLAS's threads spin for 2**26 cycles after a product, tens of milliseconds in which nothing else may be timed.
# 2**23, about 3 ms, still bridges the gaps between the products of one call.
_SPINNING = {"OPENBLAS_THREAD_TIMEOUT": "23"}
# Inherited by whatever a worker starts, so that it can be found. See harness.guard for what finds it first.
_MARK = "CONVBENCH_WORKER"
# The guard itself takes up to 5 s over processes that do not die at once.
_ENDING_LIMIT_S = 8.0
_CRASH_REPORT_KEPT = 1 << 16
# Between the end of its pipe and its own.
_LAST_BREATH_S = 2.0


class WorkerLost(Exception):
    """The worker ended or stopped making sense; the message says how."""

    def __init__(self, reason: str, *, is_out_of_memory: bool = False) -> None:
        super().__init__(reason)
        self.is_out_of_memory = is_out_of_memory


class WorkerTimeout(Exception):
    """The worker did not answer within its limit and was ended."""


class WorkerProcess:
    """One worker and everything it starts, below a guard that ends all of it; asked over its own pipes.

    Between requests it is frozen, on Linux: nothing it has left running takes a core from the worker that is timed.

    Args:
        threads: Set in the environment that its libraries read when they load.
        cores: Numbers of the cores that it may run on, from before any library loads; those of this process if None.
            Linux only: elsewhere it runs where the system puts it.
        variables: More of the environment that its libraries read.

    Raises:
        ValueError: This process may run on none of the cores.
    """

    def __init__(
        self, threads: int, cores: Sequence[int] | None = None, *, variables: Mapping[str, str] | None = None
    ) -> None:
        request_read, request_write = os.pipe()
        reply_read, reply_write = os.pipe()
        self._status_fd, status_write = os.pipe()
        lifeline_read, self._lifeline_fd = os.pipe()
        self._crash_report = tempfile.TemporaryFile()  # noqa: SIM115  # end() closes it
        self._mark = f"{_MARK}={secrets.token_hex(16)}"
        theirs = (request_read, reply_write, status_write, lifeline_read)
        try:
            with _bound_to(cores):
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "harness.guard", *map(str, theirs), str(self._crash_report.fileno())],
                    pass_fds=(*theirs, self._crash_report.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=_environment(threads, self._mark) | dict(variables or {}),
                    start_new_session=True,
                )
        except BaseException:
            for descriptor in (request_write, reply_read, self._status_fd, self._lifeline_fd):
                os.close(descriptor)
            self._crash_report.close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        assert self._process.stdout is not None  # noqa: S101  # asked for above
        assert self._process.stderr is not None  # noqa: S101  # likewise
        self._said = last_words.LastWords([self._process.stderr, self._process.stdout])
        self._channel = Channel(request_write, reply_read, self._status_fd)
        self._memory = MemoryWatch(self._process.pid)
        self._oom_kills = process_memory.oom_kills()
        self._handle: ProcessHandle | None = None
        self._opening = threading.Lock()
        self._is_open = True
        self._is_killed = False

    @property
    def guard_pid(self) -> int:
        """The process above the worker; everything below it is the worker's."""
        return self._process.pid

    def ask(self, request: messages.Request, timeout_s: float) -> messages.Reply:
        """The worker's reply. Memory is limited from the reply to an `Open` that asks for a limit.

        Raises:
            WorkerLost: It ended, held more memory than it may, or wrote something that is no reply to this.
            WorkerTimeout: It did not reply in time. In all cases it is gone afterwards.
        """
        deadline = time.monotonic() + timeout_s
        ticket = secrets.token_hex(8)
        try:
            line = self._answer(messages.encode(request, ticket), deadline)
            if line is None:
                self.end()
                raise WorkerTimeout(f"no answer within {timeout_s:g} s")
            reply = messages.decode_reply(line, ticket)
        except ChannelClosed:
            raise self._lost() from None
        except (LineTooLong, msgspec.MsgspecError, messages.WrongTicket, UnicodeDecodeError) as error:
            self.end()
            what = "more than any reply holds" if isinstance(error, LineTooLong) else str(error)
            raise WorkerLost(f"the worker wrote something that is no reply: {what}") from error
        if isinstance(request, messages.Open) and request.memory_limit_bytes is not None:
            self._memory.limit(request.memory_limit_bytes)
        return reply

    def end(self) -> None:
        """Kill the worker with everything it started, and wait for that. Harmless when called again."""
        with self._opening:
            if not self._is_open:
                return
            self._is_open = False
            os.close(self._lifeline_fd)
        self._process.send_signal(signal.SIGCONT)  # its own worker may have stopped it
        try:
            code = self._process.wait(_ENDING_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code != 0:
            process_tree.kill_marked(self._mark, _ENDING_LIMIT_S)
        if self._handle is not None:
            self._handle.close()
        self._said.close()
        self._channel.close()
        os.close(self._status_fd)
        self._crash_report.close()

    def kill(self) -> None:
        """From any thread: kill the processes and nothing else. Whoever asks gets WorkerLost, and ends what is left."""
        with self._opening:
            if self._is_open:
                self._is_killed = True
                with contextlib.suppress(BrokenPipeError):
                    os.write(self._lifeline_fd, b"!")

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _answer(self, request: bytes, deadline: float) -> bytes | None:
        """The line that answers a request; None at the deadline."""
        if self._handle is None:
            introduction = self._channel.line(deadline)
            if introduction is None:
                return None
            self._handle = ProcessHandle(int(introduction))
        self._handle.thaw()
        if not self._channel.send(request, deadline):
            return None
        asleep_until = self._memory.first_look()
        while (line := self._channel.line(min(deadline, asleep_until))) is None:
            if time.monotonic() >= deadline:
                return None
            excess = self._memory.excess()
            if excess is not None:
                self.end()
                raise WorkerLost(excess, is_out_of_memory=True)
            asleep_until = self._memory.next_look()
        self._handle.freeze()
        return line

    def _lost(self) -> WorkerLost:
        ended, code, peak_bytes = self._status()
        report = os.pread(self._crash_report.fileno(), _CRASH_REPORT_KEPT, 0)
        oom_kills = process_memory.oom_kills()
        self.end()  # and so read to the end what it printed
        ending = Ending(
            code=code,
            peak_bytes=peak_bytes,
            is_running=not ended,
            is_stopped_by_us=self._is_killed,
            has_kernel_killed=oom_kills is None or oom_kills != self._oom_kills,
            is_at_limit=self._memory.is_reached_by(peak_bytes),
            crash_report=report.decode(errors="replace"),
            said=self._said.text(),
        )
        return WorkerLost(ending.reason, is_out_of_memory=ending.is_out_of_memory)

    def _status(self) -> tuple[bool, int | None, int]:
        """Whether the worker has ended, its exit code if its guard lived to tell, and its peak of memory in bytes."""
        poll = select.poll()
        poll.register(self._status_fd, select.POLLIN)
        if not poll.poll(_LAST_BREATH_S * 1000):
            return False, None, 0
        words = os.read(self._status_fd, 100).split()
        return (True, int(words[0]), int(words[1])) if words else (True, None, 0)


def _environment(threads: int, mark: str) -> dict[str, str]:
    name, _, token = mark.partition("=")
    counts = dict.fromkeys(ENVIRONMENT_VARIABLES, str(threads))
    return _BINDING | _SPINNING | os.environ | _ALLOCATOR | counts | {name: token}


@contextlib.contextmanager
def _bound_to(cores: Sequence[int] | None) -> Iterator[None]:
    """Let this thread, and so what it starts meanwhile, run on these cores only."""
    if cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    if not set(cores) <= before or not cores:
        raise ValueError(f"cores={list(cores)}; this process may run on {sorted(before)}: name some of those")
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
