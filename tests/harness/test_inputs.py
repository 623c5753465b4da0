from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import EVERY_DTYPE, conv_problems

from backends import ConvError, ConvProblem
from harness import inputs, reference


def sum_of_magnitudes(problem: ConvProblem, arrays: inputs.ConvArrays) -> float:
    return float(reference.compute(problem, arrays, seed=0).magnitude.max())


@settings(max_examples=60)
@given(conv_problems(dtypes=EVERY_DTYPE))
def test_every_partial_sum_of_exact_data_is_exact_in_the_dtype(problem: ConvProblem) -> None:
    arrays = inputs.exact_arrays(problem, seed=7)

    assert np.array_equal(arrays.x, np.rint(arrays.x))
    assert np.array_equal(arrays.weight, np.rint(arrays.weight))
    assert sum_of_magnitudes(problem, arrays) < 2 ** inputs.SIGNIFICAND_BITS[problem.dtype]


@pytest.mark.parametrize("text", ["ic4096ih3oc4kh3", "ic60000iw3oc2kw3", "ic1ih300oc1kh257"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_exact_data_of_very_long_sums_stays_exact(text: str, dtype: str) -> None:
    problem = ConvProblem.parse(text).replace(dtype=dtype)

    assert sum_of_magnitudes(problem, inputs.exact_arrays(problem, seed=0)) < 2 ** inputs.SIGNIFICAND_BITS[dtype]


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
def test_data_are_of_the_problems_dtype(dtype: str) -> None:
    problem = ConvProblem.parse("--dir=FWD_B ic3ih9oc4kh3").replace(dtype=dtype)
    for name in inputs.DATA_SETS:
        arrays = inputs.data_set(problem, name, seed=0)
        assert {arrays.x.dtype.name, arrays.weight.dtype.name, arrays.bias.dtype.name} == {dtype}, name


@pytest.mark.parametrize("text", ["ic1ih200oc8kh1", "--dir=FWD_B ic512ih7oc32kh3", "ic120000iw3oc2kw3"])
@pytest.mark.parametrize("name", ["normal", "uniform", "wide range", "one-hot"])
def test_outputs_of_finite_data_fit_float16(name: str, text: str) -> None:
    problem = ConvProblem.parse(text).replace(dtype="float16")
    arrays = inputs.data_set(problem, name, seed=0)

    assert np.isfinite(arrays.x).all()
    assert np.isfinite(arrays.weight).all()
    assert np.abs(reference.convolve(problem, arrays)).max() < np.finfo(np.float16).max


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
def test_bright_sources_outshine_the_faint_a_million_times_in_every_dtype(dtype: str) -> None:
    x = np.abs(inputs.wide_range_arrays(ConvProblem.parse("ic64ih56oc64kh3").replace(dtype=dtype), seed=0).x)

    bright = x.astype(np.float64) > 2.0**15 * np.median(x.astype(np.float64))

    assert 0.008 < bright.mean() < 0.012
    assert np.median(x[bright].astype(np.float64)) / np.median(x[~bright].astype(np.float64)) == pytest.approx(
        2**20, rel=0.1
    )


def test_exact_data_thins_out_the_weights_where_even_ones_would_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(inputs.SIGNIFICAND_BITS, "float32", 8)
    problem = ConvProblem.parse("ic64ih8oc4kh3")

    arrays = inputs.exact_arrays(problem, seed=0)

    assert 0.2 < np.count_nonzero(arrays.weight) / arrays.weight.size < 256 / 577
    assert sum_of_magnitudes(problem, arrays) < 256


def test_exact_data_has_no_zeros_where_sums_are_short() -> None:
    arrays = inputs.exact_arrays(ConvProblem.parse("ic3ih9oc4kh3"), seed=1)

    assert np.count_nonzero(arrays.x) == arrays.x.size
    assert np.count_nonzero(arrays.weight) == arrays.weight.size


@pytest.mark.parametrize(("dtype", "largest"), [("float32", 8), ("float16", 8), ("bfloat16", 5)])
def test_exact_data_of_short_sums_has_integers_as_large_as_the_dtype_allows(dtype: str, largest: int) -> None:
    arrays = inputs.exact_arrays(ConvProblem.parse("ic1ih16oc4kh3").replace(dtype=dtype), seed=0)

    assert np.abs(arrays.x).max() == largest


@pytest.mark.parametrize("make", [inputs.exact_arrays, inputs.normal_arrays])
def test_data_depend_on_seed_and_problem_but_not_on_its_name(make) -> None:  # type: ignore[no-untyped-def]
    problem = ConvProblem.parse("ic3ih9oc4kh3")

    same = make(problem.replace(label="another name", count=3), 5)

    assert np.array_equal(make(problem, 5).x, same.x)
    assert not np.array_equal(make(problem, 6).x, same.x)


@pytest.mark.parametrize(("name", "shape"), [("photograph", (600, 512)), ("mri", (256, 256))])
def test_pictures_are_real_grey_images(name: str, shape: tuple[int, int]) -> None:
    image = inputs.picture(name)

    assert image.shape == shape
    assert image.dtype == np.float32
    assert image.min() >= 0
    # A picture is smooth: neighbours are far more alike than pixels at random. Wrong byte order would not be.
    assert np.abs(np.diff(image)).mean() < 0.2 * np.abs(image - image.mean()).mean()


def test_unknown_picture_names_those_there_are() -> None:
    with pytest.raises(ConvError, match="photograph, mri"):
        inputs.picture("cat")


def test_a_picture_that_does_not_fit_its_problem_is_refused_with_both_shapes() -> None:
    with pytest.raises(ConvError, match=r"\(1, 1, 256, 256\).*\(1, 3, 9, 9\)"):
        inputs.case_arrays(ConvProblem.parse("ic3ih9oc4kh3"), "mri", seed=0)


def test_vertical_edge_kernel_answers_a_vertical_edge_and_ignores_a_horizontal_one() -> None:
    problem = ConvProblem(C_in=1, C_out=2, spatial=(6, 6), kernel=3)
    step = np.zeros((1, 1, 6, 6), np.float32)
    step[..., :3] = 1

    y = reference.convolve(problem, inputs.ConvArrays(x=step, weight=inputs.edge_weights(), bias=None))

    assert np.abs(y[0, 0]).max() == 3
    assert np.abs(y[0, 1]).max() == 0
