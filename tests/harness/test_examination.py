from __future__ import annotations

import subprocess
import sys

import faulty
import numpy as np
from hypothesis import given, settings
from strategies import conv_problems, problem_arrays

from backends import ConvProblem
from harness import examination
from harness.examination import Samples
from harness.probes import DATA_PROBES, EVERY_PROBE, PROMISES, QUICK_PROBES
from harness.records import Status

PROBLEM = ConvProblem.parse("--dir=FWD_B g2mb2ic6ih9iw7oc4kh3kw2sh2sw1ph1pw0")


def test_every_probe_has_a_promise_and_every_promise_a_probe() -> None:
    assert set(EVERY_PROBE) == set(PROMISES)
    assert set(QUICK_PROBES) < set(DATA_PROBES)


@settings(max_examples=30)
@given(conv_problems())
def test_views_show_the_same_numbers_in_other_places_of_memory(problem: ConvProblem) -> None:
    x = problem_arrays(problem, fill="normal").x

    kinds = []
    for kind, view in examination._views(x):
        kinds.append(kind)
        assert np.array_equal(view, x)
        assert not np.shares_memory(view, x)
    assert kinds == ["a slice as", "a strided", "a reversed", "a channels-last", "an unaligned", "a read-only"]


def test_probes_are_made_in_the_order_asked_for_and_all_of_them_though_one_fails() -> None:
    outcome = examination.examine(
        faulty.HalfPrecisionInside(), PROBLEM, ("normal", "exact", "repeat"), Samples(PROBLEM, 0)
    )

    assert [(item.name, item.passed) for item in outcome.outcomes] == [
        ("normal", False),
        ("exact", True),
        ("repeat", True),
    ]


def test_the_reason_names_the_first_probe_that_failed_and_then_the_others() -> None:
    outcome = examination.examine(faulty.BiasTwice(), PROBLEM, ("exact", "normal", "inputs"), Samples(PROBLEM, 0))

    assert (outcome.reason or "").startswith("exact: ")
    assert (outcome.reason or "").endswith(" (also wrong: normal)")


def test_an_output_of_the_wrong_form_ends_the_examination() -> None:
    outcome = examination.examine(faulty.WrongShape(), PROBLEM, EVERY_PROBE, Samples(PROBLEM, 0))

    assert [item.name for item in outcome.outcomes] == ["exact"]


def test_an_output_computed_before_is_judged_in_place_of_a_new_one() -> None:
    zeros = np.zeros(PROBLEM.y_shape, np.float32)

    outcome = examination.examine(faulty.Correct(), PROBLEM, ("exact",), Samples(PROBLEM, 0), known={"exact": zeros})

    assert outcome.status is Status.WRONG


def test_large_problems_get_the_quick_probes_and_say_what_was_left_out() -> None:
    problem = ConvProblem.parse("mb8ic64ih1024oc64kh3ph1")

    probes, left_out = examination.probes_for(problem, EVERY_PROBE)

    assert probes == ("exact", "normal")
    assert (left_out or "").startswith(
        "uniform, wide range, one-hot, denormal, nan, infinity, inputs, repeat, layouts, outputs"
    )
    assert "1,073,778,688 numbers" in (left_out or "")
    assert examination.probes_for(problem, ("exact", "normal")) == (("exact", "normal"), None)
    assert examination.probes_for(PROBLEM, EVERY_PROBE) == (EVERY_PROBE, None)


IN_A_FRESH_PROCESS = """
import numpy as np
from backends import ConvProblem
from harness import examination

for dtype in ("float32", "float64", "float16", "bfloat16"):
    problem = ConvProblem.parse("ic1ih16oc4kh3").replace(dtype=dtype)
    examination.poison_memory(problem)
    fresh = np.empty(problem.y_shape, examination.numpy_dtype(dtype))
    with np.errstate(invalid="ignore"):
        print(np.isnan(fresh).mean())
"""


def test_memory_freed_before_a_call_holds_what_no_right_output_is() -> None:
    # What a long-lived process has freed earlier is anyone's guess; a worker is young.
    run = subprocess.run([sys.executable, "-c", IN_A_FRESH_PROCESS], capture_output=True, text=True, check=True)

    shares = [float(line) for line in run.stdout.split()]
    assert len(shares) == 4
    assert min(shares) > 0.9
