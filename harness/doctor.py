"""What on this machine will spoil a measurement, and how to mend it. Looks and measures for about a second."""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backends import registry, threads
from harness import environment, sampling
from harness.units import bytes_text, time_text

# Variables that change which kernels or how many threads a library uses; a run sets the thread counts itself.
_STEERING = (
    "OPENBLAS_CORETYPE",
    "MKL_CBWR",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
)
_SPIN_S = 0.4
# A gap this long between two readings of the clock means that something else had the core.
_GAP_NS = 50_000


class Level(enum.Enum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at: what was seen, and what to do where it spoils measurements."""

    level: Level
    topic: str
    seen: str
    remedy: str | None = None


def examine() -> list[Finding]:
    """Every finding, worst first within the order of looking."""
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _timer,
        _other_work,
        _own_core,
        _frequency,
        _cores,
        _memory,
        _variables,
        _openmp,
        _backends,
    )
    findings = [finding for look in looks for finding in look()]
    order = list(Level)
    return sorted(findings, key=lambda finding: -order.index(finding.level))


def warnings(findings: list[Finding]) -> tuple[str, ...]:
    """The findings that spoil measurements, one line each."""
    return tuple(f"{f.topic}: {f.seen}" for f in findings if f.level is Level.WARNING)


def _timer() -> Iterator[Finding]:
    resolution_ns = time.get_clock_info("perf_counter").resolution * 1e9
    cost_ns = sampling.timer_cost_ns(time.perf_counter_ns)
    seen = f"one reading costs {time_text(cost_ns)}, resolution {time_text(resolution_ns)}"
    if cost_ns > 1000:
        remedy = "the kernel's clock source is slow (see /sys/devices/system/clocksource); tsc is the fast one"
        yield Finding(level=Level.WARNING, topic="timer", seen=seen, remedy=remedy)
    else:
        yield Finding(level=Level.OK, topic="timer", seen=seen)


def _other_work() -> Iterator[Finding]:
    before = _cpu_times()
    if before is None:
        return
    time.sleep(0.5)
    after = _cpu_times()
    assert after is not None  # noqa: S101  # it was readable half a second ago
    spent = {name: after[name] - before[name] for name in before}
    total = max(1, sum(spent.values()))
    busy = 1 - (spent["idle"] + spent["iowait"]) / total
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    seen = f"{busy:.0%} of {cores} cores busy while this program slept; load average {load:.2f}"
    if busy > 0.1:
        yield Finding(level=Level.WARNING, topic="other work", seen=seen, remedy="stop other programs, or wait")
    else:
        yield Finding(level=Level.OK, topic="other work", seen=seen)
    steal = spent["steal"] / total
    if steal > 0.005:
        remedy = "the host gives this virtual machine's cores to others; trust ratios within one run only"
        yield Finding(level=Level.WARNING, topic="steal", seen=f"{steal:.1%} of time stolen by the host", remedy=remedy)


def _own_core() -> Iterator[Finding]:
    """Spin for a while: time lost in gaps is time that a measurement would have lost."""
    lost, longest, start = 0, 0, time.perf_counter_ns()
    cpu_start, now, end = time.process_time_ns(), start, start + int(_SPIN_S * 1e9)
    while now < end:
        last, now = now, time.perf_counter_ns()
        if now - last > _GAP_NS:
            lost += now - last
            longest = max(longest, now - last)
    share = lost / (now - start)
    cpu_share = (time.process_time_ns() - cpu_start) / (now - start)
    seen = f"a spinning thread lost {share:.1%} of its time, at most {time_text(longest)} at once"
    if share > 0.01 or cpu_share < 0.98:
        remedy = "something else runs on these cores, perhaps outside this virtual machine; expect wide intervals"
        yield Finding(level=Level.WARNING, topic="interruptions", seen=seen, remedy=remedy)
    else:
        yield Finding(level=Level.OK, topic="interruptions", seen=seen)


def _frequency() -> Iterator[Finding]:
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor is None:
        seen = "the clock frequency cannot be seen here (usual in virtual machines)"
        yield Finding(level=Level.NOTE, topic="frequency", seen=seen, remedy="compare within one run, not across runs")
    elif governor != "performance":
        remedy = "sudo cpupower frequency-set -g performance"
        yield Finding(level=Level.WARNING, topic="frequency", seen=f"scaling governor is {governor}", remedy=remedy)
    else:
        yield Finding(level=Level.OK, topic="frequency", seen="scaling governor is performance")
    no_turbo = _read("/sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = _read("/sys/devices/system/cpu/cpufreq/boost")
    if no_turbo == "0" or boost == "1":
        seen = "turbo is on: the first seconds of a load run faster than the rest"
        remedy = "interleaving hides most of it; for steady figures switch turbo off"
        yield Finding(level=Level.NOTE, topic="turbo", seen=seen, remedy=remedy)


def _cores() -> Iterator[Finding]:
    available, total = threads.available(), os.cpu_count() or 1
    yield Finding(level=Level.OK, topic="cores", seen=f"{available} of {total} usable; {environment.cpu_model()}")
    siblings = _read("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
    if siblings is not None and siblings != "0":
        seen = f"cores share hardware threads (cpu0 with {siblings})"
        remedy = "use --threads up to the number of physical cores, and pin with taskset"
        yield Finding(level=Level.NOTE, topic="hyper-threads", seen=seen, remedy=remedy)
    quota = _read("/sys/fs/cgroup/cpu.max")
    if quota is not None and not quota.startswith("max"):
        allowed, period = (int(word) for word in quota.split())
        if allowed < period * available:
            seen = f"a container quota of {allowed / period:.2g} cores for {available} visible ones"
            remedy = "calls are paused when the quota is used up; raise it, or lower --threads"
            yield Finding(level=Level.WARNING, topic="cpu quota", seen=seen, remedy=remedy)


def _memory() -> Iterator[Finding]:
    info = {}
    for line in (_read("/proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        info[name] = int(value.split()[0]) << 10
    if not info:
        return
    available = info["MemAvailable"]
    seen = f"{bytes_text(available)} of {bytes_text(info['MemTotal'])} available"
    if available < 2 << 30:
        yield Finding(level=Level.WARNING, topic="memory", seen=seen, remedy="close programs, or use --memory-limit")
    else:
        yield Finding(level=Level.OK, topic="memory", seen=seen)
    swapped = info.get("SwapTotal", 0) - info.get("SwapFree", 0)
    if swapped > 256 << 20:
        seen = f"{bytes_text(swapped)} swapped out"
        yield Finding(level=Level.WARNING, topic="swap", seen=seen, remedy="free memory before measuring")


def _variables() -> Iterator[Finding]:
    for name in _STEERING:
        if name in os.environ:
            seen = f"{name}={os.environ[name]} changes which kernels a library uses"
            yield Finding(level=Level.NOTE, topic="environment", seen=seen, remedy=f"unset {name} unless you mean it")
    preset = [name for name in threads.ENVIRONMENT_VARIABLES if name in os.environ]
    if preset:
        seen = f"{', '.join(preset)} set; a run replaces them by --threads"
        yield Finding(level=Level.NOTE, topic="environment", seen=seen)


def _openmp() -> Iterator[Finding]:
    """Numba's fast thread layer needs a system libgomp; without it each parallel call costs a hundred microseconds."""
    if registry.why_not("numba") is not None:
        return
    import ctypes.util

    if ctypes.util.find_library("gomp") is None:
        remedy = "install your system's libgomp package (Debian: libgomp1)"
        seen = "no system OpenMP library: Numba starts its threads slowly"
        yield Finding(level=Level.WARNING, topic="OpenMP", seen=seen, remedy=remedy)


def _backends() -> Iterator[Finding]:
    for name in registry.ROWS:
        if (reason := registry.why_not(name)) is not None:
            yield Finding(level=Level.NOTE, topic="backend", seen=f"{name} {reason}")


def _cpu_times() -> dict[str, int] | None:
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    line = (_read("/proc/stat") or "").partition("\n")[0].split()
    return dict(zip(names, (int(value) for value in line[1:9]), strict=True)) if len(line) > 8 else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
