"""The bound of Winograd convolution: right implementations stay within it, wrong ones exceed it, and it is what it says."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import conv_problems
from winograd import Float16Transforms, Matrices, TailDropped, WinogradBackend, WrongEntry

import backends
from backends import Array, ConvError, ConvProblem
from backends.winograd_transforms import F2, F4, WinogradTransform, toom_cook
from harness import inputs, reference, winograd_bound
from harness.inputs import ConvArrays

CLOSER = toom_cook(4, 3, (0, 0.75, -0.75, 1.5, -1.5))
# Outputs (11, 9): the last tile of each axis is cut, whether it has 2 or 4 outputs.
PROBLEM = ConvProblem.parse("--dir=FWD_B g2mb2ic6ih12iw10oc4kh3kw3ph1pw0eh0ew1")
SEVERAL = settings(max_examples=25)


class CloserPoints(WinogradBackend):
    """F(4, 3) by points whose matrices have fractions."""

    def transforms(self, problem: ConvProblem) -> tuple[WinogradTransform | None, ...]:
        return tuple(None if chosen is None else CLOSER for chosen in super().transforms(problem))


def with_short_kernel(problem: ConvProblem) -> ConvProblem:
    """The problem with the last axes as the backend computes them; sizes grow where the kernel would not fit."""
    last = range(max(0, problem.ndim - 2), problem.ndim)

    def changed(sizes: tuple[int, ...], to: int) -> tuple[int, ...]:
        return tuple(to if axis in last else size for axis, size in enumerate(sizes))

    spatial = tuple(
        max(size, 3 - sum(ends)) if axis in last else size
        for axis, (size, ends) in enumerate(zip(problem.spatial, problem.padding, strict=True))
    )
    return problem.replace(
        spatial=spatial,
        kernel=changed(problem.kernel, 3),
        stride=changed(problem.stride, 1),
        dilation=changed(problem.dilation, 1),
    )


winograd_problems = conv_problems(max_spare=9).map(with_short_kernel)
backends_of_ours = st.sampled_from([WinogradBackend(m=2), WinogradBackend(m=4), CloserPoints()])


def errors(backend: WinogradBackend, problem: ConvProblem, arrays: ConvArrays) -> tuple[Array, reference.Reference]:
    """|error| and the reference, at every output."""
    assert backend.why_unsupported(problem) is None
    found = reference.compute(problem, arrays, seed=0)
    y = backend.prepare(problem, arrays.weight, arrays.bias)(arrays.x)
    assert y.shape == problem.y_shape
    assert y.dtype.name == problem.dtype
    return np.abs(y.reshape(found.y.shape) - found.y).astype(np.float64), found


def bounds(backend: WinogradBackend, problem: ConvProblem, arrays: ConvArrays, positions: Array) -> Array:
    """What errors may be, the oracle's own included."""
    transforms = backend.transforms(problem)
    k = winograd_bound.roundings(problem, transforms)
    u = float(np.finfo(problem.dtype).eps) / 2
    magnitude = winograd_bound.magnitude(problem, arrays, transforms, positions)
    of_oracle = (problem.accumulation_length + 1) * reference.unit_roundoff(problem.dtype) * magnitude
    return k * u / (1 - k * u) * magnitude + of_oracle


def worst(backend: WinogradBackend, problem: ConvProblem, data: str) -> float:
    """The largest error on a data set, as a part of its bound."""
    arrays = inputs.DATA_SETS[data](problem, 1)
    error, found = errors(backend, problem, arrays)
    return float((error / bounds(backend, problem, arrays, found.positions)).max())


# ---- Right implementations


@SEVERAL
@given(problem=winograd_problems, backend=backends_of_ours, data=st.sampled_from(["normal", "uniform", "wide range"]))
def test_a_right_backend_stays_within_the_bound(problem: ConvProblem, backend: WinogradBackend, data: str) -> None:
    arrays = inputs.DATA_SETS[data](problem, 2)
    error, found = errors(backend, problem, arrays)

    assert (error <= bounds(backend, problem, arrays, found.positions)).all()


@SEVERAL
@given(problem=winograd_problems, m=st.sampled_from([2, 4]))
def test_integers_are_exact_after_rounding(problem: ConvProblem, m: int) -> None:
    error, _ = errors(WinogradBackend(m=m), problem, inputs.exact_arrays(problem, 2))

    assert (error < 0.5).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", [WinogradBackend(m=2), WinogradBackend(m=4), CloserPoints()])
