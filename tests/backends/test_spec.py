"""Backend specs: text to name and options and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import BackendSpecError
from backends.spec import OptionValue, parse_spec, spec_text

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
KEYS = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda w: w not in ("on", "off", "true", "false"))
OPTIONS = st.dictionaries(KEYS, st.booleans() | st.integers() | WORDS, max_size=3)


@given(name=NAMES, options=OPTIONS)
def test_spec_text_reads_back_as_the_same_name_and_options(name: str, options: dict[str, OptionValue]) -> None:
    spec = parse_spec(spec_text(name, **options))
    assert (spec.name, spec.attribute) == (name, None)
    assert dict(spec.options) == options
    assert [type(value) for _, value in spec.options] == [type(value) for value in options.values()]


@pytest.mark.parametrize(
    ("text", "name", "attribute", "options"),
    [
        ("numba", "numba", None, {}),
        (" torch[layout=channels_last] ", "torch", None, {"layout": "channels_last"}),
        ("a[n=-3, fast=True,exact=off]", "a", None, {"n": -3, "fast": True, "exact": False}),
        ("a[]", "a", None, {}),
        ("my.package:Mine", "my.package", "Mine", {}),
        ("my.package:Outer.Mine[k=v]", "my.package", "Outer.Mine", {"k": "v"}),
    ],
)
def test_spec_is_a_name_or_a_module_and_attribute_with_options(
    text: str, name: str, attribute: str | None, options: dict[str, OptionValue]
) -> None:
    spec = parse_spec(text)
    assert (spec.name, spec.attribute, dict(spec.options)) == (name, attribute, options)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "write NAME"),
        ("torch[", "write NAME"),
        ("torch[layout=a][b=c]", "write NAME"),
        ("two words", "write NAME"),
        ("os:", "write NAME"),
        (":attr", "write NAME"),
        ("torch[layout]", "write option=value"),
        ("torch[=a]", "write option=value"),
        ("torch[layout=]", "write option=value"),
        ("torch[not a name=1]", "write option=value"),
        ("torch[a=1,a=2]", "keep one"),
        ("a[n=" + "9" * 5000 + "]", "give a smaller integer"),
    ],
)
def test_text_that_is_no_spec_is_refused_with_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(BackendSpecError, match=advice):
        parse_spec(text)


def test_what_is_no_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="give a backend's name"):
        parse_spec(None)  # type: ignore[arg-type]  # that it is refused is the point


@given(text=st.text(max_size=30) | st.text("ab1:.[]=,-on ", max_size=16))
def test_arbitrary_text_is_a_spec_or_a_backend_spec_error(text: str) -> None:
    try:
        spec = parse_spec(text)
    except BackendSpecError:
        return
    assert spec.name
