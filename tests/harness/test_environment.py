from __future__ import annotations

import getpass
import platform
import re

import msgspec

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