def test_subnormal_numbers_lose_what_underflow_allows_and_more_than_relative_errors_do(
    backend: WinogradBackend, dtype: str
) -> None:
    problem = PROBLEM.replace(dtype=dtype, bias=False)
    arrays = inputs.normal_arrays(problem, 1)
    limits = np.finfo(dtype)
    arrays = dataclasses.replace(arrays, x=arrays.x * (limits.smallest_subnormal * 1000))
    error, found = errors(backend, problem, arrays)
    relative = bounds(backend, problem, arrays, found.positions)

    lost = winograd_bound.underflow(problem, arrays, backend.transforms(problem))

    assert (error > relative).any()
    assert (error <= relative + lost[:, None] * float(limits.smallest_subnormal)).all()
    # Taking subnormal numbers for zero would lose all of this.
    assert np.abs(found.y).max() > 2 * lost.max() * float(limits.smallest_subnormal)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_enlarge_what_fractions_lose_of_subnormal_numbers(dtype: str) -> None:
    problem = PROBLEM.replace(dtype=dtype, bias=False)
    arrays = inputs.normal_arrays(problem, 1)
    tiny = np.finfo(dtype).smallest_subnormal
    arrays = dataclasses.replace(arrays, x=arrays.x * (tiny * 10), weight=arrays.weight * 1024)
    error, found = errors(CloserPoints(), problem, arrays)
    relative = bounds(CloserPoints(), problem, arrays, found.positions)

    fractions, integers = (winograd_bound.underflow(problem, arrays, (chosen, chosen)) for chosen in (CLOSER, F4))

    assert (error > relative + integers[:, None] * float(tiny)).any()
    assert (error <= relative + fractions[:, None] * float(tiny)).all()


def test_underflow_counts_products_and_the_fractions_in_matrices() -> None:
    """By points +-3/4 and +-3/2, B_T has two or three fractions in each row, and A_T four from its second row on."""
    line = ConvProblem.parse("ic5iw20oc2kw3")
    arrays = inputs.normal_arrays(line, 1)
    transformed = np.abs(CLOSER.G) @ np.abs(arrays.weight).astype(np.float64).sum(axis=1).T

    found = winograd_bound.underflow(line, arrays, (CLOSER,))

    fractions = np.array([2, 3, 3, 3, 3, 2])
    expected = np.abs(CLOSER.A_T) @ (5 + fractions[:, None] * transformed) + np.array([0, 4, 4, 4])[:, None]
    np.testing.assert_allclose(found, expected.max(axis=0), rtol=1e-13)
    assert (winograd_bound.underflow(line, arrays, (F4,)) == 5 * 19).all()


@pytest.mark.parametrize("data", ["normal", "uniform"])
def test_two_outputs_a_tile_err_less_than_sums_may_and_four_do_not_always(data: str) -> None:
    def in_units(m: int, problem: ConvProblem) -> float:
        error, found = errors(WinogradBackend(m=m), problem, inputs.DATA_SETS[data](problem, 1))
        return float((error / (2.0**-24 * found.magnitude)).max())

    layer, one_channel = ConvProblem.parse("ic16ih20oc8kh3ph1"), ConvProblem.parse("ic1ih20oc8kh3")

    assert in_units(2, layer) < layer.accumulation_length / 4
    assert in_units(4, layer) > 2 * in_units(2, layer)
    assert in_units(4, one_channel) > one_channel.accumulation_length


# ---- Wrong ones


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("fault", [WrongEntry, Float16Transforms, TailDropped])
def test_a_faulty_backend_exceeds_the_bound_on_normal_data(fault: type[WinogradBackend], m: int, dtype: str) -> None:
    assert worst(fault(m=m), PROBLEM.replace(dtype=dtype), "normal") > 3
    assert worst(WinogradBackend(m=m), PROBLEM.replace(dtype=dtype), "normal") < 0.1


def test_backends_load_by_their_names_and_decline_with_a_reason() -> None:
    for spec in ("winograd:WinogradBackend", "winograd:WinogradBackend[m=4]", "winograd:WrongEntry[m=4]"):
        assert backends.get(spec).name == spec
    with pytest.raises(backends.BackendSpecError, match="use 2 or 4"):
        backends.get("winograd:WinogradBackend[m=3]")
    for text, reason in {"ic1ih9oc1kh5": "kernel", "ic1ih9oc1kh3sh2": "stride", "ic1ih9oc1kh3dh1": "dilation"}.items():
        assert (WinogradBackend().why_unsupported(ConvProblem.parse(text)) or "").startswith(reason)


