"""Descriptors: exact round trips, benchdnn's implicit rules, real oneDNN verbose lines, errors that name the part."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import EVERY_DTYPE, conv_problems

from backends import ConvError, ConvProblem, DescriptorError, InvalidGeometry


@settings(max_examples=500)
@given(problem=conv_problems(dtypes=EVERY_DTYPE, has_label=True))
def test_text_reads_back_as_the_same_problem_label_and_count(problem: ConvProblem) -> None:
    read = ConvProblem.parse(str(problem))
    assert read == problem
    assert (read.label, read.count) == (problem.label, problem.count)


@given(problem=conv_problems(dtypes=EVERY_DTYPE, has_label=True))
def test_canonical_text_is_written_as_it_was_read(problem: ConvProblem) -> None:
    assert str(ConvProblem.parse(str(problem))) == str(problem)


@given(problem=conv_problems(has_label=True), data=st.data())
def test_underscores_between_numbers_and_keys_do_not_matter(problem: ConvProblem, data: st.DataObject) -> None:
    options, _, geometry = str(problem.replace(label="", count=1)).rpartition(" ")
    starts = [i for i in range(1, len(geometry)) if geometry[i].isalpha() and geometry[i - 1].isdigit()]
    for index in sorted(data.draw(st.sets(st.sampled_from(starts))), reverse=True):
        geometry = f"{geometry[:index]}_{geometry[index:]}"
    assert ConvProblem.parse(f"{options} {geometry}") == problem


def test_resnet_layer_is_written_as_benchdnn_writes_it() -> None:
    problem = ConvProblem(C_in=64, C_out=64, spatial=(56, 56), kernel=3, padding=1, label="resnet50:conv2_x.0", count=3)
    assert str(problem) == 'g1mb1ic64ih56oc64oh56kh3ph1n"resnet50:conv2_x.0*3"'


# Text, and the constructor arguments that it stands for.
RULES = {
    "w alone is a line": ("ic4iw10oc8kw3", {"spatial": (10,), "kernel": 3}),
    "h alone is a square": ("ic4ih10oc8kh3", {"spatial": (10, 10), "kernel": 3}),
    "d alone is a cube": ("ic4id10oc8kd3", {"spatial": (10, 10, 10), "kernel": 3}),
    "h and w are a rectangle": ("ic4ih9iw10oc8kh3kw5", {"spatial": (9, 10), "kernel": (3, 5)}),
    "d, h and w are a box": ("ic4id8ih9iw10oc8kd1kh2kw3", {"spatial": (8, 9, 10), "kernel": (1, 2, 3)}),
    "the output is deduced": ("ic4ih10oc8kh3ph1sh2", {"spatial": (10, 10), "kernel": 3, "padding": 1, "stride": 2}),
    "the padding is deduced": ("ic4ih10oc8oh10kh3", {"spatial": (10, 10), "kernel": 3, "padding": 1}),
    "the odd element of deduced padding is at the end": (
        "ic4iw10oc8ow10kw4",
        {"spatial": (10,), "kernel": 4, "padding": ((1, 2),)},
    ),
    "dilation is 0-based": ("ic4ih10oc8kh3dh1", {"spatial": (10, 10), "kernel": 3, "dilation": 2}),
    "dilation 0 is dense": ("ic4ih10oc8kh3dh0", {"spatial": (10, 10), "kernel": 3, "dilation": 1}),
    "mb is the batch": ("mb7ic4ih10oc8kh3", {"N": 7, "spatial": (10, 10), "kernel": 3}),
    "g divides totals": ("g4ic4ih10oc8kh3", {"groups": 4, "spatial": (10, 10), "kernel": 3}),
    "keys come in any order": ("kh3ih10oc8ic4mb2g2", {"N": 2, "groups": 2, "spatial": (10, 10), "kernel": 3}),
    "underscores are ignored": ("mb2_ic4_ih10__oc8_kh3_", {"N": 2, "spatial": (10, 10), "kernel": 3}),
    "p is the begin, o decides the end": (
        "ic4ih10oh5oc8kh3sh2ph0",
        {"spatial": (10, 10), "kernel": 3, "stride": 2, "padding": ((0, 1), (0, 1))},
    ),
    "equal ends are kept where they give the output": (
        "ic4ih224oh112oc8kh7sh2ph3",
        {"spatial": (224, 224), "kernel": 7, "stride": 2, "padding": 3},
    ),
    "e is an end that o does not decide": ("ic4iw10oc8kw3ew2", {"spatial": (10,), "kernel": 3, "padding": ((0, 2),)}),
    "a negative implied end is none": (
        "ic4iw7oc8ow4kw1sw2pw1",
        {"spatial": (7,), "kernel": 1, "stride": 2, "padding": ((1, 0),)},
    ),
    "dt is the dtype": ("--dt=f64 ic4iw10oc8kw3", {"spatial": (10,), "kernel": 3, "dtype": "float64"}),
    "the first of several dts is the source's": (
        "--dt=bf16:bf16:f32 ic4iw10oc8kw3",
        {"spatial": (10,), "kernel": 3, "dtype": "bfloat16"},
    ),
    "FWD_B has a bias": ("--dir=FWD_B ic4iw10oc8kw3", {"spatial": (10,), "kernel": 3, "bias": True}),
    "FWD_D has none": ("--dir=FWD_D ic4iw10oc8kw3", {"spatial": (10,), "kernel": 3, "bias": False}),
    "ways of running are set aside": (
        "--mode=P --engine=cpu --conv --stag=nhwc -v5 ic4iw10oc8kw3",
        {"spatial": (10,), "kernel": 3},
    ),
    "the mb option replaces the batch": ("--mb=5 mb2ic4iw10oc8kw3", {"N": 5, "spatial": (10,), "kernel": 3}),
    "mb option 0 keeps the batch": ("--mb=0 mb2ic4iw10oc8kw3", {"N": 2, "spatial": (10,), "kernel": 3}),
}


@pytest.mark.parametrize(("text", "arguments"), RULES.values(), ids=RULES)
def test_benchdnn_rule(text: str, arguments: dict[str, object]) -> None:
    assert ConvProblem.parse(text) == ConvProblem(**({"C_in": 4, "C_out": 8} | arguments))


@pytest.mark.parametrize(
    ("name", "label", "count"),
    [
        ("", "", 1),
        ('n"resnet50:conv2_x.0*3"', "resnet50:conv2_x.0", 3),
        ('n"no multiplicity"', "no multiplicity", 1),
        ('n"*4"', "", 4),
        ('n"a*2*3"', "a*2", 3),
        ("nresnet_50:res2a*2", "resnet_50:res2a", 2),
    ],
)
def test_name_carries_label_and_multiplicity(name: str, label: str, count: int) -> None:
    problem = ConvProblem.parse(f"ic4iw10oc8kw3{name}")
    assert (problem.label, problem.count) == (label, count)


@pytest.mark.parametrize("label", ["a*7", "*3", "*", "7", "n", "--dt=f64 ic3", " both ends ", "a_b", ""])
@pytest.mark.parametrize("count", [1, 7])
def test_label_that_looks_like_syntax_reads_back(label: str, count: int) -> None:
    read = ConvProblem.parse(str(ConvProblem(C_in=1, C_out=1, spatial=(3,), kernel=1, label=label, count=count)))
    assert (read.label, read.count) == (label, count)


V3 = "onednn_verbose,v1,primitive,exec,cpu,convolution,"
SCRATCHPAD = "attr-scratchpad:user,alg:convolution_direct,"
STEM = "mb1_ic3oc64_ih224oh112kh7sh2dh0ph3_iw224ow112kw7sw2dw0pw3"
STEM_PROBLEM = ConvProblem(C_in=3, C_out=64, spatial=(224, 224), kernel=7, stride=2, padding=3, bias=True)
DEPTHWISE_PROBLEM = ConvProblem(C_in=32, C_out=32, groups=32, spatial=(56, 56), kernel=3, stride=2, padding=1)
OLD_PROBLEM = ConvProblem(N=2, C_in=3, C_out=16, spatial=(7, 7), kernel=3, padding=1, bias=True)
OLD_MEMORY = (
    "src_f32::blocked:abcd:f0 wei_f32::blocked:Acdb16a:f0 bia_f32::blocked:a:f0 dst_f32::blocked:aBcd16b:f0,,"
    "alg:convolution_direct,mb2_ic3oc16_ih7oh7kh3sh1dh0ph1_iw7ow7kw3sw1dw0pw1,0.02"
)
# Output of oneDNN 3.12 on an AVX-512 machine, and of the older formats.
VERBOSE = {
    "2-D with bias": (
        (
            f"{V3}jit:avx512_core,forward_training,src:f32:a:blocked:abcd::f0 wei:f32:a:blocked:Acdb16a::f0"
            f" bia:f32:a:blocked:a::f0 dst:f32:a:blocked:aBcd16b::f0,{SCRATCHPAD}{STEM},13.407"
        ),
        STEM_PROBLEM,
    ),
    "depthwise without bias": (
        (
            f"{V3}jit_dw:avx512_core,forward_training,src:f32:a:blocked:aBcd16b::f0 wei:f32:a:blocked:Abcde16a::f0"
            f" bia:undef::undef::: dst:f32:a:blocked:aBcd16b::f0,{SCRATCHPAD}"
            "g32mb1_ic32oc32_ih56oh28kh3sh2dh0ph1_iw56ow28kw3sw2dw0pw1,0.0651855"
        ),
        DEPTHWISE_PROBLEM,
    ),
    "3-D with each axis its own": (
        (
            f"{V3}jit:avx512_core,forward_training,src:f32:a:blocked:abcde::f0 wei:f32:ap:blocked:Acdeb16a::f0"
            f" bia:undef::undef::: dst:f32:ap:blocked:aBcde16b::f0,{SCRATCHPAD}"
            "mb2_ic4oc8_id8od6kd3sd1dd0pd0_ih8oh4kh3sh1dh1ph0_iw9ow8kw2sw1dw0pw0,0.0400391"
        ),
        ConvProblem(N=2, C_in=4, C_out=8, spatial=(8, 8, 9), kernel=(3, 3, 2), dilation=(1, 2, 1)),
    ),
    "bfloat16": (
        (
            f"{V3}jit_bf16:avx512_core_bf16,forward_training,src:bf16:a:blocked:aBcd16b::f0"
            f" wei:bf16:a:blocked:ABcd8b16a2b::f0 bia:undef::undef::: dst:bf16:a:blocked:aBcd16b::f0,{SCRATCHPAD}"
            "mb1_ic32oc32_ih56oh28kh3sh2dh0ph1_iw56ow28kw3sw2dw0pw1,0.0529785"
        ),
        DEPTHWISE_PROBLEM.replace(groups=1, dtype="bfloat16"),
    ),
    "a time after the version": (
        (
            "onednn_verbose,v1,1693403.58,primitive,exec,cpu,convolution,jit:avx512_core,forward_inference,"
            "src:f32:a:blocked:abcd::f0 wei:f32:a:blocked:Acdb16a::f0 bia:f32:a:blocked:a::f0"
            f" dst:f32:a:blocked:aBcd16b::f0,{SCRATCHPAD}{STEM},13.407"
        ),
        STEM_PROBLEM,
    ),
    "the first dnnl format": (
        f"dnnl_verbose,exec,cpu,convolution,jit:avx512_common,forward_training,{OLD_MEMORY}",
        OLD_PROBLEM,
    ),
    "the dnnl format with a time": (
        f"dnnl_verbose,1693403.58,exec,cpu,convolution,jit:avx512_common,forward_training,{OLD_MEMORY}",
        OLD_PROBLEM,
    ),
    "the onednn 2 format": (
        f"onednn_verbose,exec,cpu,convolution,jit:avx2,forward_inference,{OLD_MEMORY}",
        OLD_PROBLEM,
    ),
}


@pytest.mark.parametrize(("line", "problem"), VERBOSE.values(), ids=VERBOSE)
def test_verbose_line_is_the_problem_that_ran(line: str, problem: ConvProblem) -> None:
    assert ConvProblem.parse(line) == problem


FINE = "ic4ih10oc8kh3"
# Text, and what the message must name.
MALFORMED = {
    "empty": ("   ", "empty"),
    "several lines": (f"{FINE}\n{FINE}", "one line"),
    "no ic": ("oc8ih10kh3", "ic is missing"),
    "no oc": ("ic4ih10kh3", "oc is missing"),
    "no axis": ("ic4oc8", "no spatial axis"),
    "no kernel": ("ic4oc8ih10", "kh is missing"),
    "no input size": ("ic4oc8kh3", "ih is missing"),
    "an axis left out in the middle": ("ic4oc8id10iw10kd3kw3", "d+w"),
    "an unknown key": (FINE + "zz9", "'zz9'"),
    "a key without a number": (FINE + "sh", "'sh'"),
    "a negative number": (FINE + "ph-1", "'ph-1'"),
    "a fraction": (FINE + "sh1.5", "'.5'"),
    "a key given twice": (FINE + "ic4", "ic is given twice"),
    "an open quote": (FINE + 'n"res', """'n"res'"""),
    "text after the name": (FINE + 'n"res"sh2', """'n"res"sh2'"""),
    "an output that does not follow": (FINE + "oh99ph0eh0", "oh99 disagrees"),
    "an output too small": (FINE + "oh2ph0", "oh2 disagrees"),
    "an empty input": ("ic4ih0oc8kh3", "ih0"),
    "an empty kernel": ("ic4ih10oc8kh0", "kh0"),
    "no stride": (FINE + "sh0", "sh0"),
    "an integer dtype": (f"--dt=u8 {FINE}", "--dt=u8"),
    "a backward pass": (f"--dir=BWD_D {FINE}", "--dir=BWD_D"),
    "an unknown option": (f"--frobnicate=1 {FINE}", "--frobnicate=1"),
    "an mb option that is no number": (f"--mb=many {FINE}", "--mb=many"),
    "an option alone": ("--dt=f32", "ic is missing"),
    "a number beyond all reading": ("ic" + "9" * 5000 + "oc8ih10kh3", "ic"),
    "a count beyond all reading": (FINE + 'n"a*' + "9" * 5000 + '"', "multiplicity"),
    "verbose of a matmul": (
        "onednn_verbose,v1,primitive,exec,cpu,matmul,jit,undef,src:f32,,,4x4:4x4,0.1",
        "convolution",
    ),
    "verbose of a backward pass": (
        VERBOSE["2-D with bias"][0].replace("forward_training", "backward_data"),
        "backward",
    ),
    "verbose of integers": (VERBOSE["2-D with bias"][0].replace("src:f32", "src:u8"), "src:u8"),
    "verbose without a shape": (VERBOSE["2-D with bias"][0].replace(STEM, ""), "no descriptor"),
}


@pytest.mark.parametrize(("text", "named"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_text_is_refused_with_the_offending_part_named(text: str, named: str) -> None:
    with pytest.raises(DescriptorError) as caught:
        ConvProblem.parse(text)
    assert named in str(caught.value)
    assert len(str(caught.value)) < 500, "a message is for reading, however long the text was"


def test_text_that_reads_well_but_defines_no_convolution_is_invalid_geometry() -> None:
    with pytest.raises(InvalidGeometry, match="groups=3 does not divide C_in=4"):
        ConvProblem.parse("g3ic4ih10oc8kh3")
    with pytest.raises(InvalidGeometry, match="spans more than the padded input 2"):
        ConvProblem.parse("ic4ih2oc8kh3")


@pytest.mark.parametrize("value", [None, 7, b"ic4ih10oc8kh3"])
def test_what_is_no_text_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="give one line of text"):
        ConvProblem.parse(value)  # type: ignore[arg-type]  # that it is refused is the point


KEYS = ["ic", "oc", "mb", "g", "ih", "iw", "id", "oh", "kh", "kw", "kd", "sh", "dh", "ph", "eh"]
MARKS = ["_", "n", '"', "*", " ", "-", "=", ","]
WORDS = ["--dt=f64 ", "--dir=FWD_B ", "--mb=2 ", "onednn_verbose,", "convolution,", "forward,", "src:f32,"]
TOKENS = st.sampled_from([*KEYS, *MARKS, *WORDS]) | st.integers(-1, 2**70).map(str)


@settings(max_examples=500)
@given(text=st.text(max_size=40) | st.lists(TOKENS, max_size=24).map("".join))
@example(text="ic٣oc4ih9kh3")
@example(text="ic²oc4ih9kh3")
@example(text="n\ud800")
def test_arbitrary_text_is_a_problem_or_a_conv_error(text: str) -> None:
    with contextlib.suppress(ConvError):
        problem = ConvProblem.parse(text)
        assert ConvProblem.parse(str(problem)) == problem


@settings(max_examples=300)
@given(problem=conv_problems(dtypes=EVERY_DTYPE, has_label=True), data=st.data())
def test_text_damaged_in_one_place_is_a_problem_or_a_conv_error(problem: ConvProblem, data: st.DataObject) -> None:
    text = str(problem)
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 3)))
    damaged = text[:start] + data.draw(st.text(max_size=3)) + text[stop:]
    with contextlib.suppress(ConvError):
        read = ConvProblem.parse(damaged)
        assert ConvProblem.parse(str(read)) == read
