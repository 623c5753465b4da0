"""Suites and tables: what ships is right, and what a user writes works the same or says why not."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from backends.problem import ConvProblem
from harness import shape_tables
from harness.cases import PICTURES, Case, did_you_mean
from harness.workloads import WorkloadError, load_suite, suite_description, suite_names

TABLES = shape_tables.shipped_tables()
TIMES = "\N{MULTIPLICATION SIGN}"
SUITE_FILES = resources.files("harness") / "suites"
TOY_TOML = """
description = "toy"
[[problems]]
group = "Mine"
descriptors = ['ic3ih8oc4kh3n"first"', 'ic4ih8oc4kh1n"second*2"']
"""


@pytest.fixture
def write(tmp_path):
    """Write a file into an empty folder and return its path as a user would type it."""

    def write_file(name: str, text: str) -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write_file


@pytest.fixture
def sections(write):
    """Load a suite of just these sections."""
    return lambda text: load_suite(write("mine.toml", 'description = "mine"\n' + text))


def shipped_rows(table: str) -> list[shape_tables.Row]:
    return shape_tables.read_rows(shape_tables.shipped_table(table))


def network_macs(suite: str, group: str) -> int:
    return sum(c.problem.count * c.problem.macs_nominal for c in load_suite(suite).cases if c.group == group)


# What ships.


@pytest.mark.parametrize("name", suite_names())
def test_shipped_suite_loads_and_every_case_is_presentable(name):
    suite = load_suite(name)
    assert suite.name == name
    assert suite.description == suite_description(name)
    for case in suite.cases:
        assert case.suite == name
        assert case.group
        assert case.problem.label.isprintable()
        # Problems that are there for their geometry alone are called by their descriptors.
        assert case.problem.label or name in ("all", "conformance")
    assert len({(case.group, case.problem, case.data) for case in suite.cases}) == len(suite.cases)


@pytest.mark.parametrize("name", [name for name in suite_names() if name != "all"])
def test_shipped_sweep_keeps_every_point(name):
    data = tomllib.loads((SUITE_FILES / f"{name}.toml").read_text(encoding="utf-8"))
    for sweep in data.get("sweeps", []):
        kept = [case.axis_value for case in load_suite(name).cases if case.group == sweep["group"]]
        assert kept == sweep["values"]


def test_suites_are_listed_from_general_to_everything():
    names = suite_names()
    assert names[:4] == ["default", "smoke", "conformance", "edges"]
    assert names[-1] == "all"
    assert set(names) >= {"sweep-1d", "sweep-2d", "sweep-3d", "resnet50", "vgg16", "mobilenet", "large-kernel"}
    assert set(names) >= {"video-3d", "medical-3d", "deepbench"}


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_a_shipped_table_agrees_on_output_size_and_macs(table):
    rows = shipped_rows(table)
    assert rows
    for row in rows:
        assert {"macs", "out_d", "out_h", "out_w"} <= row.cells.keys()
        problem = row.problem()  # checks all three outputs and the macs
        assert problem.macs_nominal == int(row.cells["macs"])
        assert problem.out == tuple(int(row.cells[f"out_{axis}"]) for axis in "dhw")[3 - problem.ndim :]


def test_readme_counts_the_rows_of_every_shipped_table():
    readme = (resources.files("harness") / "tables" / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+\.csv)` \| ([\d,]+) ", readme, flags=re.MULTILINE))
    assert {table: int(rows.replace(",", "")) for table, rows in listed.items()} == {
        table: len(shipped_rows(table)) for table in TABLES
    }


def test_networks_add_up_to_their_published_multiply_adds():
    assert round(network_macs("vgg16", "VGG-16 layers") / 1e9, 2) == 15.35
    assert round(network_macs("video-3d", "C3D layers") / 1e9, 1) == 38.5
    assert round(network_macs("resnet50", "ResNet-50 layers") / 1e9, 2) == 3.86
    # Howard et al. give 569 million; the 1024x1000 classifier is a matrix product and not in the suite.
    assert round((network_macs("mobilenet", "MobileNet v1 layers") + 1024 * 1000) / 1e6) == 569
    assert [sum(c.problem.count for c in load_suite(n).cases) for n in ("vgg16", "resnet50")] == [13, 53]


def test_vgg16_has_the_shapes_of_vgg19():
    vgg19 = {row.problem().replace(N=1) for row in shipped_rows("onednn_nets.csv") if row.name.startswith("vgg_19:")}
    assert {case.problem for case in load_suite("vgg16").cases} == vgg19


def test_edges_has_every_row_of_its_table():
    assert {case.problem for case in load_suite("edges").cases} == {
        row.problem() for row in shipped_rows("onednn_features.csv")
    }


def test_smoke_is_tiny_and_of_every_kind():
    problems = [case.problem for case in load_suite("smoke").cases]
    assert sum(problem.macs_nominal for problem in problems) < 1_000_000
    assert {problem.ndim for problem in problems} == {1, 2, 3}
    assert any(problem.is_depthwise for problem in problems)
    assert any(1 < problem.groups < problem.C_in for problem in problems)
    assert any(set(problem.dilation) != {1} for problem in problems)
    assert any(begin != end for problem in problems for begin, end in problem.padding)


def test_default_suite_begins_with_pictures_and_fits_into_minutes():
    cases = load_suite("default").cases
    assert [case.data for case in cases[:3]] == ["photograph", "mri", None]
    assert cases[0].problem.x_shape == (1, 1, 600, 512)
    assert len(cases) <= 50
    # The naive loops take a few microseconds an output; a pass over all cases must stay well under a minute.
    assert sum(math.prod(case.problem.y_shape) for case in cases) < 8_000_000
    assert {"spatial", "kernel", "stride", "dilation"} <= {case.axis for case in cases}


def test_case_pictures_are_those_that_inputs_can_load():
    inputs = pytest.importorskip("harness.inputs")
    assert inputs.PICTURES == PICTURES
    for case in load_suite("default").cases:
        if case.data is not None:
            assert inputs.case_arrays(case.problem, case.data, seed=0).x.shape == case.problem.x_shape


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_fits_the_problem_that_a_message_recommends(picture, sections):
    inputs = pytest.importorskip("harness.inputs")
    with pytest.raises(WorkloadError, match="does not fit") as caught:
        sections(f"[[problems]]\ngroup = 'P'\ndescriptors = ['ic3ih8oc4kh3']\ndata = '{picture}'\n")
    recommended = re.search(r"start from (\w+)", str(caught.value))[1]
    (case,) = sections(f"[[problems]]\ngroup = 'P'\ndescriptors = ['{recommended}']\ndata = '{picture}'\n").cases
    assert inputs.case_arrays(case.problem, picture, seed=0).x.shape == case.problem.x_shape


def test_listing_suites_and_loading_one_imports_no_array_library():
    code = (
        "import sys\nfrom harness import workloads\n"
        "for name in workloads.suite_names(): workloads.suite_description(name)\n"
        "workloads.load_suite('default')\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'torch', 'numba', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    root = Path(str(resources.files("harness"))).parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)


# What a user writes.


def test_a_toml_and_a_csv_of_the_same_problems_load_alike(write):
    by_descriptor = 'name,count,group,descriptor\nfirst,,Mine,ic3ih8oc4kh3\n,,Mine,"ic4ih8oc4kh1n""second*2"""\n'
    by_numbers = (
        "name,count,group,ndim,C_in,C_out,in_h,in_w,k_h,k_w\n"
        "first,1,Mine,2,3,4,8,8,3,3\n\n"
        "second,2,Mine,2,4,4,8,8,1,1\n"
    )
    expected = load_suite(write("toy.toml", TOY_TOML)).cases
    assert [case.problem.label for case in expected] == ["first", "second"]
    for text in (by_descriptor, by_numbers):
        suite = load_suite(write("toy.csv", text))
        assert suite.name == "toy"
        assert suite.cases == expected
        assert [(c.problem.label, c.problem.count) for c in suite.cases] == [("first", 1), ("second", 2)]


