from __future__ import annotations

import getpass
import platform
import re
from pathlib import Path

import msgspec
import pytest

from harness import doctor, environment
from harness.doctor import Level


def test_facts_name_the_processor_and_neither_host_nor_user() -> None:
    facts = environment.machine()

    text = msgspec.json.encode(facts).decode()
    assert facts["cpu"]
    assert isinstance(facts["cores_available"], int)
    assert platform.node() not in text or len(platform.node()) < 4
    assert getpass.getuser() not in text


def test_label_is_a_short_name_that_any_file_system_takes() -> None:
    label = environment.label({"cpu": "Intel(R) Xeon(R) Platinum 8480+ CPU @ 2.00GHz", "cores_available": 2})

    assert label == "intel-xeon-platinum-8480-2c"
    assert re.fullmatch(r"[a-z0-9-]+", environment.label(environment.machine()))


def test_versions_of_the_libraries_that_are_measured_are_recorded() -> None:
    assert {"numpy", "scipy", "numba", "torch"} <= environment.libraries().keys()


@pytest.mark.parametrize(
    "name",
    ["OMP_PROC_BIND", "OPENBLAS_CORETYPE", "NUMBA_CPU_NAME", "ONEDNN_MAX_CPU_ISA", "MALLOC_ARENA_MAX", "LD_PRELOAD"],
)
def test_variables_that_steer_libraries_are_recorded(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")

    assert environment.variables(has_foreign_code=False)[name] == ""


@pytest.mark.parametrize(
    "name", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_CACHE_DIR", "TORCH_HOME", "SHELL", "COMP_X"]
)
def test_variables_that_a_run_sets_itself_or_that_steer_nothing_are_not(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "3")

    assert name not in environment.variables(has_foreign_code=True)


def test_where_python_looks_matters_to_foreign_code_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "lib")

    assert "PYTHONPATH" not in environment.variables(has_foreign_code=False)
    assert environment.variables(has_foreign_code=True)["PYTHONPATH"] == "lib"


def test_a_home_folder_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("LD_PRELOAD", "/home/somebody/libfast.so")

    assert environment.variables(has_foreign_code=False)["LD_PRELOAD"] == "~/libfast.so"


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

    assert environment.available_memory_bytes(tmp_path) == expected


def test_this_machine_has_some_memory_left() -> None:
    left = environment.available_memory_bytes()

    assert left is not None
    assert 1 << 20 < left <= int(environment.machine()["memory_bytes"] or 0)


def busy_times(*, idle: int, user: int, steal: int) -> dict[str, int]:
    names = ("nice", "system", "iowait", "irq", "softirq")
    return {"user": user, "idle": idle, "steal": steal} | dict.fromkeys(names, 0)


def test_doctor_warns_of_other_work_and_of_stolen_time(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    readings = iter([busy_times(idle=0, user=0, steal=0), busy_times(idle=50, user=40, steal=10)])
    monkeypatch.setattr(doctor, "_cpu_times", lambda: next(readings))
    monkeypatch.setattr("time.sleep", lambda _: None)

    work, steal = doctor._other_work()

    assert (work.level, steal.level) == (Level.WARNING, Level.WARNING)
    assert work.seen.startswith("50% of")
    assert steal.seen.startswith("10.0%")


def test_doctor_is_content_with_an_idle_machine(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    readings = iter([busy_times(idle=0, user=0, steal=0), busy_times(idle=99, user=1, steal=0)])
    monkeypatch.setattr(doctor, "_cpu_times", lambda: next(readings))
    monkeypatch.setattr("time.sleep", lambda _: None)

    (work,) = doctor._other_work()

    assert work.level is Level.OK


def test_doctor_names_a_variable_that_changes_kernels(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")

    assert any("ONEDNN_MAX_CPU_ISA=AVX2" in finding.seen for finding in doctor._variables())


def test_doctor_warns_of_a_quota_below_the_cores_that_are_visible(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    files = {"/sys/fs/cgroup/cpu.max": "50000 100000"}
    monkeypatch.setattr(doctor, "_read", files.get)

    assert any(f.level is Level.WARNING and "0.5 cores" in f.seen for f in doctor._cores())


def test_every_warning_says_what_to_do() -> None:
    for finding in doctor.examine():
        assert finding.level is not Level.WARNING or finding.remedy
