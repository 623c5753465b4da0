"""What a report says about correctness: promises kept and broken, failures explained, and nothing where nothing is."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from backends.problem import ConvProblem
from harness.probes import PROMISES
from harness.records import Cell, Excerpt, Explanation, Status
from harness.report import ReportPaths, terminal_tables, write_report
from harness.report.accuracy import accuracy_of, looks_narrower
from harness.report.checked_tables import correctness_tables, reason_rows
from harness.report.correctness import ERROR_PROBES, KEPT_PROBES
from harness.report.failures import failure_cards
from harness.report.findings import Findings, find
from harness.report.gist import gists
from harness.report.grids import excerpt_grids
from harness.report.lines import LineKind
from harness.report.problem_words import geometry_words
from harness.report.sentences import verdict_lines
from tests.harness.test_report import NASTY, read
from tests.harness.test_report_runs import cell, check_header, checked_cell, probed

TINY = ConvProblem(C_in=1, C_out=1, spatial=(2, 3), kernel=(1, 2))
NORMAL = probed("normal", error=3.0, error_bound=5.0, effective_bits=22.5, operand_bits=22.0)
EVERY_KEPT = tuple(probed(name) for name in KEPT_PROBES)
NARROW = probed(
    "normal", passed=False, error=900.0, error_bound=5.0, effective_bits=11.5, operand_bits=10.8, detail="labelled"
)


def problem(width: int, **changes: object) -> ConvProblem:
    return ConvProblem(**({"C_in": 2, "C_out": 2, "spatial": (width,), "kernel": 3} | changes))


def explained(**changes: object) -> Explanation:
    values = {
        "probe": "exact",
        "problem": str(TINY),
        "detail": "1 of 4 outputs checked differ",
        "diagnosis": ("the wrong output is the last",),
        "diagnosed": str(TINY),
        "tries": 12,
        "is_minimal": True,
        "excerpt": Excerpt(
            x=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
            weight=(1.0, -2.0),
            bias=None,
            expected=(-3.0, -4.0, -6.0, -7.0),
            got=(-3.0, -4.0, -6.0, 17.0),
            wrong=(3,),
        ),
    }
    return Explanation(**(values | changes))


def findings(cells: Sequence[Cell], **changes: object) -> Findings:
    return find(check_header(cells, **changes), cells)


def said(cells: Sequence[Cell], kind: LineKind) -> str:
    return "\n".join(line.text for line in verdict_lines(findings(cells)) if line.kind is kind)


def terminal(cells: Sequence[Cell], width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), no_color=True)
    console.print(terminal_tables(check_header(cells), cells, width=width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def unfolded(text: str) -> str:
    return " ".join(text.split())


def written(folder: Path, cells: Sequence[Cell], **changes: object) -> ReportPaths:
    return write_report(folder, check_header(cells, **changes), cells)


def page_text(paths: ReportPaths) -> str:
    return unfolded("".join(read(paths.html.read_text(encoding="utf-8")).text))


def wrong_cell(backend: str = "numba", *, explanation: Explanation | None = None, **changes: object) -> Cell:
    return checked_cell(backend, probed("exact", passed=False), NORMAL, explanation=explanation, **changes)


# The terminal.


def test_a_promise_has_a_tick_or_a_cross_with_its_problems_and_an_error_its_share_of_the_bound() -> None:
    broken = [probed("repeat", passed=False) if one.name == "repeat" else one for one in EVERY_KEPT]
    cells = [
        checked_cell("numba", NORMAL, *EVERY_KEPT, problem=problem(8)),
        checked_cell("numba", dataclasses.replace(NORMAL, error=4.0), *EVERY_KEPT, problem=problem(9)),
        checked_cell("torch", NORMAL, *broken, problem=problem(8)),
        checked_cell("torch", NORMAL, *broken, problem=problem(9)),
    ]
    rows = {words[0]: words[1:] for line in terminal(cells).splitlines() if (words := line.split())}
    assert rows["right"] == ["2", "0"]
    assert rows["wrong"] == ["0", "2"]
    assert rows["normal"] == ["0.8", "0.6"]
    assert rows["exact"] == ["✓", "✓"]
    assert rows["repeat"] == ["✓", "✗", "2"]
    assert rows["effective"] == ["22.5", "22.5"]


@pytest.mark.parametrize("width", [40, 80, 100])
def test_backends_that_do_not_fit_side_by_side_get_further_tables_and_no_name_is_broken(width: int) -> None:
    names = [*(f"my.module:Kernel{n}" for n in range(9)), "torch[layout=channels_last]", "a", "bb"]
    lines = terminal([checked_cell(name, NORMAL, *EVERY_KEPT) for name in names], width).splitlines()
    assert max(map(len, lines)) <= width
    heads = [line for line in lines if "Kernel" in line and "(" not in line]
    assert [word for line in heads for word in line.split() if "Kernel" in word] == [f"Kernel{n}" for n in range(9)]
    assert any("channels_last" in line and "[" not in line for line in lines)
    assert len(heads) > 1


def test_a_check_without_anything_notable_says_nothing_but_its_table_and_the_verdict() -> None:
    text = terminal([checked_cell("numba", *EVERY_KEPT)])
    assert not {"noted", "left out", "closest", "†", "–"} & set(text.split())
    assert text.rstrip().endswith("numba is right on 1 problem.")


def test_a_note_is_said_once_with_whom_it_concerns_and_the_range_of_its_numbers() -> None:
    cells = [
        checked_cell("fft", probed("nan", note=f"a NaN spread to {share}% of the outputs"), problem=problem(share))
        for share in (30, 7, 12)
    ]
    text = unfolded(terminal(cells))
    assert text.count("a NaN spread") == 1
    assert "fft on 3 problems: a NaN spread to 7–30% of the outputs" in text


def test_what_was_left_out_counts_a_problem_once_whatever_the_backends() -> None:
    cells = [
        checked_cell(name, NORMAL, left_out="nan left out: too large", problem=problem(size))
        for name in ("numba", "torch")
        for size in (8, 9)
    ]
    assert "left out on 2: nan left out: too large" in unfolded(terminal(cells))


def test_the_problem_closest_to_its_bound_is_named_and_none_that_is_wrong() -> None:
    cells = [
        checked_cell("numba", NORMAL, problem=problem(8, label="ordinary")),
        checked_cell("numba", dataclasses.replace(NORMAL, error=4.9), problem=problem(9, label="narrow")),
        checked_cell("torch", probed("exact", passed=False), NORMAL, problem=problem(8, label="broken")),
    ]
    text = unfolded(terminal(cells))
    assert "closest numba: 0.98 (normal) on narrow" in text
    assert "torch: 0.6" not in text


def test_flushed_denormals_are_marked_and_noted_but_are_no_error_near_the_bound() -> None:
    flushed = probed("denormal", error=1e6, error_bound=2.0, note="denormals are flushed")
    one = checked_cell("torch", NORMAL, flushed)
    assert accuracy_of(one).probe == "normal"
    text = unfolded(terminal([one]))
    assert "denormal †" in text
    assert "torch on 1 problem: denormals are flushed" in text
    assert "500000" not in text


# Arithmetic narrower than its label.


def test_arithmetic_narrower_than_its_label_is_flagged_in_page_markdown_and_terminal(tmp_path: Path) -> None:
    exact = probed("exact")
    cells = [
        checked_cell("torch", exact, NARROW, problem=problem(8)),
        checked_cell("torch", exact, NORMAL, problem=problem(9)),
        checked_cell("numba", exact, NORMAL, problem=problem(8)),
    ]
    assert looks_narrower(cells[0])
    paths = written(tmp_path, cells)
    flag = "computes like tf32 or float16 (1 of 2 problems)"
    assert f"torch in float32 {flag}" in unfolded(terminal(cells))
    assert f"✗ {flag}" in page_text(paths)
    assert f"| torch | float32 | 11.5 of 24 | 10.8 | ✗ {flag} |" in paths.markdown.read_text(encoding="utf-8")
    assert "| numba | float32 | 22.5 of 24 | 22.0 | as labelled |" in paths.markdown.read_text(encoding="utf-8")


def test_errors_of_a_mistake_are_not_taken_for_narrow_arithmetic_nor_counted_as_bits() -> None:
    mistaken = checked_cell("torch", probed("exact", passed=False), dataclasses.replace(NARROW, effective_bits=0.3))
    assert not looks_narrower(mistaken)
    right = checked_cell("torch", probed("exact"), NORMAL, problem=problem(9))
    (tally,) = findings([mistaken, right]).correctness.backends
    assert tally.arithmetic[0].effective_bits == 22.5


def test_transforms_may_lose_bits_without_being_called_narrow() -> None:
    lossy = dataclasses.replace(NARROW, operand_bits=17.0)
    assert not looks_narrower(checked_cell("fft", probed("exact"), lossy))
    assert looks_narrower(checked_cell("numba", probed("exact"), lossy))


def test_a_timed_run_says_the_fewest_effective_bits_of_each_dtype() -> None:
    cells = [
        cell("numba", check=checked_cell("numba", NORMAL).check),
        cell("numba", problem=problem(8, dtype="bfloat16"), check=checked_cell("numba", NORMAL).check),
    ]
    run = find(dataclasses.replace(check_header(cells), is_timed=True), cells)
    bits = [line.text for line in verdict_lines(run) if line.kind is LineKind.BITS]
    assert bits == [
        "Fewest effective bits in float32 (of 24): numba 22.5; computed as labelled.",
        "Fewest effective bits in bfloat16 (of 8): numba 22.5; computed as labelled.",
    ]


# The verdict of a check.


def test_the_verdict_of_a_check_says_on_how_many_problems_all_are_right_and_what_became_of_the_others() -> None:
    def column(backend: str, statuses: Sequence[Status]) -> list[Cell]:
        return [
            checked_cell(backend, problem=problem(8 + place), status=status, reason=None)
            for place, status in enumerate(statuses)
        ]

    ok, no, open_, skipped = Status.OK, Status.UNSUPPORTED, Status.MISTRUSTED, Status.SKIPPED
    text = said([*column("a", (ok, ok, no, open_, ok)), *column("b", (ok, ok, no, open_, skipped))], LineKind.RIGHT)
    assert text == (
        "All 2 backends are right on 2 of 5 problems; on 1 more, those that answered are right;"
        " 1 is declined by all; 1 could not be decided."
    )
    assert said(column("a", (ok, ok)), LineKind.RIGHT) == "a is right on 2 problems."
    assert said(column("a", (open_, skipped)), LineKind.RIGHT) == ""


def test_beside_a_wrong_backend_the_verdict_names_those_that_are_right() -> None:
    cells = [wrong_cell("torch"), checked_cell("numba", NORMAL)]
    assert said(cells, LineKind.RIGHT) == "Right on every problem that was decided: numba on 1."
    assert "torch is WRONG on 1 of 1 problem. First" in said(cells, LineKind.WRONG)


def test_a_run_that_only_checked_makes_a_page_without_anything_on_time(tmp_path: Path) -> None:
    cells = [checked_cell("numba", NORMAL, *EVERY_KEPT), checked_cell("torch", NORMAL, *EVERY_KEPT)]
    paths = written(tmp_path, cells)
    for text in (page_text(paths), paths.markdown.read_text(encoding="utf-8")):
        assert "Which convolution is right" in text
        assert "All 2 backends are right on 1 problem." in text
        for about_time in ("How to read this", "Winners", "Results by group", "median", "not timed", "What is wrong"):
            assert about_time not in text
    assert paths.plots == ()
    for name in (*ERROR_PROBES[:1], *KEPT_PROBES):
        assert PROMISES[name] in page_text(paths)


# Failures, explained.


def test_a_card_tells_promise_counts_numbers_diagnosis_and_how_to_repeat_it(tmp_path: Path) -> None:
    cells = [wrong_cell(explanation=explained(), problem=problem(8)), checked_cell("numba", NORMAL, problem=problem(9))]
    paths = written(tmp_path, cells)
    html = paths.html.read_text(encoding="utf-8")
    for text in (page_text(paths), unfolded(paths.markdown.read_text(encoding="utf-8"))):
        assert f"Promised, and broken: {PROMISES['exact']}." in text
        assert "1 of 4 outputs checked differ" in text
        assert "the wrong output is the last" in text
        assert f"check --backend numba --problem {TINY} --probe exact" in text
        assert "torch.nn.functional.conv2d(torch.randn(1, 1, 2, 3), torch.randn(1, 1, 1, 2))" in text
    assert re.findall(r'<td class="off">([^<]*)</td>', html) == ["≠ 17"]
    assert html.index('id="verdict"') < html.index('id="failures"') < html.index('id="correctness"')


def test_a_diagnosis_of_a_larger_problem_names_it(tmp_path: Path) -> None:
    larger = str(problem(50))
    assert f"Told from {larger}" in page_text(written(tmp_path, [wrong_cell(explanation=explained(diagnosed=larger))]))


def test_a_failure_that_was_not_explained_shows_what_is_known(tmp_path: Path) -> None:
    cells = [wrong_cell(problem=problem(size)) for size in (30, 8, 20)]
    (card,) = failure_cards(findings(cells))
    assert card.shown[0].problem == str(problem(8))
    paths = written(tmp_path, cells)
    for text in (page_text(paths), unfolded(paths.markdown.read_text(encoding="utf-8"))):
        assert "exact is broken" in text
        assert f"check --backend numba --problem {problem(8)} --probe exact" in text


def test_a_fault_that_only_timed_calls_showed_is_said_to_be_one(tmp_path: Path) -> None:
    late = cell("numba", samples_ns=(), status=Status.WRONG, reason="a timed call answered y[0]=3", check=None)
    assert late.reason is not None
    paths = write_report(tmp_path, dataclasses.replace(check_header([late]), is_timed=True), [late])
    text = page_text(paths)
    assert "Promised, and broken: what is timed gives what was checked." in text
    assert late.reason in text
    assert "harness run --problem" in text


def test_an_output_without_its_form_breaks_the_promise_of_form_whatever_the_probe() -> None:
    shapeless = checked_cell("numba", probed("exact", passed=False, outputs_checked=0, detail="returned shape (7,)"))
    (card,) = failure_cards(findings([shapeless]))
    assert card.promise.startswith("an output is an array of the problem's shape")
    assert [(broken.probe, broken.failed) for broken in card.broken] == [("form", 1)]


def test_one_fault_is_shown_once_and_another_beside_it() -> None:
    alike = [
        explained(diagnosis=(f"{n} outputs are those of a flipped kernel",), problem=str(problem(n))) for n in (5, 6)
    ]
    other = explained(probe="nan", diagnosis=("a NaN is lost",), problem=str(problem(7)))
    cells = [wrong_cell(explanation=each, problem=problem(20 + n)) for n, each in enumerate((*alike, other))]
    (card,) = failure_cards(findings(cells))
    assert [shown.probe for shown in card.shown] == ["exact", "nan"]
    assert card.shown[0].problem == str(problem(5))


def test_text_of_strangers_in_a_failure_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    fence = f"{NASTY}\n```\n# heading\n```"
    broken = probed("exact", passed=False, detail=fence)
    explanation = explained(detail=fence, diagnosis=(fence,))
    cells = [
        checked_cell(NASTY, broken, probed("nan", note=fence), explanation=explanation, left_out=fence),
        checked_cell("mine:Kernel", broken),
        checked_cell("numba", status=Status.CRASHED, reason=fence),
    ]
    paths = written(tmp_path, cells)
    page = read(paths.html.read_text(encoding="utf-8"))
    assert page.tags.count("script") == 1
    assert NASTY in "".join(page.text)
    markdown = paths.markdown.read_text(encoding="utf-8")
    body = re.sub(r"^```$.*?^```$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    assert "<script>" not in body
    assert "\n# heading" not in body


# Grids.


def test_every_plane_is_captioned_as_numpy_indexes_it_and_points_are_gathered() -> None:
    deep = ConvProblem(C_in=2, C_out=1, spatial=(2, 2, 2), kernel=1, bias=True)
    excerpt = Excerpt(
        x=tuple(map(float, range(16))),
        weight=(1.0, 2.0),
        bias=(5.0,),
        expected=tuple(map(float, range(8))),
        got=tuple(map(float, range(8))),
        wrong=(),
    )
    arrays = {array.name: array for array in excerpt_grids(deep, excerpt)}
    assert [grid.caption for grid in arrays["x"].grids] == ["x[0, 0, 0]", "x[0, 0, 1]", "x[0, 1, 0]", "x[0, 1, 1]"]
    assert [entry.text for entry in arrays["x"].grids[2].rows[1]] == ["10", "11"]
    assert [grid.caption for grid in arrays["weight"].grids] == ["weight[:, :, 0, 0, 0]"]
    assert [[entry.text for entry in row] for row in arrays["weight"].grids[0].rows] == [["1", "2"]]
    assert [grid.caption for grid in arrays["bias"].grids] == ["bias"]
    assert not any(entry.is_wrong for grid in arrays["got"].grids for row in grid.rows for entry in row)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_every_number_of_an_excerpt_is_shown_once_and_in_order(N: int, C_in: int, C_out: int, sizes: list[int]) -> None:
    posed = ConvProblem(N=N, C_in=C_in, C_out=C_out, spatial=sizes, kernel=1)
    x, weight, y = (
        tuple(map(float, range(math.prod(shape)))) for shape in (posed.x_shape, posed.weight_shape, posed.y_shape)
    )
    excerpt = Excerpt(x=x, weight=weight, bias=None, expected=y, got=y, wrong=())
    for array, values in zip(excerpt_grids(posed, excerpt), (x, weight, y, y), strict=True):
        shown = [entry.text for grid in array.grids for row in grid.rows for entry in row]
        assert shown == [f"{value:.0f}" for value in values]


def test_outputs_are_marked_where_the_excerpt_says_so_and_what_is_no_number_by_its_sign() -> None:
    row = ConvProblem(C_in=1, C_out=1, spatial=(3,), kernel=1)
    excerpt = Excerpt(
        x=("nan", "inf", 1.0),
        weight=(1.0,),
        bias=None,
        expected=("nan", "inf", 1.0),
        got=("nan", "-inf", 1.0),
        wrong=(1,),
    )
    arrays = {array.name: array for array in excerpt_grids(row, excerpt)}
    (shown,) = arrays["got"].grids[0].rows
    assert [(entry.text, entry.is_wrong) for entry in shown] == [("NaN", False), ("-∞", True), ("1", False)]


def test_a_wrong_number_is_shown_with_as_many_digits_as_tell_it_from_the_right_one() -> None:
    excerpt = Excerpt(x=(0.5,), weight=(0.25,), bias=None, expected=(0.12345678,), got=(0.12345679,), wrong=(0,))
    point = ConvProblem(C_in=1, C_out=1, spatial=(1,), kernel=1)
    arrays = {array.name: array for array in excerpt_grids(point, excerpt)}
    texts = [arrays[name].grids[0].rows[0][0].text for name in ("expected", "got")]
    assert texts == ["0.12345678", "0.12345679"]


def test_a_problem_is_told_in_words_without_its_defaults() -> None:
    uneven = ConvProblem(
        N=2,
        C_in=4,
        C_out=2,
        spatial=(5, 6),
        kernel=(3, 2),
        stride=(1, 2),
        padding=((1, 0), (2, 2)),
        groups=2,
        bias=True,
    )
    assert geometry_words(uneven) == (
        "2-D float32: 2 images, 4 channels of 5×6; kernel 3×2, stride 1×2,"
        " padding (1 before, 0 after) × (2 before, 2 after), 2 groups, bias; 2 output channels of 4×5"
    )
    assert geometry_words(problem(9)) == (
        "1-D float32: 1 image, 2 channels of length 9; kernel 3; 2 output channels of length 7"
    )


# Texts said once.


def test_texts_that_differ_in_numbers_are_one_and_digits_in_names_are_no_numbers() -> None:
    found = gists([("error 3.5 in float32 of F(4, 3)", "a"), ("error 1e-05 in float32 of F(4, 3)", "b")])
    assert [gist.text for gist in found] == ["error 1e-05–3.5 in float32 of F(4, 3)"]
    assert found[0].said_of == {"a": 1, "b": 1}
    assert len(gists([("in float32", "a"), ("in float64", "a")])) == 2


@given(st.lists(st.tuples(st.text(alphabet="ab 12.,%", max_size=8), st.sampled_from("xy")), max_size=12))
def test_no_text_is_lost_when_texts_are_said_once(texts: list[tuple[str, str]]) -> None:
    found = gists(texts)
    assert sum(gist.count for gist in found) == len(texts)
    assert len(found) <= len({text for text, _ in texts})
    if len({text for text, _ in texts}) == 1:
        assert found[0].text == texts[0][0]


def test_reasons_are_summed_up_by_status_with_their_backends() -> None:
    cells = [
        checked_cell(
            backend, problem=problem(size), status=Status.UNSUPPORTED, reason=f"kernel 3 on {size} pixels is too small"
        )
        for backend in ("fft", "torch")
        for size in (8, 9, 30)
    ]
    cells.append(checked_cell("fft", problem=problem(31), status=Status.MISTRUSTED, reason="too many zeros"))
    rows = [(row.count, row.words, row.reason, row.said_of) for row in reason_rows(findings(cells))]
    assert rows == [
        ("1", "mistrusted", "too many zeros", "fft 1"),
        ("6", "declined", "kernel 3 on 8–30 pixels is too small", "fft 3, torch 3"),
    ]


def test_many_headings_are_summed_up_by_suite_and_source() -> None:
    cells = [
        checked_cell("numba", NORMAL, problem=problem(8 + n), suite="all", group=f"{source}:file{n}")
        for n in range(20)
        for source in ("oneDNN", "DeepBench")
    ]
    tables = correctness_tables(findings(cells))
    assert tables is not None
    assert [(title, texts[0]) for title, texts in tables.coverage.rows] == [
        ("all: oneDNN", "20"),
        ("all: DeepBench", "20"),
        ("all", "40"),
    ]
    assert tables.groups is not None
    assert len(tables.groups.rows) == 40
    assert tables.coverage.summary == "40 of 40 cells decided, in 0s."


# Large runs and whole pages.


def test_the_line_that_repeats_a_check_keeps_to_the_probes_asked_for(tmp_path: Path) -> None:
    cells = [checked_cell("numba", NORMAL)]
    text = page_text(written(tmp_path, cells, probes=("normal", "wide range")))
    assert "--backend numba --probe normal --probe 'wide range' --seed" in text
    assert "probes asked for" in text


def test_a_page_of_very_many_cells_stays_small_and_keeps_what_is_wrong(tmp_path: Path) -> None:
    cells = [
        checked_cell("numba", dataclasses.replace(NORMAL, error=n / 1000), *EVERY_KEPT, problem=problem(8 + n))
        for n in range(4000)
    ]
    cells[2000] = wrong_cell(problem=problem(2008, label="the wrong one"), explanation=explained())
    start = time.process_time()
    paths = written(tmp_path, cells)
    assert time.process_time() - start < 8
    html = paths.html.read_text(encoding="utf-8")
    assert len(html) < 300_000
    assert html.count("<tr><th scope") < 300
    assert "the wrong one" in html[html.index('id="numbers"') :]
    assert "all 4,000 are in" in page_text(paths)
    assert len(list(csv.reader(io.StringIO(paths.summary.read_text(encoding="utf-8"))))) == 4001
    assert paths.markdown.stat().st_size < 30_000


def test_links_of_a_check_lead_somewhere_and_rows_of_its_markdown_are_whole(tmp_path: Path) -> None:
    cells = [
        wrong_cell("torch", explanation=explained()),
        checked_cell("numba", NORMAL, *EVERY_KEPT),
        checked_cell("fft", status=Status.TIMEOUT, reason="a | b"),
    ]
    paths = written(tmp_path, cells)
    html = paths.html.read_text(encoding="utf-8")
    targets = set(re.findall(r'\sid="([^"]+)"', html))
    assert {link[1:] for link in read(html).addresses if link.startswith("#")} <= targets
    for block in re.findall(r"(?:^\|.*\n)+", paths.markdown.read_text(encoding="utf-8"), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_summary_names_failed_probes_and_the_probe_closest_to_its_bound(tmp_path: Path) -> None:
    broken = (probed("exact", passed=False), probed("nan", passed=False), NORMAL)
    paths = written(tmp_path, [checked_cell("numba", *broken), checked_cell("torch", NORMAL)])
    first, second = csv.DictReader(io.StringIO(paths.summary.read_text(encoding="utf-8")))
    assert (first["failed_probes"], first["closest_probe"], first["spent_s"]) == ("exact, nan", "normal", "0.005")
    assert (second["failed_probes"], second["operand_bits"]) == ("", "22.0")
