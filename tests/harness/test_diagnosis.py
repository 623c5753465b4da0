from __future__ import annotations

import time
from collections.abc import Callable

import faulty
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import conv_problems

import backends
from backends import Array, ConvBackend, ConvProblem
from harness import inputs, reference
from harness.diagnosis import diagnose, mistakes
from harness.diagnosis.misreadings import shortened
from harness.inputs import ConvArrays

# Strides, dilations and paddings that differ along and between the axes, groups, a batch and a bias.
RICH = ConvProblem(
    N=3,
    C_in=10,
    C_out=6,
    groups=2,
    spatial=(14, 19),
    kernel=3,
    stride=(2, 3),
    dilation=(2, 3),
    padding=((1, 0), (3, 2)),
    bias=True,
)
PROBLEMS = {
    "rich": RICH,
    "grouped": ConvProblem.parse("--dir=FWD_B g2mb2ic6ih6iw9oc4kh3kw3sh2sw1ph1pw2eh0ew2"),
    "dilated": ConvProblem.parse("ic3ih10iw9oc5kh3kw3dh1dw2ph1pw2"),
    "strided": ConvProblem.parse("ic4ih13oc3kh3kw3iw13sh2sw3"),
    "line": ConvProblem.parse("--dir=FWD_B mb2ic5iw16oc7kw5pw2"),
    "volume": ConvProblem.parse("ic2id4ih5iw5oc3kd2kh3kw3pd1ph1pw0"),
    "many channels": ConvProblem.parse("ic21ih4oc3kh3ph1"),
    "plain": ConvProblem.parse("mb3ic3ih6iw7oc4kh3kw3ph1pw1"),
    "narrow volume": ConvProblem.parse("mb2ic3id7ih7iw3oc4kd3kh3kw3sd2sh2sw2"),
}


def output_of(backend: ConvBackend, problem: ConvProblem, arrays: ConvArrays) -> Array:
    with np.errstate(all="ignore"):
        return np.array(backend.prepare(problem, arrays.weight.copy(), arrays.bias)(arrays.x.copy()))


def diagnosis(problem: ConvProblem, arrays: ConvArrays, got: Array) -> tuple[str, ...]:
    return diagnose(problem, arrays, reference.convolve(problem, arrays), got)


def diagnosis_of_spoilt(problem: ConvProblem, spoil: Callable[[Array], Array | None], data: str = "exact") -> list[str]:
    """What is said of right outputs that were spoilt, in place or by returning others."""
    arrays = inputs.data_set(problem, data, 0)
    y = output_of(faulty.Correct(), problem, arrays)
    returned = spoil(y)
    return list(diagnosis(problem, arrays, y if returned is None else returned))


