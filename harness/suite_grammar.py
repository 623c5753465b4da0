"""The grammar of a suite file: which sections it may have, and which keys of which type each of them takes.

    description = "one line for `harness list suites`"
    budget = 60                      # optional: seconds that a run takes unless --budget says otherwise

    [[problems]]                     # problems written out
    group = "heading in the report"
    descriptors = ['ic64ih56oc64kh3ph1n"my layer*3"']
    data = "photograph"              # optional: a picture instead of random data

    [[sweeps]]                       # one problem with one number varied
    group = "2-D, kernel size"
    base = "ic32ih64oc32kh3ph1"
    vary = "kernel"                  # spatial, kernel, stride, dilation (on every axis), channels (in and out) or N
    values = [1, 3, 5, 7]
    padding = "same"                 # optional: at every value what keeps the size at stride 1; else the base's
    names = ["a", "b", "c", "d"]     # optional labels, one a value

    [[tables]]                       # rows of a CSV file
    file = "onednn_nets.csv"         # a shipped table, or a path relative to this file
    match = ["resnet_50:*"]          # optional: patterns on the name ...
    source_match = ["*:shapes_vit"]  # ... and on the source; a row must satisfy both
    group = "ResNet-50 layers"       # optional: else the row's own group or source
    N = 1                            # optional: this batch size instead of the table's
    ndim = 2                         # optional: only problems with so many spatial axes
    max_macs = 1_000_000             # optional: only problems up to this many multiply-adds (after N)

    [[include]]                      # cases of a shipped suite
    suite = "smoke"
    match = ["tiny*"]                # optional: patterns on the label
    limit = 5                        # optional: the first so many of them

Sections of one kind stay in order; kinds come in the order in which the file first mentions them. Patterns are those of
`fnmatch`, upper and lower case apart, and each must match something.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.cases import WorkloadError, did_you_mean

_HEAD_KEYS = ("description", "budget")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section whose keys and types are right."""

    place: str
    """File, kind and number, for messages: "mine.toml: [[sweeps]] 2"."""
    kind: str
    keys: Mapping[str, Any]

    def error(self, key: str, message: str) -> WorkloadError:
        """The error of one key, with its place."""
        return WorkloadError(f"{self.place}, key {key!r}: {message}")


@dataclass(frozen=True)
class _Type:
    wanted: str
    is_right: Callable[[object], bool]


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_list_of(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(is_right(entry) for entry in value)


_LINE = _Type("one line of text", _is_line)
_LINES = _Type("a list of one or more texts", _is_list_of(_is_line))
# A label ends up inside the quotes of a descriptor.
_LABELS = _Type("a list of one or more texts without quotes", _is_list_of(lambda v: _is_line(v) and '"' not in str(v)))
_POSITIVE = _Type("an integer of 1 or more", _is_positive)
_POSITIVES = _Type("a list of one or more integers of 1 or more", _is_list_of(_is_positive))

_KEYS: dict[str, dict[str, _Type]] = {
    "problems": {"group": _LINE, "descriptors": _LINES, "data": _LINE},
    "sweeps": {"group": _LINE, "base": _LINE, "vary": _LINE, "values": _POSITIVES, "padding": _LINE, "names": _LABELS},
    "tables": {
        "file": _LINE,
        "match": _LINES,
        "source_match": _LINES,
        "group": _LINE,
        "N": _POSITIVE,
        "ndim": _POSITIVE,
        "max_macs": _POSITIVE,
    },
    "include": {"suite": _LINE, "match": _LINES, "limit": _POSITIVE},
}
_NEEDED: dict[str, tuple[str, ...]] = {
    "problems": ("group", "descriptors"),
    "sweeps": ("group", "base", "vary", "values"),
    "tables": ("file",),
    "include": ("suite",),
}


def budget_of(data: Mapping[str, object], file_name: str) -> float | None:
    """The suite's own budget in seconds, or None.

    Raises:
        WorkloadError: It is not a positive number.
    """
    budget = data.get("budget")
    if budget is None:
        return None
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not 0 < budget < math.inf:
        raise WorkloadError(f"{file_name}: key 'budget': {budget!r}; expected a positive number of seconds")
    return float(budget)


def description_of(data: Mapping[str, object], file_name: str) -> str:
    """The suite's description.

    Raises:
        WorkloadError: There is none, or it is no line of text.
    """
    if "description" not in data:
        raise WorkloadError(f"{file_name}: key 'description' is missing; add one line of text at the top of the file")
    description = data["description"]
    if not _is_line(description):
        raise WorkloadError(f"{file_name}: key 'description': {description!r}; expected {_LINE.wanted}")
    return str(description)


def sections_of(data: Mapping[str, object], file_name: str) -> Iterator[Section]:
    """The sections of a parsed TOML file, in order.

    Raises:
        WorkloadError: A section or key is unknown, missing or of the wrong type.
    """
    for kind, tables in data.items():
        if kind in _HEAD_KEYS:
            continue
        if kind not in _KEYS:
            known = (*_HEAD_KEYS, *_KEYS)
            raise WorkloadError(f"{file_name}: key {kind!r} is unknown{did_you_mean(kind, known)}")
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise WorkloadError(f"{file_name}: key {kind!r} is no list of sections; write [[{kind}]] above its keys")
        for number, table in enumerate(tables, start=1):
            section = Section(place=f"{file_name}: [[{kind}]] {number}", kind=kind, keys=table)
            _check(section)
            yield section


def _check(section: Section) -> None:
    types = _KEYS[section.kind]
    for key, value in section.keys.items():
        if key not in types:
            raise section.error(key, f"unknown{did_you_mean(key, types)}")
        if not types[key].is_right(value):
            raise section.error(key, f"{value!r}; expected {types[key].wanted}")
    for key in _NEEDED[section.kind]:
        if key not in section.keys:
            raise section.error(key, f"missing; add {types[key].wanted}")
