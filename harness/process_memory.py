"""Memory of processes: how much a worker and its children hold, and the limit a worker sets itself.

Two limits, because neither sees everything. The kernel's, RLIMIT_DATA, refuses private memory at once but counts each
process for itself and no shared memory (setrlimit(2)). RLIMIT_AS would count that too, and much that is no memory:
libraries reserve address space by the gigabyte. So the coordinator looks at what is resident as well, now and then.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path

_SHARED_FILES = ("/memfd:", "/dev/shm/", "/dev/zero")  # noqa: S108  # where memory shows as a file, not a place to write


def limit_private_memory(extra_bytes: int) -> None:
    """Limit this process's private memory to what it holds now plus extra_bytes."""
    held = _status_bytes(os.getpid()).get("VmData", 0)
    resource.setrlimit(resource.RLIMIT_DATA, (held + extra_bytes, resource.RLIM_INFINITY))


def held_bytes(pids: Iterable[int]) -> int:
    """Memory that processes hold together and that is no file's: private, shared, and in files that are memory.

    Pages that a forked child still shares with its parent are counted for both: an upper bound, and quick to get.
    """
    pids = list(pids)
    fields = [_status_bytes(pid) for pid in pids]
    private = sum(one.get("RssAnon", 0) + one.get("VmSwap", 0) for one in fields)
    mapped = sum(one.get("RssShmem", 0) for one in fields)
    return private + max(mapped, _bytes_in_memory_files(pids))


def held_bytes_exactly(pids: Iterable[int]) -> int:
    """The same, where pages of several processes count once. The kernel walks every page for it: slow."""
    pids = list(pids)
    fields = [_kib_fields(Path(f"/proc/{pid}/smaps_rollup")) for pid in pids]
    private = sum(one.get("Pss_Anon", 0) + one.get("SwapPss", 0) for one in fields)
    mapped = sum(one.get("Pss_Shmem", 0) for one in fields)
    return private + max(mapped, _bytes_in_memory_files(pids))


def oom_kills() -> int | None:
    """How many processes the kernel has killed so far because memory ran out; None where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return None


def _status_bytes(pid: int) -> dict[str, int]:
    return _kib_fields(Path(f"/proc/{pid}/status"))


def _kib_fields(path: Path) -> dict[str, int]:
    """Fields of a file of lines such as `VmData:  1024 kB`, in bytes; none if the process is gone."""
    fields = {}
    with contextlib.suppress(OSError):
        for line in path.read_bytes().decode(errors="replace").splitlines():
            words = line.split()
            if len(words) == 3 and words[2] == "kB":
                fields[words[0].rstrip(":")] = int(words[1]) << 10
    return fields


def _bytes_in_memory_files(pids: Iterable[int]) -> int:
    """Size of the files without a disk that the processes have open, each file once, mapped or not."""
    sizes: dict[tuple[int, int], int] = {}
    for path in _open_files(pids):
        with contextlib.suppress(OSError):
            if os.readlink(path).startswith(_SHARED_FILES):  # noqa: PTH115  # a Path would cost more than the call
                found = os.stat(path)  # noqa: PTH116  # likewise
                sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())


def _open_files(pids: Iterable[int]) -> Iterator[str]:
    for pid in pids:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208  # likewise
                yield f"/proc/{pid}/fd/{name}"