def test_a_csv_without_groups_is_shown_under_its_file_name(write):
    assert [case.group for case in load_suite(write("toy.csv", "descriptor\nic3ih8oc4kh3\n")).cases] == ["toy"]


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_first_column(write):
    assert load_suite(write("toy.csv", "\ufeffdescriptor\r\nic3ih8oc4kh3\r\n")).cases


def test_a_table_beside_the_toml_file_is_found(write, sections):
    write("beside.csv", "name,descriptor\na,ic3ih8oc4kh3\nb,ic3id8oc4kd3\n")
    cases = sections('[[tables]]\nfile = "beside.csv"\nmatch = ["?"]\nndim = 3\nN = 4\n').cases
    assert [(case.problem.label, case.problem.N, case.group) for case in cases] == [("b", 4, "beside")]


def test_negative_end_padding_in_a_table_reads_as_zero():
    row = next(row for row in shipped_rows("onednn_sweeps_3d.csv") if row.cells["pad_d_end"] == "-1")
    assert row.problem().padding[0] == (int(row.cells["pad_d_begin"]), 0)


def test_sections_keep_only_what_they_ask_for(sections):
    cases = sections(
        '[[tables]]\nfile = "onednn_nets.csv"\nmatch = ["*conv1", "*branch2b"]\ngroup = "R"\nN = 1\n'
        'source_match = ["*:shapes_resnet_50"]\nmax_macs = 115_605_504\n'
        '[[include]]\nsuite = "smoke"\nmatch = ["1-D*"]\nlimit = 1\n'
    ).cases
    assert [(case.suite, case.group, case.problem.label) for case in cases] == [
        *(("mine", "R", f"resnet_50:res{stage}a_branch2b") for stage in (2, 3, 4, 5)),
        ("mine", "1-D", "1-D dense"),
    ]


