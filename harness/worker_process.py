"""The coordinator's handle on a worker: start, ask with a time limit, and end it with everything it started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType

import msgspec

from backends.threads import ENVIRONMENT_VARIABLES
from harness import messages

_STDERR_KEPT = 4096
_READ_SIZE = 1 << 16
# glibc gives freed memory back to the kernel and faults it in again at the next call; told to keep it, no backend pays
# for page faults on fresh outputs. 2**62 is "never" for the trim threshold.
_ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 62), "MALLOC_TOP_PAD_": str(64 << 20)}


# Unbound, the second thread of a pool may be woken on the core where the first one spins for it: both then wait for a
# scheduler's time slice, and a call of 0.3 ms takes 10.
_BINDING = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
# OpenBLAS's threads spin for 2**26 cycles after a product, tens of milliseconds in which nothing else may be timed.
# 2**23, about 3 ms, still bridges the gaps between the products of one call.
_SPINNING = {"OPENBLAS_THREAD_TIMEOUT": "23"}


class WorkerLost(Exception):
    """The worker ended or stopped making sense; the message says how."""

    def __init__(self, reason: str, *, is_out_of_memory: bool = False) -> None:
        super().__init__(reason)
        self.is_out_of_memory = is_out_of_memory


class WorkerTimeout(Exception):
    """The worker did not answer within its limit and was ended."""


class WorkerProcess:
    """One worker and everything it starts: a process group of its own, asked over its own pipes.

    Args:
        threads: Set in the environment that its libraries read when they load.
        variables: More of that environment.
    """

    def __init__(self, threads: int, *, variables: Mapping[str, str] | None = None) -> None:
        request_read, self._request_fd = os.pipe()
        self._reply_fd, reply_write = os.pipe()
        counts = dict.fromkeys(ENVIRONMENT_VARIABLES, str(threads))
        environment = _BINDING | _SPINNING | os.environ | _ALLOCATOR | counts | dict(variables or {})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.worker", str(request_read), str(reply_write)],
            pass_fds=(request_read, reply_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        os.close(request_read)
        os.close(reply_write)
        os.set_blocking(self._reply_fd, False)
        self._unread = b""
        self._last_output = b""
        self._drain = threading.Thread(target=self._keep_last_output, daemon=True)
        self._drain.start()
        self._is_open = True

    def ask(self, request: messages.Request, timeout_s: float) -> messages.Reply:
        """The worker's reply.

        Raises:
            WorkerLost: It ended, or wrote something that is no reply.
            WorkerTimeout: It did not reply in time. In both cases it is gone afterwards.
        """
        deadline = time.monotonic() + timeout_s
        try:
            os.write(self._request_fd, messages.encode(request))
        except BrokenPipeError:
            raise self._lost() from None
        while b"\n" not in self._unread:
            remaining = deadline - time.monotonic()
            readable = select.select([self._reply_fd], [], [], max(0.0, remaining))[0] if remaining > 0 else []
            if not readable:
                self.end()
                raise WorkerTimeout(f"no answer within {timeout_s:g} s")
            chunk = os.read(self._reply_fd, _READ_SIZE)
            if not chunk:
                raise self._lost()
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        try:
            return messages.decode_reply(line)
        except msgspec.MsgspecError as error:
            self.end()
            raise WorkerLost(f"the worker wrote something that is no reply: {error}") from error

    def end(self) -> None:
        """Kill the worker's whole process group and wait for it. Harmless when called again."""
        if not self._is_open:
            return
        self._is_open = False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._request_fd)
        os.close(self._reply_fd)
        self._drain.join(timeout=1)

    def kill(self) -> None:
        """From any thread: kill the processes and nothing else. Whoever asks gets WorkerLost, and ends what is left."""
        if self._is_open:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _lost(self) -> WorkerLost:
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            code = None
        self.end()
        return WorkerLost(_how_it_ended(code) + self._said(), is_out_of_memory=code == -signal.SIGKILL)

    def _said(self) -> str:
        lines = self._last_output.decode(errors="replace").strip().splitlines()
        return f"; its last output: {lines[-1][:300]}" if lines else ""

    def _keep_last_output(self) -> None:
        """Read what libraries print, however much, and keep the end of it."""
        assert self._process.stdout is not None  # noqa: S101  # asked for above
        with self._process.stdout as stream:
            while chunk := os.read(stream.fileno(), _READ_SIZE):
                self._last_output = (self._last_output + chunk)[-_STDERR_KEPT:]


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "the worker closed its pipe but did not end"
    if code == -signal.SIGKILL:
        return "the worker was killed (SIGKILL), most likely because memory ran out"
    if code < 0:
        return f"the worker died of {signal.Signals(-code).name}"
    return f"the worker exited with code {code}"