# ---- What the magnitude is


def runs_on_absolute_values(problem: ConvProblem, arrays: ConvArrays, transform: WinogradTransform) -> list[Array]:
    """The algorithm with all signs removed, without bias, tiles starting at each of the places there are."""
    size = [np.abs(matrix) for matrix in (transform.A_T, transform.G, transform.B_T)]
    transformed = min(2, problem.ndim)
    runs = []
    for shift in itertools.product(range(transform.m), repeat=transformed):
        # More padding in front moves every output on in its tile, and as many outputs in front are to be cut off.
        moved = (0,) * (problem.ndim - transformed) + shift
        padding = tuple((begin + more, end) for (begin, end), more in zip(problem.padding, moved, strict=True))
        shifted = problem.replace(padding=padding, dtype="float64")
        x, weight = (np.abs(array.astype(np.float64)) for array in (arrays.x, arrays.weight))
        y = WinogradBackend().convolve(shifted, x, weight, [Matrices(*size)] * transformed)
        runs.append(y[(..., *(slice(more, None) for more in moved))].reshape(problem.N, problem.C_out, -1))
    return runs


@SEVERAL
@given(problem=winograd_problems, transform=st.sampled_from([F2, F4, CLOSER]))
def test_magnitude_covers_the_algorithm_on_absolute_values_wherever_tiles_start(
    problem: ConvProblem, transform: WinogradTransform
) -> None:
    arrays = inputs.normal_arrays(problem, 1)
    transformed = min(2, problem.ndim)
    transforms = (*[None] * (problem.ndim - transformed), *[transform] * transformed)

    found = winograd_bound.magnitude(problem, arrays, transforms, np.arange(math.prod(problem.out)))

    runs = runs_on_absolute_values(problem, arrays, transform)
    if arrays.bias is not None:
        found = found - np.abs(arrays.bias.astype(np.float64))[:, None]
    rounding = 1e-12 * (found + 1)
    assert (found >= np.max(runs, axis=0) - rounding).all()
    assert (found <= np.sum(runs, axis=0) + rounding).all()


@pytest.mark.parametrize(("transform", "ratio"), [(F2, 2.0), (F4, 1.6)])
def test_magnitude_is_not_much_larger_than_the_worst_single_place(transform: WinogradTransform, ratio: float) -> None:
    problem = ConvProblem.parse("ic16ih24oc4kh3")
    arrays = inputs.normal_arrays(problem, 1)

    found = winograd_bound.magnitude(problem, arrays, (transform, transform), np.arange(math.prod(problem.out)))

    assert np.median(found / np.max(runs_on_absolute_values(problem, arrays, transform), axis=0)) < ratio


@SEVERAL
@given(problem=conv_problems())
def test_without_transforms_the_bound_is_that_of_plain_sums(problem: ConvProblem) -> None:
    arrays = inputs.normal_arrays(problem, 1)
    found = reference.compute(problem, arrays, seed=0)
    direct = (None,) * problem.ndim

    magnitude = winograd_bound.magnitude(problem, arrays, direct, found.positions)

    np.testing.assert_allclose(magnitude, found.magnitude, rtol=1e-12)
    assert winograd_bound.roundings(problem, direct) == problem.accumulation_length + problem.bias + 1
    assert (winograd_bound.underflow(problem, arrays, direct) == problem.accumulation_length).all()


def test_scaling_a_point_changes_no_bound_and_closer_points_lower_it() -> None:
    arrays = inputs.normal_arrays(PROBLEM, 1)
    everywhere = np.arange(math.prod(PROBLEM.out))
    scale = 2.0 ** np.arange(-3, 3)
    scaled = WinogradTransform(m=4, r=3, A_T=F4.A_T, G=F4.G * scale[:, None], B_T=F4.B_T / scale[:, None])

    customary, rescaled, closer = (
        winograd_bound.magnitude(PROBLEM, arrays, (transform, transform), everywhere)
        for transform in (F4, scaled, CLOSER)
    )

    np.testing.assert_allclose(rescaled, customary, rtol=1e-13)
    assert winograd_bound.roundings(PROBLEM, (scaled, scaled)) == winograd_bound.roundings(PROBLEM, (F4, F4))
    assert np.median(closer / customary) < 0.7