def test_kinds_of_sections_come_in_the_order_of_the_file(sections):
    cases = sections(
        '[[sweeps]]\ngroup = "S"\nbase = "ic1ih8oc1kh3"\nvary = "N"\nvalues = [2]\n'
        '[[problems]]\ngroup = "P"\ndescriptors = ["ic2ih8oc1kh3"]\n'
        '[[sweeps]]\ngroup = "S2"\nbase = "ic1ih9oc1kh3"\nvary = "N"\nvalues = [2]\n'
    ).cases
    assert [case.group for case in cases] == ["S", "S2", "P"]


def test_equal_layers_of_one_network_are_one_case_that_counts_for_all(sections):
    (case,) = sections(
        "[[problems]]\ngroup = 'P'\ndescriptors = ['ic2ih8oc1kh3n\"a*2\"', 'ic2ih8oc1kh3n\"b\"']\n"
        "[[problems]]\ngroup = 'P'\ndescriptors = ['ic2ih8oc1kh3n\"c*9\"']\n"
    ).cases
    assert (case.problem.label, case.problem.count, case.group) == ("a", 3, "P")


def test_a_curve_keeps_the_points_that_another_group_has_too(sections):
    kernels = sweep_text("kernel", "[3, 5]", base="ic4ih20oc4kh3")
    strides = sweep_text("stride", "[1, 2]", base="ic4ih20oc4kh3").replace("'S'", "'T'")
    cases = sections(kernels + strides).cases
    assert [(case.group, case.axis_value) for case in cases] == [("S", 3), ("S", 5), ("T", 1), ("T", 2)]
    assert cases[0].problem == cases[2].problem


def test_batches_made_equal_by_an_override_are_not_more_layers(write, sections):
    write("t.csv", "name,descriptor\na,mb2ic2ih8oc1kh3\nb,mb4ic2ih8oc1kh3\nc,mb2ic2ih8oc1kh3\n")
    (case,) = sections('[[tables]]\nfile = "t.csv"\nN = 1\n').cases
    assert (case.problem.label, case.problem.count, case.problem.N) == ("a", 2, 1)


def test_the_same_problem_on_other_data_is_another_case(sections):
    descriptor = "descriptors = ['ic1ih256oc2kh3ph1']\n"
    cases = sections(
        f"[[problems]]\ngroup = 'P'\n{descriptor}[[problems]]\ngroup = 'P'\ndata = 'mri'\n{descriptor}"
    ).cases
    assert [case.data for case in cases] == [None, "mri"]


# Sweeps.


def sweep_text(vary: str, values: str, base: str = "ic4iw40ih20oc4kw3kh5", more: str = "") -> str:
    return f"[[sweeps]]\ngroup = 'S'\nbase = '{base}'\nvary = '{vary}'\nvalues = {values}\n{more}"


@pytest.mark.parametrize(("vary", "values"), [("kernel", [1, 2, 3, 8]), ("dilation", [1, 2, 4]), ("spatial", [5, 32])])
def test_same_padding_keeps_the_size_at_every_point(sections, vary, values):
    cases = sections(sweep_text(vary, str(values), more="padding = 'same'")).cases
    assert [case.axis_value for case in cases] == values
    for case in cases:
        assert case.problem.out == case.problem.spatial
        assert all(0 <= end - begin <= 1 for begin, end in case.problem.padding)