@pytest.mark.parametrize(
    ("fault", "problem", "data", "says"),
    [
        (faulty.FlippedKernel, "grouped", "exact", "a kernel flipped along every axis (true convolution"),
        (faulty.FlippedKernel, "line", "exact", "a kernel flipped along every axis (true convolution"),
        (faulty.KernelTransposed, "grouped", "exact", "a kernel whose height and width are swapped"),
        (faulty.StridesSwapped, "strided", "exact", "a stride taken in the reverse order of the axes"),
        (faulty.PaddingMirrored, "rich", "exact", "padding whose begin and end are swapped"),
        (faulty.PaddingRepeatsTheEdge, "grouped", "exact", "padding with the nearest pixel, not with zeros"),
        (faulty.DilationIgnored, "dilated", "exact", "an ignored dilation"),
        (faulty.DilationOffByOne, "dilated", "exact", "a dilation one smaller on every axis"),
        (faulty.DilationsSwapped, "dilated", "exact", "a dilation taken in the reverse order of the axes"),
        (faulty.GroupsReadTheFirst, "grouped", "exact", "groups that all read the input channels of the first"),
        (faulty.GroupsInterleaved, "grouped", "exact", "groups that take output channels in turn"),
        (faulty.LastInputChannelDropped, "line", "exact", "sums without the last input channel"),
        (faulty.TailInputChannelsDropped, "many channels", "exact", "sums without the input channels from 16 on"),
        (faulty.SecondImageIsTheFirst, "line", "exact", "the first image, for every image"),
        (faulty.BiasMissing, "grouped", "exact", "a missing bias"),
        (faulty.BiasTwice, "line", "exact", "a bias added twice"),
        (faulty.AllZeros, "grouped", "exact", "all outputs are zero"),
        (faulty.LastChannelDropped, "volume", "exact", "wrong outputs are zero"),
        (faulty.TailColumnsDropped, "grouped", "exact", "wrong outputs are zero"),
        (faulty.TailOutputChannelsDropped, "dilated", "exact", "wrong outputs are zero"),
        (faulty.ChannelsPermuted, "plain", "exact", "the output channels hold, in turn, what belongs to output channels 3, 2, 1, 0"),
        (faulty.ShiftedByOne, "line", "exact", "each output holds what belongs one place before it along the width"),
        (faulty.FirstRowWrong, "grouped", "exact", "wrong outputs are 2 times what they should be"),
        (faulty.NarrowOutputsInStridedVolumes, "narrow volume", "exact", "are -3 times what they should be"),
        (faulty.CornerUnwritten, "volume", "exact", "0.001 among the wrong outputs is no sum of integers: never written"),
        (faulty.OneNan, "grouped", "exact", "1 of 264 outputs is NaN though every input is finite: never written"),
        (faulty.HalfPrecisionInside, "grouped", "normal", "input and weights rounded to 11 significant bits, as tf32 and float16 have"),
        (faulty.Tf32Inside, "grouped", "normal", "input and weights rounded to 11 significant bits, as tf32 and float16 have"),
        (faulty.Bfloat16Inside, "volume", "normal", "input and weights rounded to 8 significant bits, as bfloat16 has"),
        (faulty.TruncatesResults, "line", "normal", "every output is the right one rounded to 14 significant bits"),
        (faulty.AccumulatesInFloat16, "plain", "normal", "only 11 significant bits, as tf32 and float16 have"),
        (faulty.RunningSumInBfloat16, "plain", "normal", "only 8 significant bits, as bfloat16 has"),
        (faulty.FlushesFaintOutputs, "grouped", "wide range", "small results come out as zero"),
        (faulty.FlushesDenormals, "plain", "denormal", "all outputs are zero, for numbers below the normal range"),
        (faulty.SwallowsNan, "plain", "nan", "of the outputs that read the NaN in the input do not show it"),
        (faulty.SpreadsNan, "plain", "nan", "the NaN in the input spreads to"),
        (faulty.SaturatesInfinity, "plain", "infinity", "of the outputs that read the infinity in the input do not show it"),
        (faulty.InfinityWithoutSign, "plain", "infinity", "of the outputs that read the infinity in the input have its sign wrong"),
    ],
)  # fmt: skip
def test_the_first_sentence_names_the_fault_of_a_saboteur(
    fault: Callable[[], ConvBackend], problem: str, data: str, says: str
) -> None:
    arrays = inputs.data_set(PROBLEMS[problem], data, 0)

    found = diagnosis(PROBLEMS[problem], arrays, output_of(fault(), PROBLEMS[problem], arrays))

    assert says in found[0]
    assert len(found) == 2, "one explanation and where"


RICH_ARRAYS = inputs.exact_arrays(RICH, 0)
RICH_TRUTH = reference.convolve(RICH, RICH_ARRAYS)
NORMAL_ARRAYS = inputs.normal_arrays(RICH, 0)


@pytest.mark.parametrize("arrays", [RICH_ARRAYS, NORMAL_ARRAYS], ids=["exact", "normal"])
def test_on_a_rich_problem_no_two_mistakes_return_the_same_nor_any_the_truth(arrays: ConvArrays) -> None:
    truth = reference.convolve(RICH, arrays)
    words_of = {truth.tobytes(): "the truth"}

    for words, outputs in mistakes.guesses(RICH, arrays, truth):
        assert words_of.setdefault(outputs.tobytes(), words) == words


EVERY_MISTAKE = dict(mistakes.guesses(RICH, RICH_ARRAYS, RICH_TRUTH))


@pytest.mark.parametrize("words", EVERY_MISTAKE)
def test_on_a_rich_problem_each_mistake_is_claimed_alone(words: str) -> None:
    found = diagnosis(RICH, RICH_ARRAYS, EVERY_MISTAKE[words].astype(np.float32))

    assert found[0] == f"the outputs are exactly those of {words}"
    assert len(found) == 2


