from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness import resuming
from harness.records import SCHEMA_VERSION, CacheState, CaseKey, RunHeader

HEADER = RunHeader(
    command=("python", "-m", "harness", "run"),
    started_utc="2026-01-01T00:00:00Z",
    seed=0,
    budget_s=60.0,
    case_timeout_s=30.0,
    prepare_timeout_s=120.0,
    memory_limit_bytes=4_000_000_000,
    threads=1,
    dtype=None,
    suites=(),
    backends=("naive",),
    cells_planned=1,
    machine={"cpu": "AMD EPYC", "cores_available": 2, "memory_bytes": 25_000_000_000, "python": "3.12.1"},
    libraries={"numpy": "2.0.0"},
    commit="0123456789ab",
    plan=(CaseKey(problem="g1mb1ic1ih4oc1oh2kh3", backend="naive"),),
    protocol=2,
    variables={"OPENBLAS_CORETYPE": "Haswell"},
    sources={"harness": "aa", "naive": "bb"},
)


def differences(**changes: Any) -> list[str]:
    return resuming.differences(HEADER, dataclasses.replace(HEADER, **changes), is_timed_asked=True)


def test_the_same_is_the_same() -> None:
    later = {"started_utc": "2026-01-02T00:00:00Z", "command": ("x",), "budget_s": 90.0, "warnings": ("busy",)}

    assert differences(**later) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"protocol": 3}, "the measuring protocol was 2, now 3"),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"threads": 2}, "threads was 1, now 2"),
        ({"cache": CacheState.COLD}, "--cache was hot, now cold"),
        ({"case_timeout_s": 0.5}, "--case-timeout was 30s, now 0.5s"),
        ({"prepare_timeout_s": 60.0}, "--prepare-timeout was 120s, now 60s"),
        ({"memory_limit_bytes": None}, "--memory-limit was 4GB, now none"),
        ({"memory_limit_bytes": 1 << 30}, "--memory-limit was 4GB, now 1GiB"),
        ({"probes": ("exact",)}, "probes was all, now exact"),
        ({"cores": (0, 1)}, "binding to cores was none, now 0 1"),
        ({"commit": "ba9876543210"}, "commit was 0123456789ab, now ba9876543210"),
        ({"libraries": {"numpy": "2.1.0"}}, "numpy was 2.0.0, now 2.1.0"),
        ({"libraries": {}}, "numpy was 2.0.0, now unset"),
        ({"sources": {"harness": "cc", "naive": "bb"}}, "the code of harness was aa, now cc"),
        ({"sources": {"harness": "aa", "naive": "dd"}}, "the code of naive was bb, now dd"),
        ({"variables": {}}, "the variable OPENBLAS_CORETYPE was Haswell, now unset"),
        ({"variables": {"OPENBLAS_CORETYPE": ""}}, "the variable OPENBLAS_CORETYPE was Haswell, now empty"),
        ({"plan": ()}, "its plan of 1 cells differs from this one of 0"),
    ],
)
def test_what_differs_is_named_with_both_values(changes: dict[str, Any], says: str) -> None:
    assert differences(**changes) == [says]


@pytest.mark.parametrize(
    ("fact", "value", "says"),
    [
        ("cpu", "Intel Xeon", "processor was AMD EPYC, now Intel Xeon"),
        ("cores_available", 1, "usable cores was 2, now 1"),
        ("memory_bytes", 12_000_000_000, "memory in bytes was 25000000000, now 12000000000"),
        ("memory_bytes", None, "memory in bytes was 25000000000, now unset"),
        ("python", "3.13.0", "Python was 3.12.1, now 3.13.0"),
    ],
)
def test_another_machine_is_named_with_both_values(fact: str, value: object, says: str) -> None:
    assert differences(machine=HEADER.machine | {fact: value}) == [says]


def test_what_a_kernel_keeps_for_itself_makes_no_other_machine() -> None:
    assert differences(machine=HEADER.machine | {"memory_bytes": 24_990_000_000}) == []


def test_changes_without_a_commit_are_left_to_the_digests() -> None:
    assert differences(commit="0123456789ab-dirty") == []


def test_several_differences_are_all_named() -> None:
    assert len(differences(seed=1, threads=2, protocol=3)) == 3


def test_a_check_is_not_finished_as_a_run() -> None:
    assert resuming.differences(HEADER, HEADER, is_timed_asked=False) == ["it was started by run"]


def test_a_run_of_an_earlier_version_is_refused_in_one_clause() -> None:
    old = dataclasses.replace(HEADER, schema_version=SCHEMA_VERSION - 1, protocol=1, sources={}, variables={})

    (said,) = resuming.differences(old, HEADER, is_timed_asked=True)

    assert said == (
        "it was measured by an earlier version of this program"
        " (schema 1, protocol 1; this one has schema 2, protocol 2)"
    )