def test_stride_sweep_keeps_the_padding_of_its_base(sections):
    cases = sections(sweep_text("stride", "[1, 2, 3]", base="ic4ih20oc4kh5ph2")).cases
    assert {case.problem.padding for case in cases} == {((2, 2), (2, 2))}
    assert [case.problem.out for case in cases] == [(20, 20), (10, 10), (7, 7)]


def test_same_padding_with_a_stride_is_that_of_stride_1(sections):
    by_word = sections(sweep_text("stride", "[1, 2, 3]", base="ic4ih20oc4kh5sh2", more="padding = 'same'")).cases
    assert by_word == sections(sweep_text("stride", "[1, 2, 3]", base="ic4ih20oc4kh5ph2")).cases


def test_channel_sweep_stays_depthwise_or_dense_as_its_base(sections):
    for base, depthwise in (("g4ic4ih8oc4kh3", True), ("ic4ih8oc4kh3", False)):
        for case in sections(sweep_text("channels", "[8, 16]", base=base)).cases:
            assert case.problem.C_in == case.problem.C_out == case.axis_value
            assert case.problem.is_depthwise == depthwise


def test_sweep_points_are_named_for_people(sections):
    def labels(*args, **kwargs):
        return [case.problem.label for case in sections(sweep_text(*args, **kwargs)).cases]

    assert labels("spatial", "[8]", base="ic1ih9oc1kh3") == [f"image 8{TIMES}8"]
    assert labels("spatial", "[8]", base='ic1iw9oc1kw3n"base"') == ["base length 8"]
    assert labels("kernel", "[2]", base="ic1id9oc1kd3") == [f"kernel 2{TIMES}2{TIMES}2"]
    assert labels("N", "[2]") == ["N 2"]
    assert labels("channels", "[2, 3]", more="names = ['two', 'three']") == ["two", "three"]


# Mistakes. Each says where, what was given, and what to do, in one line.


def problem_text(descriptors: str, more: str = "") -> str:
    return f"[[problems]]\ngroup = 'P'\ndescriptors = {descriptors}\n{more}"


def table_text(more: str, file: str = "onednn_nets.csv") -> str:
    return f"[[tables]]\nfile = '{file}'\n{more}"


TOML_MISTAKES = {
    "unknown section": ("[[problem]]\ngroup = 'P'", "key 'problem' is unknown; did you mean 'problems'?"),
    "section that is no list": ("[problems]\ngroup = 'P'", "write [[problems]] above its keys"),
    "unknown key": (
        problem_text("['ic1ih8oc1kh3']", "dat = 'mri'"),
        "[[problems]] 1, key 'dat': unknown; did you mean 'd",
    ),
    "missing key": ("[[problems]]\ngroup = 'P'", "[[problems]] 1, key 'descriptors': missing"),
    "wrong type": (
        problem_text("'ic1ih8oc1kh3'"),
        "[[problems]] 1, key 'descriptors': 'ic1ih8oc1kh3'; expected a list",
    ),
    "a bool for a number": (table_text("N = true"), "[[tables]] 1, key 'N': True; expected an integer of 1 or more"),
    "zero": (sweep_text("stride", "[0]"), "[[sweeps]] 1, key 'values': [0]; expected a list of one or more integers"),
    "empty list": (problem_text("[]"), "key 'descriptors': []; expected a list of one or more"),
    "malformed descriptor": (
        problem_text("['ic1ih8', 'oops']"),
        "[[problems]] 1, key 'descriptors': 'ic1ih8': oc is missing",
    ),
    "impossible problem": (problem_text("['ic1ih2oc1kh3']"), "use a smaller kernel or dilation, or more padding"),
    "second of its kind": (
        sweep_text("stride", "[1]") + sweep_text("strid", "[1]"),
        "mine.toml: [[sweeps]] 2, key 'vary': 'strid' is unknown; did you mean 'stride'?",
    ),
    "unknown picture": (problem_text("['ic1ih8oc1kh3']", "data = 'cat'"), "key 'data': no picture is called 'cat'"),
    "picture on another problem": (
        problem_text("['ic1ih256oc2kh3ph1', 'ic3ih8oc4kh3']", "data = 'mri'"),
        "[[problems]] 1, key 'data': 'mri' does not fit 'g1mb1ic3ih8oc4oh6kh3'",
    ),
    "picture with another kernel": (problem_text("['ic1ih256oc2kh5']", "data = 'mri'"), "two 3×3 kernels"),
    "picture with a bias": (problem_text("['--dir=FWD_B ic1ih256oc2kh3']", "data = 'mri'"), "without bias"),
    "malformed base": (sweep_text("stride", "[1]", base="x"), "[[sweeps]] 1, key 'base': 'x'"),
    "value that does not fit": (sweep_text("kernel", "[3, 99]"), "[[sweeps]] 1, key 'values': 99 does not fit base"),
    "unknown padding": (
        sweep_text("kernel", "[3]", more="padding = 'full'"),
        "key 'padding': 'full' is unknown; use 'same'",
    ),
    "too few names": (sweep_text("kernel", "[3, 5]", more="names = ['a']"), "key 'names': 1 for 2 values"),
    "name with a quote": (sweep_text("kernel", "[3]", more="names = ['a\"']"), "key 'names'"),
    "unknown table": (table_text("", file="onednn_net.csv"), "key 'file': no shipped table is called 'onednn_net.csv'"),
    "pattern without a match": (
        table_text("match = ['alexnet:*', 'resnet50:*']"),
        "[[tables]] 1, key 'match': 'resnet50:*' matches nothing; did you mean 'resnet_50:",
    ),
    "source without a match": (table_text("source_match = ['*:nope']"), "key 'source_match': '*:nope' matches nothing"),
    "nothing left": (table_text("max_macs = 1"), "no row of 'onednn_nets.csv' is left; widen max_macs"),
    "unknown included suite": (
        "[[include]]\nsuite = 'smok'",
        "key 'suite': no suite is called 'smok'; did you mean 'smoke'?",
    ),
    "included pattern without a match": (
        "[[include]]\nsuite = 'smoke'\nmatch = ['4-D*']",
        "[[include]] 1, key 'match': '4-D*' matches nothing",
    ),
    "no problems": ("", "mine.toml: no problems; add a [[problems]]"),
    "no TOML": ("[[problems]", "mine.toml: cannot be read as TOML"),
}