def test_a_mistake_made_in_a_part_of_the_outputs_is_named_with_the_part() -> None:
    arrays = inputs.exact_arrays(PROBLEMS["grouped"], 0)
    right, flipped = (
        output_of(fault(), PROBLEMS["grouped"], arrays) for fault in (faulty.Correct, faulty.FlippedKernel)
    )
    right[..., -3:] = flipped[..., -3:]

    found = diagnosis(PROBLEMS["grouped"], arrays, right)

    assert found[0].startswith(
        "the wrong outputs, and only they, are exactly those of a kernel flipped along every axis"
    )
    assert found[1:] == ("the 72 outputs in the columns from 8 on are wrong, the rest of 264 is right",)


def test_two_outputs_are_too_few_to_call_them_the_mistake_of_a_part() -> None:
    arrays = inputs.exact_arrays(PROBLEMS["grouped"], 0)
    right, flipped = (
        output_of(fault(), PROBLEMS["grouped"], arrays) for fault in (faulty.Correct, faulty.FlippedKernel)
    )
    right[0, 0, 0, :2] = flipped[0, 0, 0, :2]

    assert len(diagnosis(PROBLEMS["grouped"], arrays, right)) == 1


@pytest.mark.parametrize("shape", ["cropped", "laid out in the memory of the output"])
def test_a_result_of_another_size_is_recognised_however_it_was_made_to_fit(shape: str) -> None:
    problem = PROBLEMS["strided"]
    arrays = inputs.exact_arrays(problem, 0)
    y = output_of(faulty.Correct(), problem.replace(stride=1), arrays)

    got = y[:, :, :6, :4] if shape == "cropped" else np.resize(y, problem.y_shape)

    assert diagnosis(problem, arrays, got)[0] == "the outputs are exactly those of an ignored stride (1 on every axis)"


def test_a_mistake_that_makes_large_numbers_is_recognised_by_what_their_type_keeps_of_them() -> None:
    problem = PROBLEMS["many channels"].replace(bias=True, dtype="float16")
    arrays = inputs.normal_arrays(problem, 0)
    assert arrays.bias is not None
    got = reference.convolve(problem, arrays) + 188 * arrays.bias.astype(np.float64)[:, None, None]

    found = diagnosis(problem, arrays, got.astype(np.float16))

    assert found[0] == "the outputs are those of a bias added once per product"


def test_mistakes_that_a_problem_cannot_tell_apart_are_both_named() -> None:
    problem = ConvProblem(C_in=2, C_out=3, spatial=(9,), kernel=3, padding=((1, 0),))
    arrays = inputs.exact_arrays(problem, 0)

    found = diagnosis(problem, arrays, output_of(faulty.PaddingMirrored(), problem, arrays))

    assert found[0] == "the outputs are exactly those of padding whose begin and end are swapped"
    assert found[1].startswith("this problem cannot tell it from ")


def test_a_single_output_is_said_to_be_thin_evidence() -> None:
    problem = ConvProblem(C_in=1, C_out=1, spatial=(3,), kernel=3)
    arrays = inputs.exact_arrays(problem, 1)

    found = diagnosis(problem, arrays, output_of(faulty.FlippedKernel(), problem, arrays))

    assert "a kernel flipped along every axis" in found[0]
    assert found[0].endswith("(as far as 1 wrong output can tell)")
    assert found[-1] == "the only output is wrong"
    assert len(found) <= 4


def test_of_many_mistakes_that_fit_the_likeliest_three_are_named() -> None:
    problem = ConvProblem(C_in=2, C_out=2, spatial=(4, 4), kernel=2)
    arrays = ConvArrays(x=np.ones(problem.x_shape), weight=np.ones(problem.weight_shape), bias=None)

    found = diagnosis(problem, arrays, np.full(problem.y_shape, 4.0))

    assert found[0] == "the outputs are exactly those of sums without the last input channel"
    assert [text.startswith("this problem cannot tell it from ") for text in found] == [False, True, True, False]


# Arithmetic: what is rounded, to what, and when.


@pytest.mark.parametrize(
    ("bits", "like"),
    [(11, "11 significant bits, as tf32 and float16 have"), (8, "8 significant bits, as bfloat16 has")],
)
@pytest.mark.parametrize("rounding", [np.rint, np.trunc], ids=["rounded", "cut off"])
def test_inputs_of_a_narrower_type_are_told_from_weights_and_rounding_from_cutting_off(
    bits: int, like: str, rounding: Callable[[Array], Array]
) -> None:
    problem = PROBLEMS["plain"]
    arrays = inputs.normal_arrays(problem, 0)
    x, weight = (shortened(array, bits, rounding).astype(np.float32) for array in (arrays.x, arrays.weight))
    how = "rounded" if rounding is np.rint else "cut off"

    for made, says in {
        (True, True): f"input and weights {how}",
        (True, False): f"an input {how}",
        (False, True): f"weights {how}",
    }.items():
        read = ConvArrays(x=x if made[0] else arrays.x, weight=weight if made[1] else arrays.weight, bias=None)
        found = diagnosis(problem, arrays, output_of(faulty.Correct(), problem, read))

        assert found[0] == f"the outputs are those of {says} to {like}"


