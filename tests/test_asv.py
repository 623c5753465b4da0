"""The asv benchmarks load, and a quick run of some of them on this environment works and stores results."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def asv_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with asv's machine file, and a copy of our configuration whose results go there."""
    home = tmp_path_factory.mktemp("asv")
    text = (ROOT / "benchmarks" / "asv.conf.json").read_text()
    configuration = json.loads("\n".join(line for line in text.splitlines() if not line.strip().startswith("//")))
    configuration |= {
        "repo": str(ROOT),
        "benchmark_dir": str(ROOT / "benchmarks"),
        "results_dir": str(home / "results"),
        "html_dir": str(home / "html"),
        "env_dir": str(home / "env"),
    }
    (home / "asv.conf.json").write_text(json.dumps(configuration))
    asv(home, "machine", "--yes")
    return home


def asv(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "asv", *arguments, "--config", str(home / "asv.conf.json")],
        cwd=ROOT / "benchmarks",
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_asv_check_finds_no_problem(asv_home: Path) -> None:
    assert "No problems found" in asv(asv_home, "check", "--python=same")


def test_a_quick_asv_run_stores_times_memory_and_accuracy(asv_home: Path) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    chosen = r"Conv\.(time_call|peakmem_call).*3-D.*'(im2col|torch\[layout=channels_last\])'|Accuracy.*3-D.*'fft'"
    asv(asv_home, "run", "--python=same", "--quick", "--set-commit-hash", commit, "--bench", chosen)

    (result,) = (path for path in asv_home.glob("results/*/*.json") if path.name != "machine.json")
    stored = json.loads(result.read_text())["results"]
    values = {name: [v for v in entry[0] if v is not None and not math.isnan(v)] for name, entry in stored.items()}
    assert len(values["conv_backends.Conv.time_call"]) == 2
    assert len(values["conv_backends.Conv.peakmem_call"]) == 2
    (bits,) = values["conv_backends.Accuracy.track_effective_bits"]
    assert 20 < bits < 30
    (slack,) = values["conv_backends.Accuracy.track_error_over_bound"]
    assert 0 < slack < 1
