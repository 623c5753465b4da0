"""Other benchmark tools, run as their users run them on two backends and one problem, and the samples they save."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backends.threads import ENVIRONMENT_VARIABLES
from benchmarks.trust.command_line import timed_run, wall_of
from benchmarks.trust.neighbour import ROOT
from harness.report.verdict import ratio_between
from harness.stats import Interval

# What the harness sets for its workers (harness.worker_process), so that all tools time the same thing: one thread,
# bound, with freed memory kept.
_ENVIRONMENT = {
    **dict.fromkeys(ENVIRONMENT_VARIABLES, "1"),
    "OMP_PROC_BIND": "true",
    "OMP_PLACES": "cores",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 62),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
_LIMIT_S = 900.0

_ASV_BENCHMARK = """
from benchmarks import cells


class Pair:
    params = {backends!r}
    version = "1"
    {scaled}

    def setup(self, backend):
        self.cell = cells.prepare({problem!r}, backend)
        self.cell.call(self.cell.x)

    def time_call(self, _backend):
        self.cell.call(self.cell.x)
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one use of a tool gave."""

    samples_ns: tuple[tuple[float, ...], tuple[float, ...]]
    """Of the two backends, per call."""
    wall_s: float
    ratio: Interval | None = None
    """First over second, where the tool itself gives it with an interval."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What every tool measures."""

    problem: str
    first: str
    second: str

    @property
    def backends(self) -> tuple[str, str]:
        """Both specs."""
        return self.first, self.second


class Tool(Protocol):
    """A benchmark tool whose effort can be scaled."""

    name: str
    unit: str
    """What its size counts."""
    sizes: tuple[int, int]
    """Two sizes to learn from how long it takes; the first is the least that makes sense."""

    def measure(self, pair: Pair, size: int) -> Measured:
        """Use it once.

        Raises:
            CommandFailed: It did not end well.
        """

    def adjusted(self, size: int, took_s: float, wanted_s: float) -> int:
        """The size for the next time, after this one took so long."""


class _Scaled:
    """A tool that takes about in proportion to its size."""

    sizes: tuple[int, int]

    def adjusted(self, size: int, took_s: float, wanted_s: float) -> int:
        """In proportion, by a factor of two at most: one slow turn says little."""
        return max(self.sizes[0], round(size * min(2.0, max(0.5, wanted_s / took_s))))


class Harness:
    """This harness, by its command line; it may stop before its budget is spent."""

    name, unit, sizes = "this harness", "s of budget", (5, 10)

    def adjusted(self, size: int, took_s: float, wanted_s: float) -> int:
        """Less if it took too long; more never beyond what is wanted, as its budget is wall time."""
        return min(int(wanted_s), max(self.sizes[0], size + int(wanted_s - took_s)))

    def measure(self, pair: Pair, size: int) -> Measured:
        """A run of one problem and two backends, and the ratio that its report gives."""
        backends = [word for spec in pair.backends for word in ("--backend", spec)]
        with tempfile.TemporaryDirectory() as folder:
            run = timed_run(Path(folder) / "run", ["--problem", pair.problem, *backends, "--threads", "1"], float(size))
        by_backend = {cell.key.backend: cell for cell in run.stored.cells}
        first, second = by_backend[pair.first], by_backend[pair.second]
        return Measured(
            samples_ns=(first.samples_ns, second.samples_ns),
            wall_s=run.wall_s,
            ratio=ratio_between(first, second),
        )


