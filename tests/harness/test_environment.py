from __future__ import annotations

import getpass
import platform
import re

import msgspec
import pytest

from harness import environment


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
