"""The search for the smallest failing problem: it reaches known minima, stops when told, and asks few questions."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EVERY_DTYPE, conv_problems

from backends import ConvProblem
from harness.shrinking import Shrunk, complexity, simpler, smallest

Fails = Callable[[ConvProblem], bool]

LAYERS = {
    "ResNet conv1": 'mb256ic3ih224oc64oh112kh7sh2ph3n"resnet_50:conv1"',
    "ResNet 3x3": '--dir=FWD_B mb50ic256ih56oc128oh28kh3sh2ph1n"resnet_50:res3a_branch2b*4"',
    "uneven": "mb4ic64ih56iw112oc100kh3kw5sh2sw3dh1dw2ph1pw2eh1ew4",
    "speech": "--dt=f64 mb16ic100ih700iw161oc513kh20kw5sh2sw1pw2",
    "grouped": "g32mb2ic256ih56oc512kh3ph1",
    "depthwise": "g512mb8ic512ih14oc512kh3ph1",
    "patches": "ic3ih224oc768kh16sh16",
    "length": "mb8ic256iw4096oc256kw31pw15",
    "volume": '--dir=FWD_B mb4ic64id32ih112iw114oc100kd3kh3kw5sd1sh2sw2dd1dh0dw3pd1ph0pw3ew1n"i3d:conv2"',
    "thin volume": "--dt=bf16 mb2ic64id8ih8iw3oc96kd3kh3kw3sd2sh2sw2ph1",
    "U-Net": "ic192id12oc64kd3pd1",
}


def mirrored(problem: ConvProblem) -> set[ConvProblem]:
    """The problem and those that differ only in the order of the axes or of the ends of each."""
    turned = problem.replace(
        **{name: getattr(problem, name)[::-1] for name in ("spatial", "kernel", "stride", "dilation", "padding")}
    )
    return {p.replace(padding=[pair[::step] for pair in p.padding]) for p in (problem, turned) for step in (1, -1)}


def spans(problem: ConvProblem) -> list[int]:
    return [size + begin + end for size, (begin, end) in zip(problem.spatial, problem.padding, strict=True)]


# What fails, and the descriptor of the smallest such problem. First what a backend may well get wrong, then relations
# between numbers, of which no single one can go down.
CAUSES: dict[str, tuple[Fails, str]] = {
    "everything": (lambda p: True, "ic1iw1oc1kw1"),
    "a batch": (lambda p: p.N >= 2, "mb2ic1iw1oc1kw1"),
    "a bias": (lambda p: p.bias, "--dir=FWD_B ic1iw1oc1kw1"),
    "groups": (lambda p: p.groups > 1, "g2ic2iw1oc2kw1"),
    "many groups": (lambda p: p.groups >= 20, "g20ic20iw1oc20kw1"),
    "depthwise": (lambda p: p.is_depthwise, "g2ic2iw1oc2kw1"),
    "many channels": (lambda p: p.C_in > 16 and p.C_out > 16, "ic17iw1oc17kw1"),
    "a tail of output channels": (lambda p: p.C_out > 8 and p.C_out % 8 != 0, "ic1iw1oc9kw1"),
    "whole blocks of channels": (lambda p: p.C_in % 16 == p.C_out % 4 == 0, "ic16iw1oc4kw1"),
    "a third of channels": (lambda p: p.C_in % 3 == 0, "ic3iw1oc1kw1"),
    "a wide output": (lambda p: p.out[-1] >= 17, "ic1iw17oc1kw1"),
    "a tail of the width": (lambda p: p.out[-1] > 8 and p.out[-1] % 8 != 0, "ic1iw9oc1kw1"),
    "an even kernel": (lambda p: p.kernel[-1] % 2 == 0, "ic1iw2oc1kw2"),
    "a kernel of 3 in 2-D": (lambda p: p.ndim == 2 and min(p.kernel) >= 3, "ic1ih3oc1kh3"),
    "unequal strides": (lambda p: len(set(p.stride)) > 1, "ic1ih1iw1oc1kh1kw1sh1sw2"),
    "unequal axes": (lambda p: len(set(p.spatial)) > 1, "ic1ih1iw2oc1kh1kw1"),
    "padding": (lambda p: any(begin > 0 for begin, _ in p.padding), "ic1iw1oc1kw1pw1ew0"),
    "uneven padding under dilation": (
        lambda p: p.dilation[-1] > 1 and any(begin != end for begin, end in p.padding),
        "ic1iw1oc1kw1dw1pw0ew1",
    ),
    "a kernel that is dilated": (
        lambda p: any(k > 1 and d > 1 for k, d in zip(p.kernel, p.dilation, strict=True)),
        "ic1iw3oc1kw2dw1",
    ),
    "one strided output of a volume": (
        lambda p: p.dtype == "bfloat16" and p.ndim == 3 and p.out[-1] == 1 and p.stride[-1] > 1,
        "--dt=bf16 ic1id1ih1iw1oc1kd1kh1kw1sd1sh1sw2",
    ),
    "as many channels out as in": (lambda p: p.C_in == p.C_out, "ic1iw1oc1kw1"),
    "the output of 5 of a kernel of 3": (lambda p: p.out[-1] == 5 and p.kernel[-1] >= 3, "ic1iw7oc1kw3"),
    "5 outputs of even padding": (
        lambda p: p.out[-1] == 5 and p.kernel[-1] >= 3 and all(begin == end for begin, end in p.padding),
        "ic1iw7oc1kw3",
    ),
    "5 outputs and padding before": (
        lambda p: p.out[-1] == 5 and p.kernel[-1] >= 3 and p.padding[-1][0] > 0,
        "ic1iw6oc1kw3pw1ew0",
    ),
    "5 outputs and padding behind": (
        lambda p: p.out[-1] == 5 and p.kernel[-1] >= 3 and p.padding[-1][1] > 0,
        "ic1iw6oc1kw3pw0ew1",
    ),
    "a single output": (lambda p: p.out == (1,) * p.ndim, "ic1iw1oc1kw1"),
    "same size": (lambda p: p.out == p.spatial, "ic1iw1oc1kw1"),
    "padding of 2 somewhere": (lambda p: max(map(sum, p.padding)) >= 2 and p.out[-1] > 1, "ic1iw1oc1kw1pw1"),
    "same size of a kernel of 3": (lambda p: p.out == p.spatial and min(p.kernel) >= 3, "ic1iw1oc1kw3pw1"),
    "same size under dilation": (lambda p: p.out == p.spatial and min(p.dilation) > 1, "ic1iw1oc1kw1dw1"),
    "patches": (lambda p: p.kernel == p.stride and p.kernel[0] > 1, "ic1iw2oc1kw2sw2"),
    "square patches": (
        lambda p: p.ndim == 2 and {*p.kernel} == {*p.stride} != {1} and len({*p.kernel}) == 1,
        "ic1ih2oc1kh2sh2",
    ),
    "patches along one axis": (
        lambda p: p.ndim == 2 and p.kernel[1] == p.stride[1] > 1 and (p.kernel[0], p.stride[0]) == (5, 3),
        "ic1ih5iw2oc1kh5kw2sh3sw2",
    ),
    "a stride of the dilation": (lambda p: p.stride == p.dilation and p.stride[0] > 1, "ic1iw1oc1kw1sw2dw1"),
    "a kernel of the dilation": (lambda p: p.kernel == p.dilation and p.kernel[0] > 1, "ic1iw3oc1kw2dw1"),
    "a kernel as wide as the padded input": (lambda p: list(p.kernel) == spans(p), "ic1iw1oc1kw1"),
    "a kernel wider than the input": (lambda p: p.kernel[-1] > p.spatial[-1], "ic1iw1oc1kw2pw0ew1"),
    "padding of the size": (
        lambda p: all(begin == size for size, (begin, _) in zip(p.spatial, p.padding, strict=True)),
        "ic1iw1oc1kw1pw1ew0",
    ),
}
# Problems that fail for a reason that no layer above has.
PARTICULAR = [
    ("a third of channels", "ic12iw9oc4kw3"),
    ("5 outputs of even padding", "ic8iw5oc8kw3pw1"),
    ("5 outputs and padding before", "ic8iw5oc8kw3pw1"),
    ("5 outputs and padding behind", "ic8iw5oc8kw3pw1"),
    ("same size of a kernel of 3", "ic4ih14oc3kh3dh3ph4"),
    ("same size of a kernel of 3", "ic4iw14oc3kw3pw0ew2"),
    ("patches along one axis", "ic3ih40iw48oc8kh5kw16sh3sw16"),
    ("the output of 5 of a kernel of 3", "mb2ic8iw23oc8kw5sw3dw1"),
    ("the output of 5 of a kernel of 3", "ic8iw17oc8kw5dw2"),
    ("a wide output", "ic4ih17oc4kh5ph2"),
    ("a single output", "ic4ih13oc3kh5dh2"),
    ("a single output", "ic4ih3oc3kh5ph1"),
    ("same size under dilation", "ic4ih14oc3kh3dh4ph5"),
    ("a stride of the dilation", "ic4ih28oc4kh3sh3dh2ph3"),
    ("a kernel of the dilation", "ic4ih28oc4kh5dh4ph3"),
    ("a kernel as wide as the padded input", "ic64ih7oc1000kh7"),
    ("a kernel as wide as the padded input", "ic64ih3oc64kh7ph2"),
    ("a kernel wider than the input", "ic64ih5oc64kh9ph4"),
    ("padding of the size", "mb2ic16ih5oc16kh4ph5"),
    ("many groups", "g21ic42iw9oc63kw3"),
    ("whole blocks of channels", "ic48iw9oc12kw3"),
    ("a tail of output channels", "g3ic6iw9oc30kw3"),
]
EXAMPLES = PARTICULAR + [
    (cause, layer) for (cause, (fails, _)), layer in itertools.product(CAUSES.items(), LAYERS.values())
    if fails(ConvProblem.parse(layer))
]  # fmt: skip


def search(problem: ConvProblem, fails: Fails, *, most_tries: int = 400) -> Shrunk:
    return smallest(problem, fails, limit_s=1, clock=lambda: 0.0, most_tries=most_tries)


@pytest.mark.parametrize(("cause", "layer"), EXAMPLES)
def test_the_known_minimum_is_reached_from_a_real_layer_in_few_tries(cause: str, layer: str) -> None:
    fails, least = CAUSES[cause]
    start = ConvProblem.parse(layer)

    shrunk = search(start, fails)

    assert shrunk.is_minimal
    assert shrunk.problem in mirrored(ConvProblem.parse(least).replace(dtype=start.dtype))
    assert shrunk.tries < 125


def test_every_cause_has_a_layer() -> None:
    assert {cause for cause, _ in EXAMPLES} == set(CAUSES)


NUMBERS = ("N", "C_in", "C_out", "groups", "bias", "spatial", "kernel", "stride", "dilation", "begin", "end")
# No number at its least, and the axes as different as can be.
UNEVEN = ConvProblem.parse("--dir=FWD_B g4mb3ic8id20ih19iw18oc12kd5kh4kw3sd2sh3sw4dd1dh2dw3pd1ph2pw3ed4eh3ew2")
EVEN = ConvProblem.parse("--dir=FWD_B g4mb3ic8id20oc12kd4sd3dd2pd2")


def numbers(problem: ConvProblem) -> dict[tuple[str, int | None], int]:
    """Every number of a problem by its name and axis."""
    begin, end = zip(*problem.padding, strict=True)
    columns = {name: getattr(problem, name) for name in NUMBERS if hasattr(problem, name)}
    columns |= {"begin": begin, "end": end}
    return {
        (name, axis): number
        for name, column in columns.items()
        for axis, number in (enumerate(column) if isinstance(column, tuple) else [(None, column)])
    }


def least_of(problem: ConvProblem, name: str, axis: int | None) -> int:
    """As low as a number gets when nothing else changes."""
    if name in ("C_in", "C_out"):
        return problem.groups
    if name == "spatial":
        assert axis is not None
        return problem.dilation[axis] * (problem.kernel[axis] - 1) + 1 - sum(problem.padding[axis])
    return int(name not in ("bias", "begin", "end"))


@pytest.mark.parametrize(("name", "axis"), list(numbers(UNEVEN)))
def test_one_number_goes_down_where_no_other_can(name: str, axis: int | None) -> None:
    def others(problem: ConvProblem) -> dict[tuple[str, int | None], int]:
        return {key: number for key, number in numbers(problem).items() if key != (name, axis)}

    shrunk = search(UNEVEN, lambda p: others(p) == others(UNEVEN), most_tries=2000)

    assert shrunk.is_minimal
    assert numbers(shrunk.problem) == numbers(UNEVEN) | {(name, axis): least_of(UNEVEN, name, axis)}


@pytest.mark.parametrize(
    "names",
    [("spatial",), ("kernel",), ("stride",), ("dilation",), ("begin", "end"), ("begin",), ("end",)],
    ids="+".join,
)
def test_all_axes_go_down_together_where_none_can_alone(names: tuple[str, ...]) -> None:
    def others(problem: ConvProblem) -> dict[tuple[str, int | None], int]:
        return {key: number for key, number in numbers(problem).items() if key[0] not in names}

    def fails(problem: ConvProblem) -> bool:
        is_even = len({number for (name, _), number in numbers(problem).items() if name in names}) == 1
        return is_even and others(problem) == others(EVEN)

    shrunk = search(EVEN, fails, most_tries=2000)

    assert shrunk.is_minimal
    assert numbers(shrunk.problem) == numbers(EVEN) | {
        (name, axis): least_of(EVEN, name, axis) for name in names for axis in range(3)
    }


# Properties, for failures made of what a problem happens to have.

FEATURES: list[Callable[[ConvProblem], object]] = [
    lambda p: p.ndim,
    lambda p: p.bias,
    lambda p: p.N > 1,
    lambda p: p.N % 2,
    lambda p: p.groups > 1,
    lambda p: p.is_depthwise,
    lambda p: p.C_in % 4,
    lambda p: p.C_out > 3,
    lambda p: p.C_in == p.C_out,
    lambda p: p.out[-1] > 2,
    lambda p: p.out[0] % 3,
    lambda p: sum(p.out) == p.ndim,
    lambda p: p.out == p.spatial,
    lambda p: max(p.kernel) > 2,
    lambda p: p.kernel == p.stride,
    lambda p: len(set(p.stride)),
    lambda p: max(p.dilation) > 1,
    lambda p: any(begin != end for begin, end in p.padding),
    lambda p: sum(begin for begin, _ in p.padding) > 1,
    lambda p: min(spans(p)) > 4,
    lambda p: p.macs_touched == p.macs_nominal,
]
feature_sets = st.sets(st.sampled_from(range(len(FEATURES))), max_size=4)


def failing_like(problem: ConvProblem, features: set[int]) -> Fails:
    """A failure of every problem that has these features as the given one has them."""
    return lambda other: all(FEATURES[i](other) == FEATURES[i](problem) for i in features)


@given(problem=conv_problems(), features=feature_sets)
def test_no_simpler_neighbour_of_a_minimum_fails(problem: ConvProblem, features: set[int]) -> None:
    fails = failing_like(problem, features)

    shrunk = search(problem, fails)

    assert shrunk.is_minimal
    assert fails(shrunk.problem)
    assert not any(fails(neighbour) for neighbour in simpler(shrunk.problem))


@given(problem=conv_problems(dtypes=EVERY_DTYPE, has_label=True))
def test_neighbours_are_simpler_unnamed_of_the_same_dtype_and_all_different(problem: ConvProblem) -> None:
    neighbours = list(simpler(problem))

    assert all(complexity(neighbour) < complexity(problem) for neighbour in neighbours)
    assert {(neighbour.dtype, neighbour.label, neighbour.count) for neighbour in neighbours} <= {(problem.dtype, "", 1)}
    assert len(set(neighbours)) == len(neighbours)


@given(problem=conv_problems(dtypes=("float32",)), other=conv_problems(dtypes=("float32",)))
def test_only_equal_problems_are_equally_complex(problem: ConvProblem, other: ConvProblem) -> None:
    assert (complexity(problem) == complexity(other)) == (problem == other)
    # Among neighbours there are many that are almost equal.
    neighbours = list(simpler(problem))
    assert len({complexity(neighbour) for neighbour in neighbours}) == len(neighbours)


@given(problem=conv_problems(), features=feature_sets)
def test_no_problem_is_asked_about_twice_and_each_success_is_simpler(problem: ConvProblem, features: set[int]) -> None:
    asked, failing = [problem], [problem]
    cause = failing_like(problem, features)

    def fails(candidate: ConvProblem) -> bool:
        asked.append(candidate)
        if cause(candidate):
            failing.append(candidate)
        return cause(candidate)

    shrunk = search(problem, fails)

    assert len(set(asked)) == len(asked) == shrunk.tries + 1
    assert shrunk.problem == failing[-1]
    assert [complexity(step) for step in failing] == sorted((complexity(step) for step in failing), reverse=True)


@given(problem=conv_problems(), features=feature_sets)
def test_the_same_search_ends_the_same(problem: ConvProblem, features: set[int]) -> None:
    fails = failing_like(problem, features)

    assert search(problem, fails) == search(problem, fails)


# Ends of a search.

VOLUME = ConvProblem.parse(LAYERS["volume"])


def test_the_simplest_problem_has_no_simpler_neighbour() -> None:
    simplest = ConvProblem.parse("ic1iw1oc1kw1")

    assert list(simpler(simplest)) == []
    assert search(simplest, lambda p: True) == Shrunk(problem=simplest, tries=0, is_minimal=True)


def test_a_failure_of_nothing_else_is_minimal_and_only_loses_its_name() -> None:
    shrunk = search(VOLUME, lambda p: False, most_tries=10_000)

    assert shrunk.problem == VOLUME
    assert (shrunk.problem.label, shrunk.problem.count) == ("", 1)
    assert shrunk.is_minimal
    assert shrunk.tries == len(list(simpler(VOLUME)))


def test_time_ends_a_search_at_the_simplest_so_far() -> None:
    readings = itertools.count(100.0)  # a second passes between two looks at the clock

    shrunk = smallest(VOLUME, lambda p: p.C_out >= 9, limit_s=5, clock=lambda: next(readings))

    assert shrunk.tries == 4
    assert not shrunk.is_minimal
    assert shrunk.problem.ndim == 1
    assert shrunk.problem.C_out == 100


def test_a_search_without_time_asks_nothing() -> None:
    shrunk = smallest(VOLUME, lambda p: pytest.fail("asked"), limit_s=0, clock=lambda: 7.0)

    assert shrunk == Shrunk(problem=VOLUME, tries=0, is_minimal=False)


def test_tries_end_a_search_unless_the_last_of_them_settles_it() -> None:
    def fails(problem: ConvProblem) -> bool:
        return problem.C_out >= 9

    full = search(VOLUME, fails)

    assert search(VOLUME, fails, most_tries=full.tries) == full
    short = search(VOLUME, fails, most_tries=full.tries - 1)
    assert (short.tries, short.is_minimal) == (full.tries - 1, False)


def test_bold_moves_come_first() -> None:
    neighbours = simpler(ConvProblem.parse("--dir=FWD_B g4mb8ic16id9ih8iw7oc8kd3kh3kw3"))

    assert [next(neighbours) for _ in range(5)] == [
        ConvProblem.parse("--dir=FWD_B g4mb8ic16ih8iw7oc8kh3kw3"),
        ConvProblem.parse("--dir=FWD_B g4mb8ic16ih9iw7oc8kh3kw3"),
        ConvProblem.parse("--dir=FWD_B g4mb8ic16ih9iw8oc8kh3kw3"),
        ConvProblem.parse("--dir=FWD_B g4mb1ic16id9ih8iw7oc8kd3kh3kw3"),
        ConvProblem.parse("--dir=FWD_B g4mb2ic16id9ih8iw7oc8kd3kh3kw3"),
    ]