@pytest.mark.parametrize(
    ("dtype", "like"),
    [
        (np.float16, "11 significant bits, as tf32 and float16 have"),
        (ml_dtypes.bfloat16, "8 significant bits, as bfloat16 has"),
    ],
)
def test_results_of_a_narrower_type_are_told_from_whole_computations_in_it(dtype: type, like: str) -> None:
    problem = PROBLEMS["plain"].replace(bias=True)
    arrays = inputs.normal_arrays(problem, 0)

    def narrow(array: Array) -> Array:
        return array.astype(dtype).astype(np.float32)

    stored = narrow(output_of(faulty.Correct(), problem, arrays))
    short = ConvArrays(x=narrow(arrays.x), weight=narrow(arrays.weight), bias=narrow(arrays.bias))
    computed = narrow(output_of(faulty.Correct(), problem, short))

    assert diagnosis(problem, arrays, stored)[0] == f"every output is the right one rounded to {like}"
    assert diagnosis(problem, arrays, computed)[0] == (
        f"every output is the right one for rounded inputs, rounded again: each to {like}"
    )


def test_float32_inside_is_found_behind_float64() -> None:
    problem = PROBLEMS["plain"].replace(dtype="float64")
    arrays = inputs.normal_arrays(problem, 0)
    short = ConvArrays(x=arrays.x.astype(np.float32), weight=arrays.weight.astype(np.float32), bias=None)
    y = output_of(faulty.Correct(), problem.replace(dtype="float32"), short)

    found = diagnosis(problem, arrays, y.astype(np.float64))

    assert "24 significant bits, as float32 has" in found[0]


# Values.


def scaled_by_a_ninth(y: Array) -> Array:
    return y / 9


def swapped_images(y: Array) -> Array:
    return y[[1, 0, 2]]


def copied_channel(y: Array) -> None:
    y[:, 2] = y[:, 0]


def uninitialised(y: Array) -> None:
    y[1, 1, 2:4] = 1.7e30


def denormal(y: Array) -> None:
    y[0, 0, 0, :4] = 1e-41


def clipped(y: Array) -> Array:
    return np.maximum(y, 0)


def infinite(y: Array) -> None:
    y[0, 0, 0, 0] = y[2, 1, 0, 0] = np.inf


def late_in_memory(y: Array) -> Array:
    return np.concatenate([[7], y.ravel()[:-1]]).reshape(y.shape)


def with_other_bias(y: Array) -> Array:
    return y + np.array([3, -2, 0, 7]).reshape(4, 1, 1)


@pytest.mark.parametrize(
    ("spoil", "data", "says"),
    [
        (scaled_by_a_ninth, "normal", "all outputs are 1/9 times what they should be"),
        (scaled_by_a_ninth, "exact", "are 1/9 times what they should be"),
        (lambda y: y * 2.0**20, "normal", "all outputs are 1048576 times what they should be"),
        (np.abs, "exact", "wrong outputs are the negative of what they should be"),
        (np.negative, "exact", "are the negative of what they should be"),
        (lambda y: y + 1, "exact", "all outputs are too large by 1"),
        (lambda y: y - 0.5, "normal", "all outputs are too small by 0.5"),
        (lambda y: 0 * y + 5, "exact", "outputs are 5"),
        (swapped_images, "exact", "the images hold, in turn, what belongs to images 1, 0, 2"),
        (copied_channel, "exact", "output channel 2 holds what belongs to output channel 0"),
        (with_other_bias, "normal", "each output channel is off by a number of its own (3, -2, 0, 7), as with another bias"),
        (late_in_memory, "exact", "each output holds what belongs one place before it in memory"),
        (clipped, "exact", "negative results come out as zero, as after a fused ReLU"),
        (infinite, "normal", "2 of 504 outputs are infinite though every input is finite"),
        (uninitialised, "normal", "1.7e+30 among the wrong outputs is far larger than any sum of these products: never written"),
        (denormal, "normal", "among the wrong outputs is below the normal range: never written"),
    ],
)  # fmt: skip
def test_what_no_known_mistake_explains_is_described(
    spoil: Callable[[Array], Array | None], data: str, says: str
) -> None:
    found = diagnosis_of_spoilt(PROBLEMS["plain"], spoil, data)

    assert says in found[0]
    assert len(found) == 2


