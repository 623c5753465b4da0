"""Whole timed runs on a machine that is only a clock: budgets, rounds, visits and twins without waiting for anything."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from simulated import Machine, Model

from backends import ConvProblem
from harness import messages, runner
from harness.cases import Case
from harness.events import RunEnded
from harness.plan import RunSettings, place_of
from harness.records import CacheState, Cell, Status, StopReason
from harness.stats import median, paired_ratio


def by_macs(ns_per_mac: float, fixed_s: float = 1e-5) -> Model:
    return Model(call_s=lambda problem: fixed_s + problem.macs_nominal * ns_per_mac * 1e-9)


def cases_of(*descriptors: str) -> list[Case]:
    return [Case(problem=ConvProblem.parse(text), suite="test", group="g") for text in descriptors]


LAYERS = cases_of(*(f"ic{c}ih{h}oc{c}kh{k}" for c in (8, 16, 32, 64) for h in (14, 28, 56) for k in (1, 3, 5)))


def run(machine: Machine, cases: list[Case] = LAYERS, **settings: object) -> tuple[list[Cell], RunEnded]:
    """Every cell that came, replaced ones too, and the account."""
    asked = RunSettings(backends=tuple(machine.models), threads=1, seed=0, **settings)  # type: ignore[arg-type]
    events = list(runner.run(cases, asked, clock=machine.clock, start_worker=machine.start_worker))
    (ended,) = [event for event in events if isinstance(event, RunEnded)]
    return [event for event in events if isinstance(event, Cell)], ended


def last_of(cells: list[Cell]) -> list[Cell]:
    return list({place_of(cell): cell for cell in cells}.values())


def jitter(spread: float) -> object:
    return lambda chance, _: math.exp(chance.gauss(0, spread))


@pytest.mark.parametrize("budget_s", [20.0, 60.0, 300.0])
@pytest.mark.parametrize("spread", [0.002, 0.05])
def test_a_budget_is_kept_within_a_tenth(budget_s: float, spread: float) -> None:
    models = {"slow": by_macs(200), "medium": by_macs(2), "quick": by_macs(0.1), "even": by_macs(0.1)}
    for model in models.values():
        model.noise = jitter(spread)  # type: ignore[assignment]
    machine = Machine(models)

    cells, ended = run(machine, budget_s=budget_s)

    assert ended.spent_s["total"] <= 1.1 * budget_s
    assert len(last_of(cells)) == 4 * len(LAYERS)
    assert Counter(cell.status for cell in last_of(cells))[Status.SKIPPED] < len(LAYERS), (
        "only the slow one is hopeless"
    )


def test_time_that_is_left_goes_to_what_is_undecided() -> None:
    noisy = jitter(0.05)
    even, far = by_macs(0.100), by_macs(0.101)
    even.noise = far.noise = noisy  # type: ignore[assignment]
    machine = Machine({"even": even, "nearly": far, "hopeless": by_macs(3)})

    short, _ = run(machine, LAYERS[:6], budget_s=15.0)
    long, ended = run(machine, LAYERS[:6], budget_s=120.0)

    samples_then = median(len(cell.samples_ns) for cell in last_of(short) if cell.key.backend == "even")
    samples_now = median(len(cell.samples_ns) for cell in last_of(long) if cell.key.backend == "even")
    assert samples_now > samples_then
    assert ended.spent_s["total"] <= 1.1 * 120
    assert max(len(cell.visits) for cell in long) > 1


def test_a_later_visit_goes_on_where_the_first_ended() -> None:
    even, nearly = by_macs(0.1), by_macs(0.1)
    even.noise = nearly.noise = jitter(0.08)  # type: ignore[assignment]

    cells, _ = run(Machine({"even": even, "nearly": nearly}), LAYERS[:2], budget_s=60.0)

    again = [cell for cell in last_of(cells) if len(cell.visits) > 1]
    assert again
    for cell in again:
        assert list(cell.rounds) == sorted(set(cell.rounds)), "a round has one sample of a backend"
        assert set(cell.visits) <= set(cell.rounds)
        first = next(one for one in cells if place_of(one) == place_of(cell))
        assert cell.samples_ns[: len(first.samples_ns)] == first.samples_ns, "nothing is dropped"
        assert cell.prepare_ns == first.prepare_ns


def test_without_a_budget_a_run_ends_by_itself() -> None:
    noisy = by_macs(0.1)
    noisy.noise = jitter(0.3)  # type: ignore[assignment]

    cells, _ = run(Machine({"noisy": noisy, "quiet": by_macs(0.1)}), LAYERS[:3])

    assert {cell.stop for cell in last_of(cells)} <= {
        StopReason.PRECISE,
        StopReason.STABLE_NOISE,
        StopReason.MAX_SAMPLES,
        StopReason.DECIDED,
        StopReason.BUDGET,
    }


def test_quiet_backends_need_few_samples_and_one_visit() -> None:
    cells, _ = run(Machine({"a": by_macs(0.1), "b": by_macs(0.2)}), LAYERS[:5], budget_s=100.0)

    assert all(len(cell.visits) == 1 for cell in cells)
    assert all(cell.stop is StopReason.PRECISE for cell in cells)


def test_drift_of_the_machine_cancels_in_the_ratio() -> None:
    models = {"a": by_macs(0.10), "b": by_macs(0.11)}
    for model in models.values():
        # The machine gets half as fast within a minute, and back.
        model.noise = lambda chance, now: (1 + 0.5 * math.sin(now / 10) ** 2) * math.exp(chance.gauss(0, 0.002))

    cells, _ = run(Machine(models), cases_of("ic64ih56oc64kh3"), budget_s=30.0)

    a, b = (dict(zip(cell.rounds, cell.samples_ns, strict=True)) for cell in last_of(cells))
    ratio = paired_ratio(b, a)
    assert ratio is not None
    assert ratio.estimate == pytest.approx(1.1, rel=0.02)


def test_every_round_has_its_own_order() -> None:
    machine = Machine({"a": by_macs(0.1), "b": by_macs(0.1)})
    for model in machine.models.values():
        model.noise = jitter(0.05)  # type: ignore[assignment]

    run(machine, LAYERS[:1], budget_s=10.0)

    blocks = [backend for backend, request in machine.asked if isinstance(request, messages.TimeBlock)]
    assert blocks != ["a", "b"] * (len(blocks) // 2)
    assert blocks != ["b", "a"] * (len(blocks) // 2)


def test_a_twin_is_timed_in_the_rounds_of_its_original_and_differs_by_noise_alone() -> None:
    models = {"a": by_macs(0.1), "b": by_macs(0.12)}
    for model in models.values():
        model.noise = jitter(0.01)  # type: ignore[assignment]

    cells, _ = run(Machine(models), budget_s=100.0)

    doubled = [cell for cell in last_of(cells) if cell.twin_ns]
    assert len(doubled) >= 25, "so many bound the noise with 95 % confidence"
    assert {cell.key.backend for cell in doubled} == {"a", "b"}
    for cell in doubled:
        assert len(cell.twin_ns) == len(cell.twin_rounds)
        assert set(cell.twin_rounds) & set(cell.rounds)
        assert median(cell.twin_ns) == pytest.approx(median(cell.samples_ns), rel=0.05)


def test_a_twin_that_dies_costs_the_pair_only() -> None:
    frail = by_macs(0.1)
    frail.noise = jitter(0.05)  # type: ignore[assignment]
    frail.dies_in_block, frail.dies_from_process = 2, 2

    cells, _ = run(Machine({"frail": frail}), LAYERS[:2], budget_s=20.0)

    assert all(cell.status in (Status.OK, Status.NOISY) for cell in cells)
    assert all(cell.samples_ns and not cell.twin_ns for cell in cells)


def test_a_worker_lost_while_timing_costs_its_cell_and_the_next_gets_a_new_one() -> None:
    frail = by_macs(0.1)
    frail.dies_in_block = 3
    frail.noise = jitter(0.01)  # type: ignore[assignment]

    cells, _ = run(Machine({"frail": frail, "sturdy": by_macs(0.1)}), LAYERS[:3], budget_s=60.0)

    by_backend = {
        backend: [cell.status for cell in last_of(cells) if cell.key.backend == backend]
        for backend in ("frail", "sturdy")
    }
    assert set(by_backend["frail"]) == {Status.CRASHED}
    assert set(by_backend["sturdy"]) == {Status.OK}


def test_long_calls_are_not_warmed_and_not_timed_beyond_the_deadline() -> None:
    machine = Machine({"slow": Model(call_s=lambda _: 4.0), "quick": by_macs(0.1)})

    cells, ended = run(machine, LAYERS[:1], budget_s=40.0)

    slow = next(cell for cell in last_of(cells) if cell.key.backend == "slow")
    assert slow.status is Status.OK
    assert slow.calls_per_block == 1
    assert ended.spent_s["total"] <= 44


def test_a_first_call_that_compiled_does_not_decide_the_block() -> None:
    """What took half a second the first time and a microsecond ever after gets blocks of many calls."""
    calls = iter([0.5])
    machine = Machine({"jit": Model(call_s=lambda _: next(calls, 1e-6))})

    (cell, *_), _ = run(machine, LAYERS[:1], budget_s=20.0)

    assert cell.calls_per_block is not None
    assert cell.calls_per_block > 1000
    assert max(cell.samples_ns) < 1e5


def test_every_right_cell_has_a_sample_however_short_its_time_is() -> None:
    calls = iter([0.5])
    machine = Machine({"jit": Model(call_s=lambda _: next(calls, 1e-6)), "quick": by_macs(0.1)})

    cells, _ = run(machine, LAYERS[:1], budget_s=1.05)

    assert [cell.status for cell in last_of(cells)] == [Status.OK, Status.OK]
    assert all(cell.samples_ns for cell in cells)


def test_cold_blocks_have_no_priming_call_and_say_so_to_the_worker() -> None:
    machine = Machine({"a": by_macs(0.1)})

    run(machine, LAYERS[:1], budget_s=10.0, cache=CacheState.COLD)

    blocks = [request for _, request in machine.asked if isinstance(request, messages.TimeBlock)]
    assert blocks
    assert all(request.cache is CacheState.COLD and not request.is_primed for request in blocks)


def test_each_backend_is_started_cold_and_warm_on_one_problem_with_a_cache_of_its_own() -> None:
    machine = Machine({"a": by_macs(0.1), "b": by_macs(1)})

    cells, ended = run(machine, LAYERS[:4], budget_s=100.0)

    started = [cell for cell in last_of(cells) if cell.cold_start is not None]
    assert {cell.key.backend for cell in started} == {"a", "b"}
    assert len({cell.key.problem for cell in started}) == 1
    assert all(cell.warm_start is not None and cell.warm_start.import_ns == 200_000_000 for cell in started)
    caches = [variables["NUMBA_CACHE_DIR"] for variables in machine.started_with if variables]
    assert [caches.count(cache) for cache in dict.fromkeys(caches)] == [2, 2], "the second start finds the first's"
    assert ended.spent_s["start"] > 0.8


def test_starts_that_cost_more_than_their_share_are_left_out_dearest_first() -> None:
    light, heavy = by_macs(0.1), by_macs(0.1)
    heavy.import_s = 20.0

    cells, _ = run(Machine({"heavy": heavy, "light": light}), LAYERS[:2], budget_s=100.0)

    assert {cell.key.backend for cell in cells if cell.cold_start is not None} == {"light"}


def test_the_account_adds_up() -> None:
    _, ended = run(Machine({"a": by_macs(0.1), "b": by_macs(1)}), budget_s=30.0)

    parts = sum(seconds for name, seconds in ended.spent_s.items() if name != "total")
    assert parts == pytest.approx(ended.spent_s["total"], rel=0.01)


def test_the_same_seed_gives_the_same_order_of_everything() -> None:
    def trace() -> list[tuple[str, str]]:
        machine = Machine({"a": by_macs(0.1), "b": by_macs(0.1)})
        for model in machine.models.values():
            model.noise = jitter(0.02)  # type: ignore[assignment]
        run(machine, LAYERS[:4], budget_s=20.0)
        return [(backend, type(request).__name__) for backend, request in machine.asked]

    random.seed(1)
    first = trace()
    random.seed(2)
    assert trace() == first


def test_rounds_of_a_resumed_run_go_on_so_that_no_sample_pairs_with_one_of_the_earlier_part() -> None:
    """The first part was killed after one of a problem's two cells."""
    asked = RunSettings(backends=("a", "b"), threads=1, seed=0, budget_s=20.0)

    def cells_of(finished: list[Cell]) -> list[Cell]:
        machine = Machine({"a": by_macs(0.1), "b": by_macs(0.1)})
        events = runner.run(
            LAYERS[:1], asked, finished=finished, clock=machine.clock, start_worker=machine.start_worker
        )
        return last_of([event for event in events if isinstance(event, Cell)])

    first = next(cell for cell in cells_of([]) if cell.key.backend == "a")
    (second,) = cells_of([first])

    assert second.key.backend == "b"
    assert min(second.rounds) > max(first.rounds)
