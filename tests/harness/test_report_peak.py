"""What a report says of the machine's ceilings, and that a run without them has one line for that and no column."""

from __future__ import annotations

import csv
import html
import io
import json
from pathlib import Path

import pytest

from backends.problem import ConvProblem
from harness import journal, store
from harness.records import Bandwidth, CacheState, Ceilings, Cell, RunHeader, Status
from harness.report import ReportPaths, write_report
from harness.report.findings import Findings, find
from harness.report.lines import LineKind
from harness.report.numbers import number_table
from harness.report.peak import ceiling_tables
from harness.report.plots import draw_plots
from harness.report.sentences import verdict_lines
from harness.report.summary import summary_csv
from tests.harness.test_report_runs import cell, example_run, header
from tests.harness.test_roofline import measured

DEEP = ConvProblem(C_in=256, C_out=256, spatial=(14, 14), kernel=3, padding=1)


def found(*cells: Cell, ceilings: tuple[Ceilings, ...] = (measured(),), **changes: object) -> Findings:
    return find(header(cells_planned=len(cells), ceilings=ceilings, **changes), cells)


def fractions(findings: Findings) -> list[str]:
    return [row["peak_fraction"] for row in csv.DictReader(io.StringIO(summary_csv(findings)))]


def peak_texts(findings: Findings) -> list[str]:
    return [line.text for line in verdict_lines(findings) if line.kind is LineKind.PEAK]


def at(share: float, backend: str = "numba", **changes: object) -> Cell:
    """A cell at so much of the arithmetic peak of `measured`."""
    return cell(backend, problem=DEEP, samples_ns=[DEEP.flops / (share * 200)] * 10, **changes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ReportPaths]:
    run_header, cells = example_run()
    values = {name: getattr(run_header, name) for name in run_header.__dataclass_fields__}
    ceilings = (measured(), measured("end", fma_flop_per_s=176e9, gemm_flop_per_s=170e9))
    return {
        "with": write_report(tmp_path_factory.mktemp("with"), RunHeader(**values | {"ceilings": ceilings}), cells),
        "without": write_report(tmp_path_factory.mktemp("without"), RunHeader(**values | {"ceilings": ()}), cells),
    }


def test_fraction_of_peak_is_the_rate_over_the_roofline() -> None:
    (share,) = fractions(found(at(0.43)))
    assert float(share) == pytest.approx(0.43)


def test_fraction_of_peak_is_empty_where_it_is_not_known() -> None:
    assert fractions(found(at(0.4), ceilings=())) == [""]
    assert fractions(found(at(0.4), ceilings=(measured(dtype="float64"),))) == [""]
    assert fractions(found(at(0.4), ceilings=(measured(threads=1),))) == [""]
    assert fractions(found(at(0.4, device="cuda:0"))) == [""]
    assert fractions(found(at(0.4, status=Status.WRONG))) == [""]


def test_a_run_with_cold_caches_is_held_against_memory() -> None:
    small = ConvProblem(C_in=1, C_out=1, spatial=(1000,), kernel=1)
    hot, cold = (
        float(fractions(found(cell(problem=small), cache=cache))[0]) for cache in (CacheState.HOT, CacheState.COLD)
    )
    assert cold == pytest.approx(hot * 600 / 30)


def test_every_row_of_the_number_table_has_a_value_under_each_heading() -> None:
    run_header, cells = example_run()
    for ceilings in ((), (measured(),)):
        values = {name: getattr(run_header, name) for name in run_header.__dataclass_fields__} | {"ceilings": ceilings}
        table = number_table(find(RunHeader(**values), cells))
        assert ("of peak" in table.headings) == bool(ceilings)
        assert {len(row.columns) for row in table.rows} == {len(table.headings)}


def test_fraction_stands_under_its_own_heading() -> None:
    table = number_table(found(at(0.43)))
    (row,) = table.rows
    assert row.columns[table.headings.index("of peak")] == ("43 %", pytest.approx(0.43))


def test_a_fall_of_the_peak_is_told_with_what_it_spoils() -> None:
    fell = (measured(), measured("end", fma_flop_per_s=176e9, gemm_flop_per_s=170e9))
    (text,) = [text for text in peak_texts(found(at(0.4), ceilings=fell)) if "during the run" in text]
    assert "The machine's peak fell by 12 % during the run (float32, 2 threads: 200 to 176 GFLOP/s)" in text
    assert text.endswith("absolute figures do not compare across the run; ratios do.")