def test_the_bias_alone_is_known_for_what_it_is() -> None:
    problem = PROBLEMS["grouped"]
    arrays = inputs.exact_arrays(problem, 0)
    blank = ConvArrays(x=np.zeros_like(arrays.x), weight=arrays.weight, bias=arrays.bias)

    found = diagnosis(problem, arrays, output_of(faulty.Correct(), problem, blank))

    assert found[0] == "all outputs are the bias alone, as for an input of zeros"


def test_channels_permuted_before_the_bias_is_added_are_recognised() -> None:
    problem = PROBLEMS["line"]
    bias = inputs.exact_arrays(problem, 0).bias
    assert bias is not None

    found = diagnosis_of_spoilt(problem, lambda y: np.roll(y - bias[:, None], 1, axis=1) + bias[:, None])

    assert (
        found[0]
        == "the output channels hold, in turn, what belongs to output channels 6, 0, 1, 2, 3, 4, 5, but for the bias"
    )


# Where.


def spoiler(*index: object) -> Callable[[Array], None]:
    """Adds numbers that no mistake explains to the outputs at an index."""

    def spoil(y: Array) -> None:
        part = y[index]
        y[index] = part + np.random.default_rng(0).integers(100, 999, part.shape)

    return spoil


def spoil_where_padding_is_read(y: Array) -> None:
    inside = y[..., 1:-1, 1:-1].copy()
    spoiler(...)(y)
    y[..., 1:-1, 1:-1] = inside


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoiler(..., -1), "the 72 outputs in the last column are wrong, the rest of 504 is right"),
        (spoiler(..., slice(4, None)), "the 216 outputs in the columns from 4 on are wrong, the rest of 504 is right"),
        (spoiler(..., slice(2, 4), slice(None)), "the 168 outputs in rows 2 to 3 are wrong, the rest of 504 is right"),
        (spoiler(..., [0, -1], slice(None)), "the 168 outputs in the first and the last row are wrong, the rest of 504 is right"),
        (spoiler(..., slice(None, None, 2)), "the 288 outputs in columns 0, 2 ... 6 are wrong, the rest of 504 is right"),
        (spoiler(slice(1, None)), "the 336 outputs in every image but the first are wrong, the rest of 504 is right"),
        (spoiler(slice(None), slice(1, 3)), "the 252 outputs in every output channel but the first and the last are wrong, the rest of 504 is right"),
        (spoiler(1, 3, 5, 6), "the only wrong output of 504 is y[1, 3, 5, 6], in a corner"),
        (spoiler(2, 3, 5, 6), "the only wrong output of 504 is y[2, 3, 5, 6], the very last"),
        (spoiler(..., slice(1, -1), slice(1, -1)), "the 240 outputs in every row but the first and the last, in every column but the first and the last are wrong, the rest of 504 is right"),
        (spoil_where_padding_is_read, "the 264 outputs on the border are wrong, the rest of 504 is right"),
        (spoiler([0, 1, 2], [1, 3, 0], [2, 4, 3], [5, 0, 3]), "the 3 wrong outputs of 504 are y[0, 1, 2, 5], y[1, 3, 4, 0] and y[2, 0, 3, 3]"),
        (spoiler(2, 3, [4, 5, 5], [6, 0, 3]), "the 3 wrong outputs of 504 are y[2, 3, 4, 6], y[2, 3, 5, 0] and y[2, 3, 5, 3]"),
        (spoiler([0, 1, 2, 0, 1, 2], [1, 3, 0, 2, 0, 1], [2, 4, 3, 0, 5, 1], [5, 0, 3, 2, 6, 1]), "6 of 504 outputs are wrong, with no pattern in where they lie"),
        (spoiler([0, 1, 2, 0, 1, 2], [1, 3, 0, 2, 0, 1], 5, [5, 0, 3, 2, 6, 1]), "all 6 wrong outputs (of 504) lie in the last row"),
        (spoiler(0, 1, slice(2, 4), slice(3, 5)), "the 4 outputs in the first image, in output channel 1, in rows 2 to 3, in columns 3 to 4 are wrong, the rest of 504 is right"),
        (spoiler([0, 1, 2, 0], [1, 3, 0, 2], [3, 4, 5, 3], [5, 0, 3, 2]), "4 of 504 outputs are wrong, with no pattern in where they lie"),
        (spoiler(...), "every output is wrong"),
    ],
)  # fmt: skip
def test_where_wrong_outputs_lie_is_said_as_tightly_as_it_is_true(spoil: Callable[[Array], None], says: str) -> None:
    assert diagnosis_of_spoilt(PROBLEMS["plain"], spoil) == [says]