@pytest.mark.parametrize("mistake", TOML_MISTAKES)
def test_a_mistake_in_a_toml_file_is_named_in_one_line(sections, mistake):
    text, message = TOML_MISTAKES[mistake]
    with pytest.raises(WorkloadError, match=re.escape(message)) as caught:
        sections(text)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[problems]]", "key 'description' is missing"),
        ("description = 3", "key 'description': 3; expected one line of text"),
    ],
)
def test_a_toml_file_without_a_description_is_refused(write, text, message):
    with pytest.raises(WorkloadError, match=re.escape(message)):
        load_suite(write("mine.toml", text))


NUMBERS = "name,ndim,C_in,C_out,in_h,in_w,k_h,k_w"
CSV_MISTAKES = {
    "empty file": ("", "mine.csv: empty; its first line names the columns"),
    "unknown column": (f"{NUMBERS},strid_h\n", "column 'strid_h' is unknown; did you mean 'stride_h'?"),
    "column twice": (f"{NUMBERS},name\n", "column 'name' is there twice"),
    "missing column": ("name,ndim,C_in,in_w\n", "no column C_out, k_w"),
    "no rows": (f"{NUMBERS}\n", "mine.csv: no problems"),
    "short row": (f"{NUMBERS}\na,2,1,1\n", "row 2: 4 cells for 8 columns"),
    "no integer": (f"{NUMBERS}\na,2,1,1,8,8,3,3\nb,2,x,1,8,8,3,3\n", "row 3 ('b'), column C_in: 'x' is not an integer"),
    "empty size": (f"{NUMBERS}\na,2,1,1,8,8,,3\n", "row 2 ('a'), column k_h: empty"),
    "four axes": (f"{NUMBERS}\na,4,1,1,8,8,3,3\n", "column ndim: 4 spatial axes; give 1 to 3"),
    "impossible row": (f"{NUMBERS}\na,2,1,1,8,8,9,9\n", "row 2 ('a'): kernel=9"),
    "wrong macs": (
        f"{NUMBERS},macs\na,2,1,1,8,8,3,3,325\n",
        "row 2 ('a'), column macs: 325, but the row's sizes give 324",
    ),
    "wrong output": (
        f"{NUMBERS},out_w\na,2,1,1,8,8,3,3,8\n",
        "row 2 ('a'), column out_w: 8, but the row's sizes give 6",
    ),
    "axis not in use": (f"{NUMBERS},out_d\na,2,1,1,8,8,3,3,2\n", "column out_d: 2, but the row's sizes give 1"),
    "malformed descriptor": ("name,descriptor\na,ic3ih8\n", "row 2 ('a'): oc is missing"),
    "empty descriptor": ("name,descriptor\na,\n", "row 2, column descriptor: empty"),
    "descriptor and numbers": ("descriptor,C_in\nic3ih8oc3kh3,3\n", "column 'C_in' is unknown"),
}


