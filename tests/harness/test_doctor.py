"""What the doctor makes of what it sees: each look's judgement on made-up readings, and the real looks' promises."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from harness import doctor
from harness.doctor import Level, clock, competition, frequency, interruptions, libraries, memory, processors, variables
from harness.doctor.competition import Process
from harness.doctor.findings import Finding
from harness.doctor.interruptions import Loss
from harness.doctor.inventory import Inventory, Pool

IDLE = dict.fromkeys(("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"), 0)


def loss(share: float, longest_ns: int = 4_000_000) -> Loss:
    return Loss(share=share, longest_ns=longest_ns)


def test_other_work_and_stolen_time_are_warned_of() -> None:
    work, steal = competition.judged(IDLE | {"idle": 50, "user": 40, "steal": 10}, [])

    assert (work.level, steal.level) == (Level.WARNING, Level.WARNING)
    assert work.seen.startswith("50% of")
    assert steal.seen.startswith("10.0%")


def test_an_idle_machine_is_well() -> None:
    (work,) = competition.judged(IDLE | {"idle": 99, "user": 1}, [])

    assert work.level is Level.OK


def test_who_takes_the_cores_is_named_to_the_user_and_not_stored() -> None:
    before = {7: Process(pid=7, name="backup", ticks=100), 8: Process(pid=8, name="editor", ticks=100)}
    after = {
        7: Process(pid=7, name="backup", ticks=149),
        8: Process(pid=8, name="editor", ticks=101),
        9: Process(pid=9, name="new", ticks=40),
    }
    (work,) = competition.judged(IDLE | {"idle": 50, "user": 50}, competition.greediest(before, after, 50))

    assert work.remedy == "stop these, or wait: backup (pid 7) 98% of a core"
    assert "backup" not in "".join(doctor.warnings([work]))


def test_a_process_that_spins_is_found_by_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        try:
            running = competition.running()
        finally:
            spinning.kill()

    assert running[spinning.pid].name.startswith("python")
    assert os.getpid() not in running


def test_a_core_with_a_neighbour_is_told_from_one_without() -> None:
    finding = interruptions.judged({0: loss(0.48), 1: loss(0.002)}, None)

    assert finding.level is Level.WARNING
    assert "core 0 lost 48.0%, core 1 lost 0.2%" in finding.seen
    assert finding.remedy == "core 1 is quiet: taskset -c 1 python -m harness run --threads 1"


def test_several_quiet_cores_are_offered_together() -> None:
    finding = interruptions.judged({0: loss(0.3), 1: loss(0), 2: loss(0.2), 3: loss(0)}, None)

    assert finding.remedy == "cores 1,3 are quiet: taskset -c 1,3 python -m harness run --threads 2"


@pytest.mark.parametrize("losses", [{0: loss(0.5), 1: loss(0.4)}, {}])
def test_where_no_core_is_quiet_none_is_offered(losses: dict[int, Loss]) -> None:
    finding = interruptions.judged(losses, loss(0.4))

    assert finding.level is Level.WARNING
    assert "taskset" not in (finding.remedy or "")


def test_where_all_cores_are_noisy_the_least_is_named() -> None:
    finding = interruptions.judged({0: loss(0.5), 1: loss(0.02)}, None)

    assert (finding.remedy or "").endswith("core 1 loses least")


def test_the_worst_of_many_cores_are_listed() -> None:
    finding = interruptions.judged({core: loss(core / 1000) for core in range(64)}, None)

    assert "core 63 lost 6.3%" in finding.seen
    assert "core 3 " not in finding.seen
    assert "56 others less" in finding.seen


def test_looking_at_each_core_leaves_the_thread_where_it_may_run() -> None:
    before = os.sched_getaffinity(0)

    list(interruptions.look(spin_s=0.02))
    list(processors.look())

    assert os.sched_getaffinity(0) == before


def test_where_threads_may_not_be_bound_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.sched_setaffinity", refuse)

    (binding,) = processors._binding()

    assert binding.level is Level.WARNING


@pytest.mark.parametrize(
    ("times", "level"),
    [
        ([1000] * 100, Level.OK),
        ([1000] * 80 + [1100] * 20, Level.NOTE),
        ([1000] * 50 + [1500] * 50, Level.WARNING),
        # One window in a hundred is an interrupt, no other speed.
        ([1000] * 99 + [9000], Level.OK),
    ],
)
def test_a_core_that_changes_its_speed_is_told(times: list[int], level: Level) -> None:
    assert frequency.steadiness(times).level is level


def test_windows_are_measured_until_time_is_up() -> None:
    ticks, seconds = iter(range(0, 1000, 5)), iter([0.0, *[0.1] * 30, *[9.0] * 100])

    times = frequency.window_times(1.0, clock=lambda: next(ticks), wall=lambda: next(seconds))

    assert times == [5] * 30


@pytest.mark.parametrize(
    ("files", "level", "says"),
    [
        ({"cpu0/cpufreq/scaling_governor": "powersave"}, Level.WARNING, "powersave"),
        ({"cpu0/cpufreq/scaling_governor": "performance"}, Level.OK, "performance"),
        ({"intel_pstate/no_turbo": "0"}, Level.NOTE, "turbo is on"),
        ({"cpufreq/boost": "1"}, Level.NOTE, "turbo is on"),
    ],
)
def test_what_the_system_says_of_frequencies_is_judged(
    files: dict[str, str], level: Level, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frequency, "read", {f"/sys/devices/system/cpu/{k}": v for k, v in files.items()}.get)

    (finding,) = frequency.settings()

    assert finding.level is level
    assert says in finding.seen


def test_a_slow_clock_is_warned_of() -> None:
    assert clock.judged(2000.0, 1.0, "hpet").level is Level.WARNING
    assert clock.judged(50.0, 1.0, "tsc").level is Level.OK


@pytest.mark.parametrize(
    "files",
    [
        {"/sys/fs/cgroup/cpu.max": "50000 100000"},
        {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
    ],
)
def test_a_quota_below_the_visible_cores_is_warned_of(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "read", files.get)
    monkeypatch.setattr(processors, "group_folders", lambda _: ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"])

    (finding,) = processors._quota(2)

    assert finding.level is Level.WARNING
    assert "0.5 cores" in finding.seen
    assert not list(processors._quota(0))


def test_hardware_threads_of_one_core_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cores.siblings", lambda core: frozenset({core % 2, core % 2 + 2}))

    (finding,) = processors._shared([0, 1, 2, 3])

    assert "4 hardware threads on 2 cores (such as 0+2)" in finding.seen
    assert "taskset -c 0,1 " in (finding.remedy or "")


@pytest.mark.parametrize(("mode", "level"), [("madvise", Level.OK), ("always", Level.NOTE), ("never", Level.NOTE)])
def test_huge_pages_are_judged(mode: str, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "always madvise never".replace(mode, f"[{mode}]")
    monkeypatch.setattr(memory, "read", {memory._HUGE_PAGES: text}.get)

    (finding,) = memory._pages()

    assert finding.level is level
    assert mode in finding.seen


def test_little_memory_and_much_swap_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    info = "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\nSwapTotal: 2000000 kB\nSwapFree: 1000000 kB"
    monkeypatch.setattr(memory, "read", lambda _: info)
    monkeypatch.setattr("harness.memory_room.available_bytes", lambda: 1 << 30)

    amount, swap = memory._amount()

    assert (amount.level, swap.level) == (Level.WARNING, Level.WARNING)
    assert amount.seen == "1 GiB of 7.63 GiB available, which a container limits"


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("ONEDNN_MAX_CPU_ISA", "AVX2", Level.NOTE),
        ("OMP_PROC_BIND", "false", Level.NOTE),
        ("NUMBA_DISABLE_JIT", "1", Level.WARNING),
        ("OMP_NUM_THREADS", "3", Level.NOTE),
    ],
)
def test_a_variable_that_steers_libraries_is_named(name: str, value: str, level: Level) -> None:
    (finding,) = variables.look({name: value})

    assert finding.level is level
    assert name in finding.seen


def test_variables_that_change_nothing_are_not_named() -> None:
    assert not list(variables.look({"HOME": "/root", "NUMBA_DISABLE_JIT": "0"}))


# ---- Libraries


def pool(kind: str = "openblas", prefix: str = "libopenblas", file: str = "/a", architecture: str = "Haswell") -> Pool:
    return Pool(kind=kind, prefix=prefix, file=file, version="1.0", architecture=architecture)


def judged(*pools: Pool, numba_layer: str | None = None) -> list[Finding]:
    return list(libraries.judged("mine", Inventory(pools=pools, numba_layer=numba_layer), "avx2 fma"))


def test_libraries_of_a_backend_are_listed() -> None:
    (finding,) = judged(pool(), pool("openmp", "libgomp"), numba_layer="omp")

    assert finding.level is Level.OK
    assert finding.seen == "mine: openblas 1.0 (Haswell kernels), OpenMP by libgomp, Numba threads by omp"


def test_two_openmp_runtimes_in_one_process_are_warned_of() -> None:
    _, finding = judged(pool("openmp", "libgomp", "/a"), pool("openmp", "libiomp5", "/b"))

    assert finding.level is Level.WARNING
    assert "2 OpenMP runtimes in one process (libgomp, libiomp5)" in finding.seen


def test_kernels_of_an_older_processor_are_warned_of() -> None:
    _, finding = judged(pool(architecture="Prescott"))

    assert finding.level is Level.WARNING
    assert "kernels for Prescott" in finding.seen


def test_slow_numba_threads_are_warned_of() -> None:
    _, finding = judged(pool(), numba_layer="workqueue")

    assert "libgomp" in (finding.remedy or "")


def test_a_backend_is_looked_into_from_outside() -> None:
    found = libraries.inventory_of("im2col")

    assert isinstance(found, Inventory)
    assert found.pools
    assert "torch" not in sys.modules or found.torch is None


def test_a_backend_that_does_not_load_says_why() -> None:
    found = libraries.inventory_of("no_such_module:Backend")

    assert isinstance(found, str)
    assert "no_such_module" in found


# ---- The whole


def test_worst_findings_come_first_and_warnings_say_what_to_do() -> None:
    findings = doctor.examine()

    levels = [list(Level).index(finding.level) for finding in findings]
    assert levels == sorted(levels, reverse=True)
    assert all(finding.remedy for finding in findings if finding.level is Level.WARNING)
    assert len(doctor.warnings(findings)) == sum(finding.level is Level.WARNING for finding in findings)


@pytest.mark.parametrize(
    "look", [clock.look, frequency.look, processors.look, memory.look, variables.look, libraries.look]
)
def test_each_look_works_on_this_machine(look: Callable[[], list[Finding]]) -> None:
    assert all(isinstance(finding, Finding) for finding in look())


def test_looking_before_a_run_loads_no_numerical_library() -> None:
    code = (
        "import sys\n"
        "from harness import doctor\n"
        "doctor.examine()\n"
        "heavy = {'numpy', 'scipy', 'numba', 'torch', 'pandas', 'threadpoolctl'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