def test_tails_that_blocked_loops_leave_over_are_recognised() -> None:
    def in_each_channel(y: Array) -> None:
        spoiler(..., slice(33, None))(y.reshape(3, 4, 42))

    def in_all(y: Array) -> None:
        spoiler(slice(353, None))(y.reshape(-1))

    assert diagnosis_of_spoilt(PROBLEMS["plain"], in_each_channel) == [
        "the 108 outputs at the last 9 of each channel's 42 positions are wrong, the rest of 504 is right"
    ]
    assert diagnosis_of_spoilt(PROBLEMS["plain"].replace(padding=((1, 1), (0, 0))), in_all) == [
        "the 7 outputs at the last 7 places in memory are wrong, the rest of 360 is right"
    ]


def test_channels_of_whole_groups_are_named_as_groups() -> None:
    assert diagnosis_of_spoilt(RICH, spoiler(slice(None), slice(3, None))) == [
        "the 324 outputs in the output channels from 3 on (those of the last group) are wrong, the rest of 648 is right"
    ]


def test_outputs_that_read_padding_are_named_where_that_is_more_than_the_border() -> None:
    problem = ConvProblem(C_in=2, C_out=2, spatial=(8, 9), kernel=5, padding=2)
    arrays = inputs.exact_arrays(problem, 0)

    found = diagnosis(problem, arrays, output_of(faulty.PaddingRepeatsTheEdge(), problem, arrays))

    assert "where padding is read" in found[-1]


# What must not be said.


@settings(max_examples=40)
@given(problem=conv_problems(), data=st.sampled_from(list(inputs.DATA_SETS)))
def test_right_outputs_have_no_diagnosis(problem: ConvProblem, data: str) -> None:
    arrays = inputs.data_set(problem, data, 0)

    assert diagnosis(problem, arrays, output_of(faulty.Correct(), problem, arrays)) == ()


@settings(max_examples=40)
@given(problem=conv_problems(), data=st.sampled_from(["exact", "normal", "uniform"]))
def test_the_roundings_of_a_right_transform_are_no_errors(problem: ConvProblem, data: str) -> None:
    arrays = inputs.data_set(problem, data, 0)

    assert diagnosis(problem, arrays, output_of(backends.get("fft"), problem, arrays)) == ()


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_outputs_that_are_wrong_at_random_are_only_located(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    where = rng.choice(RICH_TRUTH.size, count, replace=False)
    got = RICH_TRUTH.astype(np.float32)
    got.reshape(-1)[where] += rng.integers(1, 500, count) * rng.choice([-1, 1], count)

    found = diagnosis(RICH, RICH_ARRAYS, got)

    assert len(found) == 1
    assert f"of {got.size}" in found[0]


def test_smaller_integers_are_not_taken_for_shorter_ones() -> None:
    assert len(diagnosis_of_spoilt(PROBLEMS["many channels"], lambda y: y // 4)) == 1


@settings(max_examples=25)
@given(problem=conv_problems(dtypes=("float32", "float16", "bfloat16")), seed=st.integers(0, 2**32 - 1))
def test_any_garbage_gets_at_most_four_sentences(problem: ConvProblem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = inputs.exact_arrays(problem, 0)
    garbage = rng.choice([np.nan, np.inf, -np.inf, 1e30, -1e-44, 0, 3, 0.1], problem.y_shape)

    assert len(diagnosis(problem, arrays, garbage.astype(np.float32))) <= 4


def test_a_small_problem_is_diagnosed_within_fifty_milliseconds() -> None:
    problem = ConvProblem.parse("--dir=FWD_B g2mb2ic6ih5iw6oc4kh3kw3sh2sw1ph1pw2eh0ew2")
    arrays = inputs.exact_arrays(problem, 0)
    got = output_of(faulty.LastColumnWrong(), problem, arrays)
    times = []
    for _ in range(5):
        # Time of this process: other people's does not count.
        start = time.process_time()
        diagnosis(problem, arrays, got)
        times.append(time.process_time() - start)

    assert min(times) < 0.05