def test_a_steady_peak_is_told_as_such() -> None:
    steady = (measured(), measured("end", fma_flop_per_s=198e9))
    (_, text) = peak_texts(found(at(0.4), ceilings=steady))
    assert text == "The machine's peak was the same at every time within 1 % (float32, 2 threads)."


def test_a_run_whose_ceilings_were_measured_once_has_no_word_of_drift() -> None:
    assert len(peak_texts(found(at(0.4)))) == 1


def test_a_fall_of_the_bandwidth_of_memory_is_told_on_its_own() -> None:
    slow = tuple(
        Bandwidth(working_set_bytes=level.working_set_bytes, bytes_per_s=level.bytes_per_s / 2)
        for level in measured().bandwidths
    )
    texts = peak_texts(found(at(0.4), ceilings=(measured(), measured("end", bandwidths=slow))))
    assert any("The bandwidth of memory fell by 50 % during the run" in text for text in texts)


def test_methods_that_save_operations_may_exceed_the_roofline_and_direct_ones_make_it_doubtful() -> None:
    (text,) = peak_texts(found(at(2.0, "fft")))
    assert text.endswith("exceeds it in 1 of 1, as only methods that save operations can (fft).")
    assert any("which cannot be" in text for text in peak_texts(found(at(1.2, "numba"))))


def test_how_near_the_fastest_come_is_told_of_winners_only() -> None:
    texts = peak_texts(found(at(0.8, "torch"), at(0.2, "numba")))
    assert texts == ["The fastest backend reaches 80 % of this machine's roofline in the median case."]


def test_ceilings_of_a_resumed_run_are_told_apart_by_session() -> None:
    (table,) = ceiling_tables((measured(), measured(), measured("end")))
    assert table.headings == ("start of session 1", "start of session 2", "end of session 2", "change")
    assert {row.name for row in table.rows} >= {"multiply-adds in registers", "streaming 128 MiB"}


def test_a_ceiling_that_was_not_measured_has_no_row() -> None:
    (table,) = ceiling_tables((measured(fma_flop_per_s=None, bandwidths=()),))
    assert [row.name for row in table.rows] == ["best matrix product (NumPy)"]


def test_report_shows_ceilings_their_drift_and_the_roofline(runs: dict[str, ReportPaths]) -> None:
    page, text = runs["with"].html.read_text(), runs["with"].markdown.read_text()
    assert '<section id="ceilings">' in page
    assert '<li><a href="#ceilings">' in page
    assert "176 GFLOP/s" in page
    assert "## Ceilings of the machine" in text
    assert "| multiply-adds in registers | 200 GFLOP/s | 176 GFLOP/s | -12.0 % |" in text
    assert "(plots/roofline-float32-2-threads.svg)" in text
    assert "fell by 12 %" in page
    assert "fell by 12 %" in text
    assert {path.name for path in runs["with"].plots} - {path.name for path in runs["without"].plots} == {
        "roofline-float32-2-threads.svg",
        "roofline-float32-2-threads.png",
    }


def test_report_of_a_run_without_ceilings_only_says_that_they_are_missing(runs: dict[str, ReportPaths]) -> None:
    reason = "the machine's ceilings were not measured"
    for path in (runs["without"].html, runs["without"].markdown):
        text = html.unescape(path.read_text()).lower()
        assert text.count(reason) == 1
        rest = text.replace(reason, "").replace("fraction of peak", "")
        assert not any(word in rest for word in ("ceiling", "roofline", "of peak"))


def test_the_roofline_plot_says_its_ceilings_to_those_who_cannot_see_it() -> None:
    (plot,) = draw_plots(found(at(0.5), cell("torch", samples_ns=[1e5] * 10))).roofs
    assert "At most 200 GFLOP/s" in plot.alt
    assert "memory 30 GB/s" in plot.alt


def test_ceilings_survive_a_run_file(tmp_path: Path) -> None:
    written = header(ceilings=(measured(),))
    store.create(tmp_path / "run", written)
    with journal.Journal(tmp_path / "run") as cells:
        cells.append(cell())
    assert json.loads((tmp_path / "run" / "run.json").read_text())["ceilings"][0]["threads"] == 2
    assert store.load(tmp_path / "run").header.ceilings == written.ceilings
