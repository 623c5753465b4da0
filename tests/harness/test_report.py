"""The files and tables of a report: complete, escaped, the same bytes each time, and honest about what is missing."""

from __future__ import annotations

import csv
import html.parser
import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from backends.problem import ConvProblem
from harness.records import Cell, Status
from harness.report import ReportPaths, terminal_tables, write_report
from harness.report.findings import find
from harness.report.markdown import escaped
from harness.report.pictures import Picture, edge_figure
from harness.report.plots import draw_plots
from harness.report.summary import COLUMNS, summary_csv
from harness.report.wording import repeat_line
from tests.harness.test_report_runs import cell, checked, example_run, header

STATED_ORDER = (
    "problem, label, backend, device, dtype, threads, status, median_s, ci_low_s, ci_high_s, samples, prepare_s,"
    " first_call_s, gflops, peak_fraction, workspace_bytes, error, error_bound, effective_bits, reason"
)
TIMING = ("median_s", "ci_low_s", "ci_high_s", "samples", "prepare_s", "first_call_s", "gflops", "ratio_to_best")
NASTY = "<script>alert('&')</script> | a*b $x^2$ ü"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> ReportPaths:
    return write_report(tmp_path_factory.mktemp("run"), *example_run())


def rows(*cells: Cell) -> list[dict[str, str]]:
    text = summary_csv(find(header(cells_planned=len(cells)), cells))
    return list(csv.DictReader(io.StringIO(text)))


def terminal(cells: list[Cell], width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), no_color=True)
    console.print(terminal_tables(header(cells_planned=len(cells)), cells, width=width))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


