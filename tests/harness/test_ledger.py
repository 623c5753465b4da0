from __future__ import annotations

import itertools

import pytest

from harness.ledger import Ledger, own_cost


def test_what_a_body_takes_is_booked_even_where_it_fails() -> None:
    ledger = Ledger(clock=map(float, itertools.count()).__next__)

    with ledger.spending("check"):
        pass
    with pytest.raises(KeyError), ledger.spending("check"):
        raise KeyError
    ledger.add("time", 5.0)

    assert ledger.spent_s == {"check": 2.0, "time": 5.0}


def test_the_own_cost_is_all_that_was_not_measuring() -> None:
    assert own_cost({"total": 100.0, "time": 60.0, "check": 20.0, "prepare": 10.0, "open": 10.0}) == pytest.approx(0.1)


def test_without_a_total_nothing_is_said() -> None:
    assert own_cost({"time": 5.0}) is None