@pytest.mark.parametrize("mistake", CSV_MISTAKES)
def test_a_mistake_in_a_csv_file_is_named_in_one_line(write, mistake):
    text, message = CSV_MISTAKES[mistake]
    with pytest.raises(WorkloadError, match=re.escape(message)) as caught:
        load_suite(write("mine.csv", text))
    assert "mine.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("column", ["macs", "out_h", "C_in", "k_w", "stride_h", "pad_w_begin", "dil_h"])
def test_one_wrong_number_in_a_copy_of_a_shipped_row_is_caught(write, column):
    row = next(row for row in shipped_rows("onednn_nets.csv") if row.name == "alexnet:conv3")
    cells = dict(row.cells) | {column: str(int(row.cells[column]) + 1)}
    header, values = ",".join(cells), ",".join(cells.values())
    with pytest.raises(WorkloadError, match=re.escape("row 2 ('alexnet:conv3'), column")):
        load_suite(write("broken.csv", f"{header}\n{values}\n"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", "no suite is called 'resnet'; did you mean 'resnet50'? There are default, smoke"),
        ("mine.json", "no suite is called 'mine.json'"),
        ("", "or give a .toml or .csv file"),
        ("smoke.toml", "suite 'smoke.toml': there is no such file; did you mean 'smoke'?"),
        ("/nowhere/mine.csv", "suite '/nowhere/mine.csv': there is no such file"),
    ],
)
def test_an_unknown_suite_comes_with_a_suggestion(name, message):
    with pytest.raises(WorkloadError, match=re.escape(message)):
        load_suite(name)


def test_a_misspelt_file_is_told_of_its_neighbour(write):
    path = write("layers.toml", TOY_TOML)
    with pytest.raises(WorkloadError, match=r"did you mean 'layers\.toml'"):
        load_suite(path.replace("layers", "layer"))


def test_a_file_of_another_encoding_is_refused(tmp_path):
    for name in ("mine.csv", "mine.toml"):
        (tmp_path / name).write_bytes('description = "größe"'.encode("utf-16"))
        with pytest.raises(WorkloadError, match=rf"{name}: cannot be read"):
            load_suite(str(tmp_path / name))


def test_description_of_an_unknown_suite_is_refused():
    with pytest.raises(WorkloadError, match="did you mean 'default'"):
        suite_description("defualt")


def test_a_case_is_checked_when_it_is_made():
    problem = ConvProblem.parse("ic1ih8oc1kh3")
    with pytest.raises(WorkloadError, match="no picture is called 'cat'"):
        Case(problem=problem, suite="command line", group="given", data="cat")
    with pytest.raises(WorkloadError, match="give both or neither"):
        Case(problem=problem, suite="command line", group="given", axis="kernel")


def test_a_long_list_of_known_words_is_cut():
    assert did_you_mean("x", [f"word{i}" for i in range(30)]).endswith("word19, ... (10 more)")


def test_shipped_tables_have_one_set_of_columns():
    headers = set()
    for table in TABLES:
        headers.add(shape_tables.shipped_table(table).read_text(encoding="utf-8").partition("\n")[0])
    assert len(headers) == 1


def test_a_suite_may_say_how_long_it_takes(tmp_path: Path) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text('description = "x"\nbudget = 7.5\n[[problems]]\ngroup = "g"\ndescriptors = ["ic1iw3oc1kw1"]\n')

    assert load_suite(str(suite)).budget_s == 7.5
    assert load_suite("resnet50").budget_s is None


@pytest.mark.parametrize("budget", ['"5m"', "-1", "0", "true", "inf"])
def test_a_suites_budget_is_a_positive_number_of_seconds(tmp_path: Path, budget: str) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(
        f'description = "x"\nbudget = {budget}\n[[problems]]\ngroup = "g"\ndescriptors = ["ic1iw3oc1kw1"]\n'
    )

    with pytest.raises(WorkloadError, match="key 'budget'"):
        load_suite(str(suite))
