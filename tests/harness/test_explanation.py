from __future__ import annotations

import faulty
import pytest

from backends import ConvProblem
from harness import failure_text
from harness.explanation import explain

LAYER = ConvProblem.parse("--dir=FWD_B mb2ic16ih14oc24kh3ph1")


@pytest.mark.parametrize(
    ("fault", "probe", "smallest", "says"),
    [
        (faulty.FlippedKernel, "exact", "ic1iw2oc1kw2", "flipped along every axis"),
        (faulty.BiasMissing, "exact", "--dir=FWD_B ic1iw1oc1kw1", "bias"),
        (faulty.TailOutputChannelsDropped, "exact", "ic1iw1oc1kw1", "output channel"),
        (faulty.SecondImageIsTheFirst, "exact", "mb2ic1iw1oc1kw1", "image"),
        (faulty.Tf32Inside, "normal", "ic1iw12oc1kw1", "rounded to 11 significant bits"),
    ],
)
def test_a_fault_of_a_layer_is_shown_on_the_smallest_problem_and_named(
    fault: type[faulty.Correct], probe: str, smallest: str, says: str
) -> None:
    # Whole blocks of four channels are right, so that a layer of 24 shows nothing of that fault.
    layer = LAYER.replace(C_out=23) if fault is faulty.TailOutputChannelsDropped else LAYER

    found = explain(fault(), layer, probe, 0, limit_s=20)

    assert found is not None
    assert ConvProblem.parse(found.problem) == ConvProblem.parse(smallest)
    assert found.is_minimal
    assert found.excerpt is not None
    assert found.excerpt.expected != found.excerpt.got
    assert any(says in sentence for sentence in found.diagnosis), found.diagnosis


def test_a_layer_too_large_to_diagnose_is_diagnosed_on_the_smallest_problem() -> None:
    layer = ConvProblem.parse("ic64ih56oc64kh3ph1")

    found = explain(faulty.FlippedKernel(), layer, "exact", 0, limit_s=20)

    assert found is not None
    assert found.diagnosed == found.problem


def test_what_does_not_fail_has_no_explanation() -> None:
    assert explain(faulty.Correct(), LAYER, "exact", 0, limit_s=1) is None


def test_without_time_the_problem_itself_is_shown_and_not_called_the_smallest() -> None:
    found = explain(faulty.FlippedKernel(), LAYER, "exact", 0, limit_s=0)

    assert found is not None
    assert ConvProblem.parse(found.problem) == LAYER
    assert not found.is_minimal
    assert not any("smallest" in line for line in failure_text.explanation_lines("mine:B", found, 0))


def test_an_exception_on_a_smaller_problem_is_not_taken_for_the_same_failure() -> None:
    class RaisesOnOneChannel(faulty.FlippedKernel):
        def prepare(self, problem, weight, bias=None):  # type: ignore[no-untyped-def]
            if problem.C_in == 1:
                raise IndexError("one channel")
            return super().prepare(problem, weight, bias)

    found = explain(RaisesOnOneChannel(), LAYER, "exact", 0, limit_s=20)

    assert found is not None
    assert ConvProblem.parse(found.problem).C_in == 2


def test_a_fault_of_behaviour_is_shrunk_without_numbers() -> None:
    found = explain(faulty.MutatesInput(), LAYER, "inputs", 0, limit_s=20)

    assert found is not None
    assert found.detail == "x modified by preparing or calling"
    assert (found.diagnosis, found.excerpt) == ((), None)


def test_the_text_has_the_numbers_and_two_lines_to_repeat_it_with() -> None:
    found = explain(faulty.BiasTwice(), LAYER, "exact", 3, limit_s=20)

    assert found is not None
    text = "\n".join(failure_text.explanation_lines("mine:B", found, 3))
    assert "  looks like the outputs are exactly those of a bias added twice" in text
    assert (
        "  repeat     python -m harness check --backend mine:B --problem '--dir=FWD_B g1mb1ic1iw1oc1ow1kw1' --probe exact --seed 3"
        in text
    )
    assert "  in torch   torch.nn.functional.conv1d(torch.randn(1, 1, 1), torch.randn(1, 1, 1), torch.randn(1))" in text
    assert [line.split()[0] for line in text.splitlines()[-7:-2]] == ["x", "weight", "bias", "expected", "got"]
