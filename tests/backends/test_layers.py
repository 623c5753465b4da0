"""The layers in pyproject.toml hold, and the check that says so can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """The contracts of a source tree, checked by import-linter in an interpreter of its own."""
    script = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache', '--no-logo'])"
    environment = os.environ | {"COLUMNS": "250", "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_layers_hold() -> None:
    checked = lint_imports(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert " 0 broken" in checked.stdout


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A source tree to spoil."""
    for package in ("backends", "harness"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_import_across_layers_is_reported(copied: Path) -> None:
    bad_imports = {
        "geometry.py": "import harness.units",
        "lowering.py": "import backends.registry",
        "problem.py": "import numpy",
        "fft_scipy.py": "import torch",
    }
    for module, bad_import in bad_imports.items():
        with (copied / "backends" / module).open("a") as source:
            source.write(f"\n{bad_import}\n")

    checked = lint_imports(copied)

    assert checked.returncode == 1, checked.stdout + checked.stderr
    for importer, imported in [
        ("backends.geometry", "harness.units"),
        ("backends.lowering", "backends.registry"),
        ("backends.problem", "numpy"),
        ("backends.fft_scipy", "torch"),
    ]:
        assert f"{importer} -> {imported}" in checked.stdout


def test_module_in_no_layer_is_reported(copied: Path) -> None:
    (copied / "backends" / "stray.py").write_text('"""In no layer."""\n')

    checked = lint_imports(copied)

    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert "stray" in checked.stdout