class Reader(html.parser.HTMLParser):
    """What a browser would take from a page: its text, its tags, and every address it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.unlabelled_images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.addresses += [value for name in ("src", "href") if (value := values.get(name))]
        self.unlabelled_images += tag == "img" and not values.get("alt")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_summary_columns_come_first_in_exactly_the_stated_order() -> None:
    assert ", ".join(COLUMNS) == STATED_ORDER
    first_line = summary_csv(find(header(), [cell()])).splitlines()[0]
    assert first_line.startswith(STATED_ORDER.replace(" ", ""))


def test_what_was_not_measured_is_empty_and_never_zero() -> None:
    (row,) = rows(cell(samples_ns=(), status=Status.TIMEOUT, device=None, algorithm=None))
    missing = set(row) - {
        "problem",
        "backend",
        "dtype",
        "threads",
        "status",
        "reason",
        "suite",
        "group",
        "count",
        "repeat",
    }
    assert {row[column] for column in missing} == {""}


def test_a_measured_zero_stays_a_zero() -> None:
    (row,) = rows(cell(workspace_bytes=0, prepare_ns=0, check=checked(error=0.0)))
    assert (row["workspace_bytes"], float(row["prepare_s"]), float(row["error"])) == ("0", 0.0, 0.0)


@pytest.mark.parametrize("status", [status for status in Status if status not in (Status.OK, Status.NOISY)])
def test_a_cell_that_is_not_right_has_no_timing_columns(status: Status) -> None:
    row, _ = rows(cell("numba", status=status, prepare_ns=5, first_call_ns=5), cell("torch"))
    assert {row[column] for column in TIMING} == {""}
    assert row["reason"]


def test_times_are_seconds_and_rates_count_two_operations_a_multiply_add() -> None:
    problem = ConvProblem(C_in=8, C_out=8, spatial=(16, 16), kernel=3, padding=1)
    (row,) = rows(cell(samples_ns=[2e6] * 10, problem=problem, prepare_ns=3_000_000))
    assert float(row["median_s"]) == 0.002
    assert float(row["prepare_s"]) == 0.003
    assert float(row["gflops"]) == pytest.approx(2 * problem.macs_nominal / 2e6)


def test_one_sample_has_a_median_and_no_interval() -> None:
    (row,) = rows(cell(samples_ns=[2e6]))
    assert (row["median_s"], row["ci_low_s"], row["ci_high_s"], row["samples"]) == ("0.002", "", "", "1")
    assert "n=1" in terminal([cell(samples_ns=[2e6])])


def test_of_two_cells_of_one_case_and_backend_the_later_counts() -> None:
    (row,) = rows(cell(samples_ns=[1e6] * 9), cell(samples_ns=[3e6] * 9))
    assert float(row["median_s"]) == 0.003


def test_a_report_is_whole_and_every_plot_is_there_as_svg_and_png(written: ReportPaths) -> None:
    assert all(path.stat().st_size for path in (written.summary, written.html, written.markdown, *written.plots))
    assert {path.suffix for path in written.plots} == {".svg", ".png"}
    names = {path.stem for path in written.plots}
    assert {"sweep-kernel-2-d", "gflops-resnet50", "ratio-pictures", "speedup-stride", "accuracy"} <= names
    assert not [path for path in written.html.parent.rglob("*") if path.name.startswith(".")]


def test_the_page_needs_no_network_and_every_picture_has_words(written: ReportPaths) -> None:
    page = read(written.html.read_text(encoding="utf-8"))
    assert page.unlabelled_images == 0
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in page.addresses)
    assert "link" not in page.tags


def test_every_link_inside_the_page_leads_somewhere(written: ReportPaths) -> None:
    text = written.html.read_text(encoding="utf-8")
    targets = set(re.findall(r'\sid="([^"]+)"', text))
    assert {link[1:] for link in read(text).addresses if link.startswith("#")} <= targets


def test_every_hole_has_its_reason_in_the_page_and_in_markdown(written: ReportPaths) -> None:
    text = "".join(read(written.html.read_text(encoding="utf-8")).text)
    markdown = written.markdown.read_text(encoding="utf-8")
    reasons = {one.reason for one in example_run()[1] if not one.samples_ns}
    assert len(reasons) >= 5
    for reason in reasons:
        assert reason is not None
        assert reason in text
        assert str(escaped(reason)) in markdown


def test_the_wrong_backend_comes_before_any_winner(written: ReportPaths) -> None:
    for path in (written.html, written.markdown):
        text = path.read_text(encoding="utf-8")
        assert text.index("is WRONG on") < text.index("wins most often")


def test_links_of_the_markdown_lead_to_plots_that_were_written(written: ReportPaths) -> None:
    links = re.findall(r"\]\((plots/[^)]+)\)", written.markdown.read_text(encoding="utf-8"))
    assert links
    assert all((written.markdown.parent / link).is_file() for link in links)


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(written: ReportPaths) -> None:
    blocks = re.findall(r"(?:^\|.*\n)+", written.markdown.read_text(encoding="utf-8"), re.MULTILINE)
    assert blocks
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_text_of_strangers_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    problem = ConvProblem(C_in=1, C_out=1, spatial=(8, 8), kernel=3, label=NASTY)
    cells = [
        cell("numba", problem=problem, group=NASTY),
        cell(NASTY, problem=problem, group=NASTY, samples_ns=[2e6] * 9),
        cell("torch", problem=problem, group=NASTY, samples_ns=(), status=Status.CRASHED, reason=NASTY),
    ]
    paths = write_report(tmp_path, header(command=("run", NASTY), warnings=(NASTY,), machine={"cpu": NASTY}), cells)
    page = read(paths.html.read_text(encoding="utf-8"))
    assert page.tags.count("script") == 1
    assert NASTY in "".join(page.text)
    body = re.sub(r"```.*?```", "", paths.markdown.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "<script>" not in body
    assert "&lt;script&gt;" in body
    assert all("<script>" not in path.read_text(encoding="utf-8") for path in paths.plots if path.suffix == ".svg")
    assert "<script>" in terminal(cells)


def test_group_names_cannot_lead_a_plot_out_of_its_folder(tmp_path: Path) -> None:
    cells = [cell("numba", group="../../etc/x"), cell("torch", group="../../etc/x", samples_ns=[2e6] * 9)]
    paths = write_report(tmp_path, header(), cells)
    assert {path.parent for path in paths.plots} == {tmp_path / "plots"}


def test_groups_whose_names_differ_in_signs_only_keep_plots_of_their_own(tmp_path: Path) -> None:
    cells = [cell(backend, group=group) for group in ("a b", "a-b") for backend in ("numba", "torch")]
    paths = write_report(tmp_path, header(), cells)
    assert len(set(paths.plots)) == len(paths.plots)


def test_svg_and_png_are_the_same_bytes_each_time() -> None:
    def drawn() -> list[tuple[str, bytes]]:
        cells = [one for one in example_run()[1] if one.group in ("stride", "pictures")]
        return [(plot.svg, plot.png) for plot in draw_plots(find(header(), cells))]

    assert drawn() == drawn()


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [cell()],
        [cell(samples_ns=[1e6])],
        [cell(samples_ns=(), check=checked())],
        [cell(samples_ns=(), status=status) for status in Status],
        [cell("numba", group=""), cell("torch", group="", suite="")],
        [
            cell("numba", group="g", axis="kernel", axis_value=3.0),
            cell("torch", group="g", axis="kernel", axis_value=3.0),
        ],
        [cell(f"my.module:Kernel{n}", samples_ns=[1e6 + n] * 9) for n in range(14)],
    ],
    ids=["nothing", "one backend", "one sample", "checked only", "no ok", "no names", "one point", "many backends"],
)
def test_degenerate_runs_still_give_a_whole_report(tmp_path: Path, cells: list[Cell]) -> None:
    paths = write_report(tmp_path, header(machine={}, libraries={}, commit=None, budget_s=None), cells)
    assert all(path.stat().st_size for path in (paths.summary, paths.html, paths.markdown))
    assert "nan" not in paths.html.read_text(encoding="utf-8").split("</style>")[1].split("data:image")[0].split()
    for width in (40, 80, 100, 200):
        assert all(len(line) <= width for line in terminal(cells, width).splitlines())


def test_writing_again_replaces_the_report(tmp_path: Path) -> None:
    write_report(tmp_path, header(), [cell()])
    before = (tmp_path / "report.html").read_text(encoding="utf-8")
    write_report(tmp_path, header(), [cell(), cell("torch", samples_ns=[9e6] * 9)])
    assert (tmp_path / "report.html").read_text(encoding="utf-8") != before


def test_the_terminal_names_winner_tie_ratio_and_hole_without_colour() -> None:
    tied = [cell("numba"), cell("torch"), cell("fft", samples_ns=[5e6] * 9)]
    text = terminal([*tied, cell("naive", samples_ns=(), status=Status.SKIPPED)])
    assert "≈ fastest" in text
    assert "≈ 1.00×" in text
    assert "5.00×" in text
    assert "skipped" in text


def test_a_narrow_terminal_gets_a_row_for_each_backend() -> None:
    cells = [cell(name) for name in ("naive", "im2col", "fft", "numba", "torch", "torch[layout=channels_last]")]
    assert max(map(len, terminal(cells, 80).splitlines())) <= 80
    assert "torch[layout=channels_last]" in terminal(cells, 80)


def test_the_line_that_repeats_a_number_can_be_pasted_into_a_shell() -> None:
    problem = ConvProblem(C_in=8, C_out=8, spatial=(16, 16), kernel=3, dtype="float64")
    line = repeat_line(header(), cell("torch[layout=channels_last]", problem=problem))
    assert line == (
        f"python -m harness run --problem '{problem}' --backend 'torch[layout=channels_last]' --seed 7 --threads 2"
        " --memory-limit 4GiB"
    )
    assert "--suite default" in repeat_line(header(), cell(data="mri"))


def test_edges_are_drawn_around_mid_grey_and_one_channel_is_asked_for() -> None:
    image = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    plot = edge_figure("mri", image, np.zeros((8, 8)), np.zeros((8, 8)))
    assert plot.name == "edges-mri"
    with pytest.raises(ValueError, match="give one channel as"):
        edge_figure("mri", image[None], image, image)


def test_pictures_appear_in_the_page_and_among_the_plots(tmp_path: Path) -> None:
    image = np.eye(16, dtype=np.float32)
    picture = Picture(name="photograph", image=image, vertical=image - 0.5, horizontal=0.5 - image)
    paths = write_report(tmp_path, header(), [cell()], [picture])
    assert (tmp_path / "plots" / "edges-photograph.svg") in paths.plots
    assert "On real pictures" in paths.html.read_text(encoding="utf-8")


def test_importing_the_package_does_not_load_what_only_a_report_needs() -> None:
    import subprocess
    import sys

    code = "import sys, harness.report; print({'matplotlib', 'pandas', 'jinja2', 'rich', 'numpy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
