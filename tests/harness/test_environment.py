from __future__ import annotations

import getpass
import platform
import re

import msgspec

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
