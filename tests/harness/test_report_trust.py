"""What a report says of its own run: noise, starts, memory, and a reason for whatever was not measured."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import noise
from harness.records import CacheState, Cell, RunHeader, Start, Status
from harness.report import write_report
from harness.report.findings import find
from harness.report.gaps import gaps
from harness.report.lifecycle import Lifecycle, calls_to_pay_off, cheapest, lifecycle_from, lifecycle_of
from harness.report.lifecycle_tables import cheapest_counts, cheapest_rows
from harness.report.lines import LineKind
from harness.report.noise_words import disturbed_blocks, noise_note, outlier_number
from harness.report.sentences import verdict_lines
from harness.report.start_tables import start_tables
from harness.report.summary import COLUMNS, MORE_COLUMNS, summary_csv
from harness.report.trust import spent_rows, trust_rows
from tests.harness.test_report_runs import cell, example_run, header

README = Path(__file__).parents[2] / "results" / "README.md"
BUSY = {"samples_ns": (1e6,) * 10, "cores": (2.0,) * 10, "preemptions": (0,) * 7 + (900,) * 3}
COSTS = st.builds(
    Lifecycle,
    import_ns=st.integers(0, 10**9),
    prepare_ns=st.integers(0, 10**9),
    first_call_ns=st.integers(0, 10**9),
    steady_ns=st.integers(1, 10**6),
)


def rows(cells: Sequence[Cell], run: RunHeader | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(summary_csv(find(run or header(), cells)))))


def facts(cells: Sequence[Cell], **changes: object) -> dict[str, str]:
    return {row.name: row.value for row in trust_rows(find(header(**changes), cells))}


def twin(ratio: float, **changes: object) -> Cell:
    one = cell(**changes)
    samples = tuple(ns / ratio for ns in one.samples_ns)
    return dataclasses.replace(one, twin_ns=samples, twin_rounds=one.rounds)


def start(import_ns: int = 50, prepare_ns: int = 30, first_call_ns: int = 20) -> Start:
    return Start(import_ns=import_ns, prepare_ns=prepare_ns, first_call_ns=first_call_ns)


def test_every_column_of_the_summary_is_explained_beside_the_results() -> None:
    table = README.read_text().split("## Columns of summary.csv")[1].split("\n## ")[0]
    named = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    }
    assert named == {*COLUMNS, *MORE_COLUMNS}


def test_disturbed_blocks_and_outliers_are_counted_for_the_row_and_for_the_run() -> None:
    samples = (1e6, 1.01e6, 0.99e6, 1e6, 1.02e6, 0.98e6, 1e6, 1.01e6, 0.99e6, 9e6)
    busy = cell(**(BUSY | {"samples_ns": samples}))
    assert (disturbed_blocks(busy), outlier_number(busy)) == (3, 1)
    assert noise_note(busy) == "3 of 10 blocks disturbed; 1 severe outlier"
    assert facts([busy])["disturbed blocks"] == (
        "3 of 10 blocks were disturbed: 3 shared their cores with another process"
    )
    assert facts([busy])["outliers"] == "of 10 samples, mild: 0 low and 0 high; severe: 0 low and 1 high"
    assert noise_note(cell(cores=(2.0,) * 10)) == "quiet"


def test_noise_that_was_not_recorded_is_not_called_quiet() -> None:
    old = cell(samples_ns=(1e6,) * 3)
    assert (disturbed_blocks(old), outlier_number(old)) == (None, None)
    assert noise_note(old) == "–"
    assert facts([old])["disturbed blocks"] == "not recorded"
    (row,) = rows([old])
    assert row["disturbed_blocks"] == row["outliers"] == row["visits"] == row["twin_ratio"] == ""
    (row,) = rows([cell(cores=(2.0,) * 10)])
    assert row["disturbed_blocks"] == row["outliers"] == "0"


def test_pairs_that_would_have_passed_for_differences_are_counted() -> None:
    cells = [twin(1.0), twin(1.03, backend="torch")]
    found = facts(cells)
    assert found["A/A pairs"].startswith("2")
    assert found["false alarms"] == "1 of 2 A/A pairs"
    assert "none" in facts([cell()])["A/A pairs"]
    assert {row["backend"]: float(row["twin_ratio"]) for row in rows(cells)} == {"numba": 1.0, "torch": 1.03}


def test_visits_cores_and_caches_are_told() -> None:
    found = facts([cell(visits=(0, 9, 20))], cores=(0, 2), cache=CacheState.COLD)
    assert found["visits"] == "1 of 1 case was visited again, up to 3 times in all"
    assert found["cores"] == "bound to cores 0 and 2"
    assert found["caches"] == "cold"
    assert facts([cell()])["cores"] == "left to the system"


def test_where_the_time_went_adds_up_to_the_whole() -> None:
    spent = spent_rows(header(spent_s={"time": 60.0, "check": 30.0, "total": 100.0}))
    assert [(row.name, row.seconds, row.share) for row in spent] == [
        ("timing", "60 s", "60 %"),
        ("checking results", "30 s", "30 %"),
        ("everything else", "10 s", "10 %"),
        ("in all", "100 s", "100 %"),
    ]
    assert spent_rows(header()) == ()


@given(st.dictionaries(st.sampled_from("abcdef"), COSTS, min_size=1), st.integers(1, 10**6), st.floats(0, 0.2))
def test_nobody_costs_less_than_the_cheapest(lives: dict[str, Lifecycle], calls: int, margin: float) -> None:
    best, *others = cheapest(lives, calls, margin)
    least = min(life.total_ns(calls) for life in lives.values())
    assert lives[best].total_ns(calls) == least
    assert all(lives[name].total_ns(calls) <= (1 + margin) * least for name in others)
    assert all(lives[name].total_ns(calls) > (1 + margin) * least for name in lives.keys() - {best, *others})


@given(COSTS, COSTS, st.integers(0, 1000))
def test_from_its_break_even_on_a_backend_is_cheapest(ours: Lifecycle, rival: Lifecycle, later: int) -> None:
    calls = calls_to_pay_off(ours, rival)
    lives = {"ours": ours, "rival": rival}
    if calls is None:
        assert rival.steady_ns <= ours.steady_ns
        return
    assert "ours" in cheapest(lives, calls + later)
    assert calls == 1 or cheapest(lives, calls - 1)[0] == "rival"


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_a_start_costs_what_its_process_had_to_load_more(import_ns: int, calls: int) -> None:
    one = cell(prepare_ns=30, first_call_ns=20)
    in_run, fresh = lifecycle_of(one), lifecycle_from(start(import_ns), one)
    assert in_run is not None
    assert fresh is not None
    assert fresh.total_ns(calls) == pytest.approx(in_run.total_ns(calls) + import_ns)


def test_no_start_is_made_of_a_cell_that_is_not_right() -> None:
    assert lifecycle_from(start(), cell(status=Status.WRONG)) is None
    assert lifecycle_from(None, cell()) is None


def test_starts_are_shown_with_their_parts_and_missing_ones_with_a_reason() -> None:
    quick, slow = tuple(1e6 + n for n in range(12)), tuple(3e6 + n for n in range(12))
    cells = [
        cell("numba", samples_ns=quick, cold_start=start(10**8, 10**9, 10**6), warm_start=start(10**8, 10**7, 10**6)),
        cell("fft", samples_ns=slow, cold_start=start(10**7, 10**6, 3 * 10**6)),
        cell("torch", samples_ns=slow),
        cell("naive", samples_ns=(), status=Status.TIMEOUT),
    ]
    found = find(header(), cells)
    tables = start_tables(found)
    assert tables is not None
    shown = {row.backend: row for row in tables.rows}
    assert shown["numba"].values[:4] == ("1.10 s", "100 ms", "1.00 s", "1.00 ms")
    assert shown["fft"].note == "the second fresh process failed"
    assert "did not suffice" in shown["torch"].note
    assert shown["naive"].note == "not timed on this case: timeout"
    (cold,) = tables.matrices
    calls = {row.backend: row.calls for row in cold.rows}
    # (1101 - 14) ms more at the start, 2 ms less a call.
    place = cold.backends.index("fft")
    assert calls["numba"][place] == "545"
    assert calls["fft"][cold.backends.index("numba")] == "never"
    assert [gap.where for gap in gaps(found) if gap.what == "cold and warm start"] == ["naive and torch"]


def test_a_gain_that_was_not_seen_pays_nothing_off() -> None:
    samples = tuple(1e6 + 1e3 * (n % 3) for n in range(12))
    cells = [cell(name, samples_ns=samples, cold_start=start()) for name in ("numba", "torch")]
    tables = start_tables(find(header(), cells))
    assert tables is not None
    assert {text for row in tables.matrices[0].rows for text in row.calls} == {"–", "≈ tie"}


def test_who_is_cheapest_changes_with_the_number_of_calls() -> None:
    cells = [
        cell("numba", samples_ns=(1e6,) * 8, prepare_ns=10**9, first_call_ns=10**6),
        cell("fft", samples_ns=(4e6,) * 8, prepare_ns=10**6, first_call_ns=4 * 10**6),
    ]
    found = find(header(), cells)
    (row,) = cheapest_rows(found.groups[0], found.noise_floor)
    assert row.leaders == (("fft",), ("fft",), ("fft",), ("numba",), ("numba",))
    assert {item.backend: item.cases for item in cheapest_counts([row], found.backends)} == {
        "fft": (1, 1, 1, 0, 0),
        "numba": (0, 0, 0, 1, 1),
    }


def test_the_largest_workspace_of_each_backend_is_told() -> None:
    cells = [cell("im2col", workspace_bytes=size, group=str(size)) for size in (1 << 20, 3 << 20)]
    cells.append(cell("numba", workspace_bytes=0))
    lines = [line.text for line in verdict_lines(find(header(), cells)) if line.kind is LineKind.MEMORY]
    assert len(lines) == 1
    assert "im2col 3 MiB" in lines[0]
    assert "none for numba" in lines[0]
    assert str(3 << 20) in lines[0]


def test_whatever_a_timed_cell_lacks_has_its_reason() -> None:
    found = gaps(find(header(), [cell()]))
    assert {gap.what for gap in found} == {"cold and warm start", "workspace", "fraction of peak"}
    assert all(gap.reason for gap in found)
    whole = {gap.what for gap in gaps(find(*example_run()))}
    assert whole == {"workspace"}


def test_the_pages_show_how_far_to_trust_the_run(tmp_path: Path) -> None:
    run, cells = example_run()
    written = write_report(tmp_path, run, cells)
    page, markdown = written.html.read_text(), written.markdown.read_text()
    for text in (page, markdown):
        assert "How far to trust this run" in text
        assert "false alarms" in text
        assert "computing references" in text
        assert "cold start" in text
        assert "spatial 2-D: spatial 16" in text
    assert tmp_path / "plots" / "twins.svg" in written.plots
    assert noise.noise_floor(cells) is not None


def test_a_run_of_an_older_program_says_what_it_did_not_measure(tmp_path: Path) -> None:
    page = write_report(tmp_path, header(), [cell(), cell("torch")]).html.read_text()
    assert "not recorded" in page
    assert "starts were not measured" in page
    assert not (tmp_path / "plots" / "twins.svg").exists()
