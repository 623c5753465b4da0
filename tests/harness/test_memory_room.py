from __future__ import annotations

from pathlib import Path

import pytest

from harness import environment, memory_room

MEMINFO = {"proc/meminfo": "MemTotal:       9000 kB\nMemFree: 10 kB\nMemAvailable:    8000 kB\n"}
V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (MEMINFO, 8000 << 10),
        # Version 2: the own group has no limit, the one above has.
        (
            MEMINFO
            | {
                "proc/self/cgroup": "0::/job/step\n",
                f"{V2}/job/step/memory.max": "max\n",
                f"{V2}/job/step/memory.current": "1000\n",
                f"{V2}/job/memory.max": "500000\n",
                f"{V2}/job/memory.current": "200000\n",
                f"{V2}/job/memory.stat": "anon 1\ninactive_file 50000\nactive_file 7\n",
            },
            350000,
        ),
        # What is throttled above its high mark is as good as limited.
        (
            MEMINFO
            | {
                "proc/self/cgroup": "0::/\n",
                f"{V2}/memory.max": "500000\n",
                f"{V2}/memory.high": "300000\n",
                f"{V2}/memory.current": "200000\n",
            },
            100000,
        ),
        # The limit is far, the machine is full.
        (
            {"proc/meminfo": "MemAvailable: 3 kB\n", "proc/self/cgroup": "0::/\n"}
            | {f"{V2}/memory.max": "500000\n", f"{V2}/memory.current": "1\n"},
            3072,
        ),
        # A container that sees its own group as the root of the tree, by another name.
        (
            MEMINFO
            | {
                "proc/self/cgroup": "0::/docker/0123\n",
                f"{V2}/memory.max": "500000\n",
                f"{V2}/memory.current": "400000\n",
            },
            100000,
        ),
        # Version 1, with other controllers beside it and no limit at the root.
        (
            MEMINFO
            | {
                "proc/self/cgroup": "5:cpu,cpuacct:/job\n4:memory:/job\n1:name=systemd:/x\n",
                f"{V1}/job/memory.limit_in_bytes": "500000\n",
                f"{V1}/job/memory.usage_in_bytes": "450000\n",
                f"{V1}/job/memory.stat": "inactive_file 1\ntotal_inactive_file 10000\n",
                f"{V1}/memory.limit_in_bytes": "9223372036854771712\n",
                f"{V1}/memory.usage_in_bytes": "460000\n",
            },
            60000,
        ),
        # Beyond its limit, as after the limit was lowered.
        (
            MEMINFO | {"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "500\n", f"{V2}/memory.current": "900\n"},
            0,
        ),
    ],
)
def test_available_memory_is_the_least_that_the_machine_and_any_group_leave(
    tmp_path: Path, files: dict[str, str], expected: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert memory_room.available_bytes(tmp_path) == expected


def test_this_machine_has_some_memory_left() -> None:
    left = memory_room.available_bytes()

    assert left is not None
    assert 1 << 20 < left <= int(environment.machine()["memory_bytes"] or 0)
