"""The roofline: never above the machine, honest about what is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.problem import ConvProblem
from harness.records import Bandwidth, CacheState, Ceilings
from harness.roofline import Roofline, arithmetic_drift, memory_drift, roofline_of
from tests.strategies import conv_problems

rates = st.floats(1e8, 1e14)
levels = st.dictionaries(st.integers(1, 1 << 40), rates, max_size=6).map(
    lambda speeds: tuple(Bandwidth(working_set_bytes=size, bytes_per_s=speeds[size]) for size in sorted(speeds))
)


def measured(when: str = "start", **changes: object) -> Ceilings:
    values = {
        "dtype": "float32",
        "threads": 2,
        "when": when,
        "fma_flop_per_s": 200e9,
        "gemm_flop_per_s": 180e9,
        "bandwidths": (
            Bandwidth(working_set_bytes=1 << 15, bytes_per_s=600e9),
            Bandwidth(working_set_bytes=1 << 19, bytes_per_s=200e9),
            Bandwidth(working_set_bytes=1 << 27, bytes_per_s=30e9),
        ),
    }
    return Ceilings(**(values | changes))


def roofline(*ceilings: Ceilings) -> Roofline:
    found = roofline_of(ceilings or (measured(),), "float32", 2)
    assert found is not None
    return found


def ceilings() -> st.SearchStrategy[Ceilings]:
    return st.builds(
        lambda fma, gemm, bandwidths: measured(fma_flop_per_s=fma, gemm_flop_per_s=gemm, bandwidths=bandwidths),
        st.none() | rates,
        st.none() | rates,
        levels,
    )


# A pointwise layer with one channel: two operations for eight bytes, wherever it lies.
def streaming(elements: int) -> ConvProblem:
    return ConvProblem(C_in=1, C_out=1, spatial=(elements,), kernel=1)


@given(conv_problems(), st.lists(ceilings(), min_size=1, max_size=4), st.sampled_from(CacheState))
def test_attainable_is_the_lower_of_the_top_and_what_its_bytes_allow(
    problem: ConvProblem, measurements: list[Ceilings], cache: CacheState
) -> None:
    found = roofline(*measurements)
    attainable = found.attainable_flop_per_s(problem, cache)
    tops = [rate for item in measurements for rate in (item.fma_flop_per_s, item.gemm_flop_per_s) if rate is not None]
    if not tops:
        assert attainable is None
        return
    assert attainable is not None
    assert attainable <= max(tops)
    speeds = [level.bytes_per_s for item in measurements for level in item.bandwidths]
    if speeds:
        moved_ns = problem.bytes_compulsory / max(speeds)
        assert attainable <= problem.flops / moved_ns * (1 + 1e-12) or attainable == max(tops)
        assert attainable >= min(max(tops), problem.flops / problem.bytes_compulsory * min(speeds)) * (1 - 1e-12)


@given(conv_problems(), st.lists(ceilings(), min_size=1, max_size=4))
def test_cold_caches_never_raise_the_roof(problem: ConvProblem, measurements: list[Ceilings]) -> None:
    found = roofline(*measurements)
    hot = found.attainable_flop_per_s(problem, CacheState.HOT)
    cold = found.attainable_flop_per_s(problem, CacheState.COLD)
    assert (hot is None) == (cold is None)
    assert hot is None or cold is None or cold <= hot


@given(st.lists(ceilings(), min_size=1, max_size=4), st.integers(1, 1 << 41), st.integers(1, 1 << 41))
def test_a_larger_working_set_never_comes_faster(measurements: list[Ceilings], one: int, other: int) -> None:
    found = roofline(*measurements)
    if found.bandwidths:
        small, large = (found.bytes_per_s(size, CacheState.HOT) or 0.0 for size in sorted((one, other)))
        assert large <= small


@given(conv_problems(), st.lists(ceilings(), min_size=1, max_size=3), ceilings())
def test_another_measurement_never_lowers_the_top(
    problem: ConvProblem, measurements: list[Ceilings], another: Ceilings
) -> None:
    before, after = roofline(*measurements).top_flop_per_s, roofline(*measurements, another).top_flop_per_s
    assert before is None or (after is not None and after >= before)


@given(conv_problems(), ceilings(), st.floats(1.0, 1e12), st.floats(1.01, 100.0))
def test_fraction_falls_as_time_grows(problem: ConvProblem, one: Ceilings, ns: float, factor: float) -> None:
    found = roofline(one)
    fast, slow = found.peak_fraction(problem, ns), found.peak_fraction(problem, ns * factor)
    if fast is not None:
        assert slow == pytest.approx(fast / factor)


@pytest.mark.parametrize(
    ("elements", "bytes_per_s"), [(1000, 600e9), (20_000, 200e9), (1 << 20, 30e9), (1 << 26, 30e9)]
)
def test_bandwidth_is_that_of_the_smallest_level_that_holds_the_operands(elements: int, bytes_per_s: float) -> None:
    problem = streaming(elements)
    expected = problem.arithmetic_intensity * bytes_per_s
    assert roofline().attainable_flop_per_s(problem, CacheState.HOT) == pytest.approx(expected)
    assert roofline().attainable_flop_per_s(problem, CacheState.COLD) == pytest.approx(expected * 30e9 / bytes_per_s)


def test_a_call_at_exactly_the_roof_is_one() -> None:
    deep = ConvProblem(C_in=256, C_out=256, spatial=(14, 14), kernel=3, padding=1)
    assert deep.arithmetic_intensity > 50
    assert roofline().peak_fraction(deep, deep.flops / 200e9 * 1e9) == pytest.approx(1.0)


def test_ceilings_of_another_dtype_or_number_of_threads_do_not_count() -> None:
    assert roofline_of([measured()], "float64", 2) is None
    assert roofline_of([measured()], "float32", 1) is None
    other = [measured(dtype="float64", fma_flop_per_s=900e9), measured(threads=1, fma_flop_per_s=900e9)]
    assert roofline(measured(), *other).top_flop_per_s == 200e9


def test_without_any_arithmetic_ceiling_there_is_no_fraction() -> None:
    found = roofline(measured(fma_flop_per_s=None, gemm_flop_per_s=None))
    assert found.peak_fraction(streaming(1000), 1e6) is None


def test_without_bandwidths_the_top_alone_counts() -> None:
    found = roofline(measured(fma_flop_per_s=None, bandwidths=()))
    assert found.attainable_flop_per_s(streaming(1000)) == 180e9


def test_drift_is_between_the_extremes_in_the_order_they_came() -> None:
    fell = [
        measured(),
        measured("end", fma_flop_per_s=190e9),
        measured(),
        measured("end", fma_flop_per_s=150e9, gemm_flop_per_s=176e9),
    ]
    drift = arithmetic_drift(fell, "float32", 2)
    assert drift is not None
    assert (drift.earlier, drift.later, drift.change) == (200e9, 176e9, pytest.approx(-0.12))
    rose = arithmetic_drift([measured(fma_flop_per_s=100e9, gemm_flop_per_s=None), measured("end")], "float32", 2)
    assert rose is not None
    assert rose.change == pytest.approx(1.0)


def test_what_was_measured_once_has_no_drift() -> None:
    assert arithmetic_drift([measured()], "float32", 2) is None
    assert memory_drift([measured(), measured("end", bandwidths=())], "float32", 2) is None
    assert arithmetic_drift([measured(), measured(dtype="float64")], "float32", 2) is None