def test_a_dilated_axis_is_that_many_dense_ones() -> None:
    problem = ConvProblem(C_in=3, C_out=2, spatial=(20,), kernel=3, dilation=2, padding=((2, 4),))
    arrays = inputs.normal_arrays(problem, 1)

    found = winograd_bound.magnitude(problem, arrays, (F4,), np.arange(problem.out[0]))

    for first in range(2):
        phase = problem.replace(spatial=(10,), dilation=1, padding=((1, 2),))
        kept = dataclasses.replace(arrays, x=arrays.x[:, :, first::2])
        dense = winograd_bound.magnitude(phase, kept, (F4,), np.arange(phase.out[0]))
        np.testing.assert_allclose(found[:, :, first::2], dense, rtol=1e-13)


def test_some_outputs_have_the_magnitude_that_they_have_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = inputs.normal_arrays(PROBLEM, 1)
    everywhere = np.arange(math.prod(PROBLEM.out))
    whole = winograd_bound.magnitude(PROBLEM, arrays, (F4, F2), everywhere)
    some = np.array([3, 4, 40, 41, 71])

    # One channel and one output at a time.
    monkeypatch.setattr(winograd_bound, "_CHUNK_ELEMENTS", 1)

    np.testing.assert_allclose(winograd_bound.magnitude(PROBLEM, arrays, (F4, F2), some), whole[:, :, some], rtol=1e-13)


def test_inputs_that_are_not_finite_count_as_zero() -> None:
    arrays = inputs.normal_arrays(PROBLEM, 1)
    everywhere = np.arange(math.prod(PROBLEM.out))
    zeroed, spoiled = arrays.x.copy(), arrays.x.copy()
    zeroed[0, :, 4:6, 4] = 0
    spoiled[0, :, 4, 4], spoiled[0, :, 5, 4] = np.nan, -np.inf

    with_zeros, with_nan = (
        winograd_bound.magnitude(PROBLEM, dataclasses.replace(arrays, x=x), (F4, F4), everywhere)
        for x in (zeroed, spoiled)
    )

    assert np.array_equal(with_nan, with_zeros)
    assert np.isnan(spoiled).any()


def test_roundings_count_matrices_sums_and_bias() -> None:
    """F(2, 3) has 2, 3 and 3 non-zeros a row in B_T, G and A_T, F(4, 3) has 4, 3 and 5."""
    line, plane = ConvProblem.parse("ic8iw20oc4kw3"), PROBLEM
    volume = ConvProblem.parse("ic8id9ih9iw9oc4kd3kh3kw3")

    assert winograd_bound.roundings(line, (F2,)) == (2 + 1) + (3 + 1) + (3 + 1) + 8 + 1
    assert winograd_bound.roundings(line, (F4,)) == (4 + 1) + (3 + 1) + (5 + 1) + 8 + 1
    # Two axes at once: products of non-zeros, and three roundings of an entry.
    assert winograd_bound.roundings(plane, (F4, F2)) == (8 + 3) + (9 + 3) + (15 + 3) + 3 + 1 + 1
    assert winograd_bound.roundings(volume, (None, F2, F2)) == (4 + 3) + (9 + 3) + (9 + 3) + 3 * 8 + 1


@pytest.mark.parametrize(
    ("text", "transforms", "says"),
    [
        ("ic1ih9oc1kh3", (F2,), "1 transforms for 2 spatial axes"),
        ("ic1ih9oc1kh5", (None, F2), r"F\(2,3\) computes 3 taps at stride 1, but spatial axis 1 has kernel 5"),
        ("ic1ih9oc1kh3sh2", (F4, None), "axis 0 has kernel 3 and stride 2"),
    ],
)
def test_transforms_that_do_not_fit_are_refused(
    text: str, transforms: tuple[WinogradTransform | None, ...], says: str
) -> None:
    problem = ConvProblem.parse(text)
    arrays = inputs.normal_arrays(problem, 1)

    with pytest.raises(ConvError, match=says):
        winograd_bound.roundings(problem, transforms)
    with pytest.raises(ConvError, match=says):
        winograd_bound.magnitude(problem, arrays, transforms, np.arange(1))
    with pytest.raises(ConvError, match=says):
        winograd_bound.underflow(problem, arrays, transforms)
