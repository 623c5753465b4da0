"""ConvProblem: derived sizes against enumeration, validation, equality."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from strategies import EVERY_DTYPE, conv_problems

from backends import ConvProblem, DescriptorError, DtypeMismatch, InvalidGeometry, ShapeMismatch

BASE = {"C_in": 4, "C_out": 6, "spatial": (8, 9), "kernel": 3}


def enumerated_positions(problem: ConvProblem, axis: int) -> list[int]:
    """First input index, counted from the real input, that each output of an axis reads."""
    begin, end = problem.padding[axis]
    extent = problem.dilation[axis] * (problem.kernel[axis] - 1) + 1
    last = problem.spatial[axis] + end - extent
    return list(range(-begin, last + 1, problem.stride[axis]))


@given(problem=conv_problems())
def test_output_size_is_the_number_of_positions_where_the_kernel_fits(problem: ConvProblem) -> None:
    assert problem.out == tuple(len(enumerated_positions(problem, axis)) for axis in range(problem.ndim))


@given(problem=conv_problems())
def test_touched_macs_are_the_taps_that_read_real_input(problem: ConvProblem) -> None:
    touched = 0
    starts = [enumerated_positions(problem, axis) for axis in range(problem.ndim)]
    for corner in itertools.product(*starts):
        for tap in itertools.product(*(range(size) for size in problem.kernel)):
            reads = [q + t * d for q, t, d in zip(corner, tap, problem.dilation, strict=True)]
            touched += all(0 <= index < size for index, size in zip(reads, problem.spatial, strict=True))

    per_tap = problem.N * problem.C_out * (problem.C_in // problem.groups)
    assert problem.macs_touched == per_tap * touched


@given(problem=conv_problems())
def test_nominal_macs_count_every_tap_of_every_output(problem: ConvProblem) -> None:
    outputs = math.prod(problem.y_shape)
    taps = math.prod(problem.weight_shape[1:])
    assert problem.accumulation_length == taps
    assert problem.macs_nominal == outputs * taps
    assert problem.flops == 2 * outputs * taps


@given(problem=conv_problems())
def test_touched_macs_are_at_most_nominal_and_equal_without_padding(problem: ConvProblem) -> None:
    assert problem.macs_touched <= problem.macs_nominal
    wide = problem.replace(spatial=tuple(s + b + e for s, (b, e) in zip(problem.spatial, problem.padding, strict=True)))
    unpadded = wide.replace(padding=0)
    assert unpadded.out == problem.out
    assert unpadded.macs_touched == unpadded.macs_nominal == problem.macs_nominal


@given(problem=conv_problems(dtypes=EVERY_DTYPE))
def test_compulsory_bytes_are_every_array_once(problem: ConvProblem) -> None:
    shapes = [problem.x_shape, problem.weight_shape, problem.y_shape] + [problem.bias_shape] * problem.bias
    itemsize = {"float64": 8, "float32": 4}.get(problem.dtype, 2)
    assert problem.bytes_compulsory == itemsize * sum(math.prod(shape) for shape in shapes)
    assert problem.arithmetic_intensity == problem.flops / problem.bytes_compulsory


@given(problem=conv_problems())
def test_shapes_pose_the_problem_that_they_came_from(problem: ConvProblem) -> None:
    posed = ConvProblem.of_shapes(
        problem.x_shape,
        problem.weight_shape,
        problem.bias_shape if problem.bias else None,
        stride=problem.stride,
        padding=problem.padding,
        dilation=problem.dilation,
        groups=problem.groups,
        dtype=problem.dtype,
    )
    assert posed == problem


@given(problem=conv_problems(has_label=True))
def test_equality_and_hash_ignore_label_and_count(problem: ConvProblem) -> None:
    other = problem.replace(label="someone else's name", count=problem.count + 1)
    assert other == problem
    assert hash(other) == hash(problem)
    assert problem.replace(N=problem.N + 1) != problem


@given(problem=conv_problems(has_label=True))
def test_replacing_nothing_keeps_everything(problem: ConvProblem) -> None:
    same = problem.replace()
    assert dataclasses.asdict(same) == dataclasses.asdict(problem)


@pytest.mark.parametrize("huge", [2**31, 2**63, 10**25])
def test_huge_sizes_are_exact(huge: int) -> None:
    problem = ConvProblem(N=huge, C_in=3, C_out=5, spatial=(huge, 7), kernel=3, padding=1, dtype="float64")
    assert problem.y_shape == (huge, 5, huge, 7)
    assert problem.macs_nominal == huge * 5 * huge * 7 * 3 * 9
    # 3 taps over size s padded by 1 read real input 3s - 2 times.
    assert problem.macs_touched == huge * 5 * 3 * (3 * huge - 2) * (3 * 7 - 2)
    assert problem.bytes_compulsory == 8 * (huge * 3 * huge * 7 + 5 * 3 * 9 + huge * 5 * huge * 7)
    assert ConvProblem.parse(str(problem)) == problem


def test_a_problem_is_frozen() -> None:
    problem = ConvProblem(**BASE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.N = 2  # type: ignore[misc]  # that it fails is the point


def test_one_integer_stands_for_every_axis() -> None:
    spelt = BASE | {"kernel": (3, 3), "stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (2, 2)}
    assert ConvProblem(**BASE, stride=2, padding=1, dilation=2) == ConvProblem(**spelt)
    assert ConvProblem(**BASE, stride=[2, 2], padding=[1, 1], dilation=[2, 2]) == ConvProblem(**spelt)


@given(problem=conv_problems(is_padded=False))
def test_same_padding_keeps_the_size_and_puts_the_odd_element_at_the_end(problem: ConvProblem) -> None:
    same = problem.replace(stride=1, padding="same")
    assert same.out == same.spatial
    assert all(end - begin in (0, 1) for begin, end in same.padding)


def test_valid_padding_is_none() -> None:
    assert ConvProblem(**BASE, padding="valid") == ConvProblem(**BASE, padding=0)


@pytest.mark.parametrize(
    ("groups", "C_in", "is_depthwise"), [(4, 4, True), (2, 4, False), (1, 4, False), (1, 1, False)]
)
def test_depthwise_means_a_group_for_each_of_several_channels(groups: int, C_in: int, is_depthwise: bool) -> None:
    problem = ConvProblem(C_in=C_in, C_out=8, spatial=(5,), kernel=3, groups=groups)
    assert problem.is_depthwise is is_depthwise


# Each row: what is wrong, the error, and fragments of the message: what was given, then what to do.
WRONG_ARGUMENTS = {
    "no axes": ({"spatial": ()}, InvalidGeometry, "0 axes", "give 1 to 3"),
    "four axes": ({"spatial": (5, 5, 5, 5)}, InvalidGeometry, "4 axes", "give 1 to 3"),
    "spatial is an integer": ({"spatial": 5}, TypeError, "spatial=5", "give one size per axis"),
    "spatial is text": ({"spatial": "56"}, TypeError, "spatial='56'", "give one size per axis"),
    "an empty axis": ({"spatial": (0, 5)}, InvalidGeometry, "(0, 5)", "use 1 or more"),
    "a fractional axis": ({"spatial": (5, 5.0)}, TypeError, "spatial=5.0", "give an integer"),
    "no batch": ({"N": 0}, InvalidGeometry, "N=0", "use 1 or more"),
    "a fractional batch": ({"N": 1.5}, TypeError, "N=1.5", "give an integer"),
    "a bool for a batch": ({"N": True}, TypeError, "N=True", "give an integer"),
    "no channels": ({"C_in": 0}, InvalidGeometry, "C_in=0", "use 1 or more"),
    "negative channels": ({"C_out": -6}, InvalidGeometry, "C_out=-6", "use 1 or more"),
    "no groups": ({"groups": 0}, InvalidGeometry, "groups=0", "use 1 or more"),
    "groups that do not divide C_in": ({"groups": 3}, InvalidGeometry, "groups=3 does not divide C_in=4", "divisor of"),
    "groups that do not divide C_out": ({"groups": 4}, InvalidGeometry, "4 does not divide C_out=6", "divisor of 6"),
    "an empty kernel": ({"kernel": 0}, InvalidGeometry, "kernel=(0, 0)", "use 1 or more"),
    "an empty kernel axis": ({"kernel": (3, 0)}, InvalidGeometry, "kernel=(3, 0)", "use 1 or more"),
    "too many kernel axes": ({"kernel": (3, 3, 3)}, InvalidGeometry, "kernel=(3, 3, 3) has 3 entries", "or 2"),
    "no kernel": ({"kernel": None}, TypeError, "kernel=None", "give an integer"),
    "a text kernel": ({"kernel": "33"}, TypeError, "kernel='33'", "give an integer"),
    "a kernel larger than the input": ({"kernel": 9}, InvalidGeometry, "kernel=9", "use a smaller kernel"),
    "a kernel larger than the padded input": ({"kernel": 11, "padding": 1}, InvalidGeometry, "8+1+1", "more padding"),
    "a kernel dilated beyond the input": ({"dilation": 4}, InvalidGeometry, "dilation=4", "smaller kernel or dilation"),
    "no stride": ({"stride": 0}, InvalidGeometry, "stride=(0, 0)", "use 1 or more"),
    "a negative stride": ({"stride": (1, -1)}, InvalidGeometry, "stride=(1, -1)", "use 1 or more"),
    "one stride for two axes": ({"stride": (2,)}, InvalidGeometry, "stride=(2,) has 1 entries", "or 2"),
    "a fractional stride": ({"stride": 1.0}, TypeError, "stride=1.0", "give an integer"),
    "a bool stride": ({"stride": (True, 1)}, TypeError, "stride=True", "give an integer"),
    "no dilation": ({"dilation": 0}, InvalidGeometry, "dilation=(0, 0)", "use 1 or more"),
    "a text dilation": ({"dilation": "2"}, TypeError, "dilation='2'", "give an integer"),
    "negative padding": ({"padding": -1}, InvalidGeometry, "padding=(-1, -1)", "use 0 or more"),
    "a negative padding end": ({"padding": ((0, 0), (1, -1))}, InvalidGeometry, "(1, -1)", "crop the input"),
    "an unknown padding word": ({"padding": "full"}, InvalidGeometry, "padding='full'", "use 'valid', 'same'"),
    "same with a stride": ({"padding": "same", "stride": 2}, InvalidGeometry, "stride=(2, 2)", "give integers"),
    "same with a stride on one axis": ({"padding": "same", "stride": (1, 2)}, InvalidGeometry, "(1, 2)", "integers"),
    "three paddings for two axes": ({"padding": (1, 1, 1)}, InvalidGeometry, "(1, 1, 1) has 3", "or 2"),
    "three padding pairs": ({"padding": ((1, 1),) * 3}, InvalidGeometry, "3 pairs", "give 2"),
    "a padding triple": ({"padding": ((1, 1), (1, 1, 1))}, InvalidGeometry, "(1, 1, 1)", "(begin, end) pair per axis"),
    "padding of mixed forms": ({"padding": (1, (1, 1))}, InvalidGeometry, "(1, (1, 1))", "pair per axis, or integers"),
    "words for padding axes": ({"padding": ("same", "same")}, InvalidGeometry, "'same', 'same'", "or integers"),
    "fractional padding": ({"padding": 0.5}, TypeError, "padding=0.5", "give an integer"),
    "a bool padding end": ({"padding": ((0, 0), (0, True))}, TypeError, "padding=True", "give an integer"),
    "an integer dtype": ({"dtype": "int32"}, DtypeMismatch, "dtype='int32'", "use one of float32"),
    "a dtype that is no text": ({"dtype": float}, DtypeMismatch, "float", "use one of float32"),
    "an array for a bias": ({"bias": [1.0]}, TypeError, "bias=[1.0]", "whether there is a bias"),
    "a label that is no text": ({"label": 7}, TypeError, "label=7", "give a string"),
    "a label with a quote": ({"label": 'a"b'}, DescriptorError, "quote", "leave it out"),
    "a label of two lines": ({"label": "a\nb"}, DescriptorError, "control character", "leave it out"),
    "no count": ({"count": 0}, InvalidGeometry, "count=0", "use 1 or more"),
}


@pytest.mark.parametrize(("changes", "error", "given_part", "advice"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_argument_is_refused_with_what_was_given_and_what_to_do(
    changes: dict[str, object], error: type[Exception], given_part: str, advice: str
) -> None:
    with pytest.raises(error) as caught:
        ConvProblem(**(BASE | changes))
    assert type(caught.value) is error
    assert given_part in str(caught.value)
    assert advice in str(caught.value)


WRONG_SHAPES = {
    "a weight of another rank": ((1, 4, 8, 8), (6, 4, 3), None, "(6, 4, 3)", "expected 4 axes"),
    "an x without spatial axes": ((1, 4), (6, 4), None, "(1, 4)", "1 to 3 spatial axes"),
    "an x with four spatial axes": ((1, 4, 8, 8, 8, 8), (6, 4, 3, 3, 3, 3), None, "8, 8, 8, 8", "1 to 3 spatial axes"),
    "a weight for other channels": ((1, 4, 8, 8), (6, 3, 3, 3), None, "(6, 3, 3, 3)", "(6, 4, 3, 3)"),
    "a bias for other channels": ((1, 4, 8, 8), (6, 4, 3, 3), (4,), "(4,)", "expected (C_out,) = (6,)"),
    "a bias of two axes": ((1, 4, 8, 8), (6, 4, 3, 3), (6, 1), "(6, 1)", "expected (C_out,) = (6,)"),
}


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "bias_shape", "given_part", "expected"), WRONG_SHAPES.values(), ids=WRONG_SHAPES
)
def test_shapes_that_disagree_are_refused_with_what_was_expected(
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    given_part: str,
    expected: str,
) -> None:
    with pytest.raises(ShapeMismatch) as caught:
        ConvProblem.of_shapes(x_shape, weight_shape, bias_shape)
    assert given_part in str(caught.value)
    assert expected in str(caught.value)
