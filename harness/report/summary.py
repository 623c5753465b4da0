"""The tidy table: one row a cell, one value a column, empty where nothing was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from harness.noise import twin_ratio
from harness.report.accuracy import accuracy_of
from harness.report.cases import Case, is_timed, time_of
from harness.report.noise_words import disturbed_blocks, outlier_number
from harness.report.verdict import CaseVerdict, ratio_between
from harness.report.wording import repeat_line
from harness.thread_note import thread_note
from harness.units import gflop_per_s

if TYPE_CHECKING:
    from harness.records import Cell, Start
    from harness.report.findings import Findings
    from harness.stats import Interval

COLUMNS = (
    *("problem", "label", "backend", "device", "dtype", "threads", "status"),
    *("median_s", "ci_low_s", "ci_high_s", "samples", "prepare_s", "first_call_s", "gflops", "peak_fraction"),
    *("workspace_bytes", "error", "error_bound", "effective_bits", "reason"),
)
"""The first columns of summary.csv, in an order that readers outside this package rely on."""

MORE_COLUMNS = (
    *("suite", "group", "axis", "axis_value", "data", "count", "algorithm", "stop", "threads_seen", "calls_per_block"),
    *("ratio_to_best", "ratio_low", "ratio_high", "speedup_over_naive"),
    *("operand_bits", "closest_probe", "failed_probes", "spent_s"),
    *("threads_note", "retained_bytes", "predicted_bytes"),
    *("cache", "visits", "disturbed_blocks", "outliers", "twin_ratio", "twin_ratio_low", "twin_ratio_high"),
    *("import_s", "cold_import_s", "cold_prepare_s", "cold_first_call_s"),
    *("warm_import_s", "warm_prepare_s", "warm_first_call_s", "repeat"),
)

BASELINE = "naive"
_NS_PER_S = 1e9

Value = str | int | float | None


def summary_frame(findings: Findings) -> pd.DataFrame:
    """Every cell as a row of `COLUMNS` and `MORE_COLUMNS`; None where nothing was measured."""
    rows = [
        _row(findings, verdict, cell) for verdict in findings.verdicts.values() for cell in verdict.case.cells.values()
    ]
    return pd.DataFrame(rows, columns=[*COLUMNS, *MORE_COLUMNS], dtype=object)


def summary_csv(findings: Findings) -> str:
    """summary.csv as text."""
    return str(summary_frame(findings).to_csv(index=False, lineterminator="\n"))


def speedup_over(case: Case, backend: str, baseline: str = BASELINE) -> Interval | None:
    """How many times faster a backend is than the baseline; None where either was not timed."""
    if backend not in case.timed or baseline not in case.timed:
        return None
    return ratio_between(case.timed[baseline], case.timed[backend])


def _row(findings: Findings, verdict: CaseVerdict, cell: Cell) -> dict[str, Value]:
    is_comparable = is_timed(cell)
    accuracy = accuracy_of(cell)
    return {
        "problem": cell.key.problem,
        "label": cell.label or None,
        "backend": cell.key.backend,
        "device": cell.device,
        "dtype": cell.dtype,
        "threads": cell.threads_asked,
        "status": cell.status.value,
        **(_timing(verdict.case, cell) if is_comparable else {}),
        "peak_fraction": _short(findings.peak_fraction(verdict.case, cell)),
        "workspace_bytes": cell.workspace_bytes,
        "error": _short(accuracy.error),
        "error_bound": _short(accuracy.error_bound),
        "effective_bits": _short(accuracy.effective_bits),
        "reason": cell.reason,
        "suite": cell.suite or None,
        "group": cell.group or None,
        "axis": cell.axis,
        "axis_value": _short(cell.axis_value),
        "data": cell.key.data,
        "count": cell.count,
        "algorithm": cell.algorithm,
        "threads_seen": _short(cell.threads_seen),
        **(_comparison(verdict, cell) if is_comparable else {}),
        "operand_bits": _short(accuracy.operand_bits),
        "closest_probe": accuracy.probe,
        "failed_probes": _failed_probes(cell),
        "spent_s": _seconds(cell.spent_ns),
        "threads_note": thread_note(cell),
        "retained_bytes": cell.retained_bytes,
        "predicted_bytes": cell.predicted_bytes,
        **(_noise(findings, cell) if is_comparable else {}),
        "import_s": _seconds(cell.import_ns),
        **(_start("cold", cell.cold_start) if is_comparable else {}),
        **(_start("warm", cell.warm_start) if is_comparable else {}),
        "repeat": repeat_line(findings.header, cell),
    }


def _failed_probes(cell: Cell) -> str | None:
    names = [outcome.name for outcome in cell.check.outcomes if not outcome.passed] if cell.check else []
    return ", ".join(names) or None


def _timing(case: Case, cell: Cell) -> dict[str, Value]:
    time = time_of(cell)
    if time is None:
        return {}
    return {
        "median_s": _seconds(time.estimate),
        "ci_low_s": _seconds(time.low),
        "ci_high_s": _seconds(time.high),
        "samples": len(cell.samples_ns),
        "prepare_s": _seconds(cell.prepare_ns),
        "first_call_s": _seconds(cell.first_call_ns),
        "gflops": _short(gflop_per_s(case.problem.flops, time.estimate)),
        "stop": cell.stop.value if cell.stop is not None else None,
        "calls_per_block": cell.calls_per_block,
    }


def _comparison(verdict: CaseVerdict, cell: Cell) -> dict[str, Value]:
    ratio = verdict.by_backend[cell.key.backend].ratio
    speedup = speedup_over(verdict.case, cell.key.backend)
    return {
        "ratio_to_best": _short(ratio.estimate),
        "ratio_low": _short(ratio.low),
        "ratio_high": _short(ratio.high),
        "speedup_over_naive": _short(speedup.estimate) if speedup is not None else None,
    }


def _noise(findings: Findings, cell: Cell) -> dict[str, Value]:
    twin = twin_ratio(cell)
    return {
        "cache": findings.header.cache.value,
        "visits": len(cell.visits) or None,
        "disturbed_blocks": disturbed_blocks(cell),
        "outliers": outlier_number(cell),
        **(
            {}
            if twin is None
            else {
                "twin_ratio": _short(twin.estimate),
                "twin_ratio_low": _short(twin.low),
                "twin_ratio_high": _short(twin.high),
            }
        ),
    }


def _start(kind: str, start: Start | None) -> dict[str, Value]:
    if start is None:
        return {}
    return {
        f"{kind}_import_s": _seconds(start.import_ns),
        f"{kind}_prepare_s": _seconds(start.prepare_ns),
        f"{kind}_first_call_s": _seconds(start.first_call_ns),
    }


def _seconds(ns: float | None) -> float | None:
    return None if ns is None else _short(ns / _NS_PER_S)


def _short(value: float | None) -> float | None:
    """The value at nine significant digits: more than any clock resolves, and no 0.30000000000000004."""
    return None if value is None else float(f"{value:.9g}")