class Pyperf(_Scaled):
    """Pyperf by its Runner: worker processes of three values each, one backend after the other."""

    name, unit, sizes = "pyperf", "processes", (2, 4)

    def measure(self, pair: Pair, size: int) -> Measured:
        """Every value that it saved."""
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "pair.json"
            script = ROOT / "benchmarks" / "trust" / "pyperf_pair.py"
            wall_s = wall_of(
                [sys.executable, str(script), "--quiet", "--copy-env", "-p", str(size), "-o", str(saved)],
                limit_s=_LIMIT_S,
                environment=_environment()
                | {"TRUST_PROBLEM": pair.problem, "TRUST_BACKENDS": json.dumps(pair.backends)},
            )
            suite = json.loads(saved.read_text())
        samples = [
            tuple(1e9 * value for run in benchmark["runs"] for value in run.get("values", ()))
            for benchmark in suite["benchmarks"]
        ]
        return Measured(samples_ns=(samples[0], samples[1]), wall_s=wall_s)


class Asv(_Scaled):
    """asv's own runner on the installed environment; more rounds (processes) or more samples in its two rounds.

    Args:
        scales: "rounds" or "repeat".
    """

    def __init__(self, scales: str) -> None:
        self._is_by_rounds = scales == "rounds"
        self.name = f"asv, more {'rounds' if self._is_by_rounds else 'samples'}"
        self.unit = "rounds" if self._is_by_rounds else "samples a round"
        # Two rounds of five samples are what it does by itself.
        self.sizes = (2, 4) if self._is_by_rounds else (5, 100)

    def measure(self, pair: Pair, size: int) -> Measured:
        """Every sample that it recorded."""
        scaled = f"rounds = {size}" if self._is_by_rounds else f"repeat = (1, {size}, {_LIMIT_S})"
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            self._set_up(home, _ASV_BENCHMARK.format(backends=pair.backends, problem=pair.problem, scaled=scaled))
            environment = _environment() | {"HOME": folder, "ASV_PYTHONPATH": _environment()["PYTHONPATH"]}
            command = [sys.executable, "-m", "asv"]
            wall_of([*command, "machine", "--yes"], limit_s=60, environment=environment, folder=home)
            wall_s = wall_of(
                [*command, "run", "--python=same", "--record-samples", "--set-commit-hash", "HEAD"],
                limit_s=_LIMIT_S,
                environment=environment,
                folder=home,
            )
            (result,) = (path for path in home.glob("results/*/*.json") if path.name != "machine.json")
            stored = json.loads(result.read_text())
        ((_, values),) = stored["results"].items()
        samples = dict(zip(stored["result_columns"], values, strict=False))["samples"]
        first, second = (tuple(1e9 * value for value in one) for one in samples)
        return Measured(samples_ns=(first, second), wall_s=wall_s)

    @staticmethod
    def _set_up(home: Path, benchmark: str) -> None:
        """A folder with a benchmark, a configuration, and the repository that asv wants, of one empty commit."""
        (home / "pair").mkdir()
        (home / "pair" / "__init__.py").touch()
        (home / "pair" / "pair.py").write_text(benchmark)
        configuration = {"version": 1, "project": "pair", "repo": ".", "branches": ["HEAD"], "benchmark_dir": "pair"}
        folders = {f"{name}_dir": name for name in ("env", "results", "html")}
        (home / "asv.conf.json").write_text(json.dumps(configuration | folders | {"environment_type": "virtualenv"}))
        git = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
        for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "empty"]):
            subprocess.run([*git, *words], cwd=home, check=True, timeout=60)


TOOLS: tuple[Tool, ...] = (Harness(), Pyperf(), Asv("rounds"), Asv("repeat"))


def size_for(walls_s: Mapping[int, float], wall_s: float) -> int:
    """The size at which a tool takes so long, by a line through two sizes; at least the smaller of them.

    Args:
        walls_s: Seconds by size, at two sizes.
        wall_s: What it may take.
    """
    (small, small_s), (large, large_s) = sorted(walls_s.items())
    slope_s = (large_s - small_s) / (large - small)
    if slope_s <= 0:
        return large
    return max(small, int(small + (wall_s - small_s) / slope_s))


def _environment() -> dict[str, str]:
    paths: Sequence[str | None] = (str(ROOT), os.environ.get("PYTHONPATH"))
    return {**os.environ, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
