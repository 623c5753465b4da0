from __future__ import annotations

from pathlib import Path

import pytest

from harness.selection import SelectionError, seconds, select, size_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("1.5m", 90), ("2H", 7200), ("0.5", 0.5)],
)
def test_durations_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert seconds(text, "--budget") == expected


@pytest.mark.parametrize("text", ["", "-5m", "soon", "5 m", "m5", "0", "0m", "nan", "1e3", "5d"])
def test_what_is_no_duration_is_refused_with_the_option_and_the_value(text: str) -> None:
    with pytest.raises(SelectionError, match="--budget") as error_info:
        seconds(text, "--budget")

    assert repr(text) in str(error_info.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4GB", 4 * 10**9),
        ("512MiB", 512 << 20),
        ("1k", 1000),
        ("2048", 2048),
        ("1.5 GB", 1_500_000_000),
        ("1tb", 10**12),
    ],
)
def test_sizes_are_decimal_unless_they_say_binary(text: str, expected: int) -> None:
    assert size_bytes(text, "--memory-limit") == expected


@pytest.mark.parametrize("text", ["", "lots", "-4GB", "4XB", "0"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SelectionError, match="--memory-limit"):
        size_bytes(text, "--memory-limit")


def test_nothing_asked_for_is_the_default_suite_with_every_backend_that_loads() -> None:
    chosen = select((), (), (), None)

    assert {case.suite for case in chosen.cases} == {"default"}
    assert {"naive", "im2col", "fft", "numba", "torch", "torch[layout=channels_last]"} == set(chosen.backends)


def test_a_problem_given_alone_is_all_there_is() -> None:
    (case,) = select((), ("ic1iw9oc1kw3",), ("naive",), None).cases

    assert case.problem.spatial == (9,)


def test_commas_separate_backends_but_not_the_options_of_one() -> None:
    chosen = select((), ("ic1iw9oc1kw3",), ("a.b:C[x=1,y=2],numba", "fft"), None)

    assert chosen.backends == ("a.b:C[x=1,y=2]", "numba", "fft")


def test_dtype_replaces_the_problems_own() -> None:
    chosen = select((), ("--dt=f32 ic1iw9oc1kw3",), ("naive",), "f64")

    assert chosen.cases[0].problem.dtype == "float64"


def test_a_suite_named_twice_is_run_once() -> None:
    assert select(("smoke", "smoke"), (), ("naive",), None) == select(("smoke",), (), ("naive",), None)


TOML = 'description = "x"\n[[problems]]\ngroup = "g"\ndescriptors = ["{}"]\n'


def test_two_files_that_would_be_shown_under_one_name_are_refused(tmp_path: Path) -> None:
    for folder, descriptor in (("one", "ic1iw9oc1kw3"), ("other", "ic1iw8oc1kw3")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.toml").write_text(TOML.format(descriptor))
    one, other = str(tmp_path / "one" / "mine.toml"), str(tmp_path / "other" / "mine.toml")

    with pytest.raises(SelectionError, match="would both be shown as 'mine'; rename one") as error_info:
        select((one, other), (), ("naive",), None)

    assert one in str(error_info.value)
    assert other in str(error_info.value)


def test_a_file_named_like_a_shipped_suite_or_like_the_command_line_is_not_mixed_with_it(tmp_path: Path) -> None:
    for name in ("smoke", "command line"):
        (tmp_path / f"{name}.toml").write_text(TOML.format("ic1iw9oc1kw3"))

    with pytest.raises(SelectionError, match="'smoke'; rename"):
        select(("smoke", str(tmp_path / "smoke.toml")), (), ("naive",), None)
    with pytest.raises(SelectionError, match="rename the file"):
        select((str(tmp_path / "command line.toml"),), ("ic1iw9oc1kw3",), ("naive",), None)
    assert select((str(tmp_path / "smoke.toml"),), (), ("naive",), None).cases


def test_one_file_by_two_paths_is_one_suite(tmp_path: Path) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(TOML.format("ic1iw9oc1kw3"))
    roundabout = tmp_path / ".." / tmp_path.name / "mine.toml"

    assert select((str(suite), str(roundabout)), (), ("naive",), None) == select((str(suite),), (), ("naive",), None)
