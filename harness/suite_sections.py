"""Sections of a suite file as cases: problems written out, sweeps, rows of tables, other suites.

Equal problems inside one section become one case at the first one's place. Where they are layers of one network, that
is in one `[[problems]]` section or with the same source and batch size in one table, the case counts for all of them;
a batch size that the section overrides makes no layers of what were several batches of one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.errors import ConvError
from backends.geometry import padding_pairs
from backends.problem import ConvProblem
from harness import shape_tables
from harness.cases import Case, Suite, WorkloadError, did_you_mean

if TYPE_CHECKING:
    from harness.suite_grammar import Section

SWEPT = ("spatial", "kernel", "stride", "dilation", "channels", "N")
_TIMES = "\N{MULTIPLICATION SIGN}"
# What a spatial sweep varies, by number of axes.
_INPUT_WORDS = {1: "length", 2: "image", 3: "volume"}
# Pixels of each picture, and the weight of the two edge kernels it is convolved with: `inputs` knows them from the
# files, which take NumPy to read.
_PICTURE_SIZES = {"photograph": (600, 512), "mri": (256, 256)}
_EDGE_WEIGHTS = (2, 1, 3, 3)


def problem_cases(section: Section, suite: str) -> list[Case]:
    """The cases of a `[[problems]]` section.

    Raises:
        WorkloadError: A descriptor is malformed, there is no such picture, or it does not fit a problem.
    """
    problems = [_parsed(section, "descriptors", text) for text in section.keys["descriptors"]]
    group, data = section.keys["group"], section.keys.get("data")
    try:
        cases = [Case(problem=p, suite=suite, group=group, data=data) for p in _counted((p, p) for p in problems)]
    except WorkloadError as error:
        raise section.error("data", str(error)) from error
    if data is not None:
        for problem in problems:
            _require_fit(section, problem, data)
    return cases


def sweep_cases(section: Section, suite: str) -> list[Case]:
    """The cases of a `[[sweeps]]` section, one a value.

    Raises:
        WorkloadError: The base is malformed, the axis unknown, a value does not fit, or it has no name where others do.
    """
    keys = section.keys
    base, axis = _parsed(section, "base", keys["base"]), keys["vary"]
    if axis not in SWEPT:
        raise section.error("vary", f"{axis!r} is unknown{did_you_mean(axis, SWEPT)}")
    if keys.get("padding", "same") != "same":
        raise section.error(
            "padding", f"{keys['padding']!r} is unknown; use 'same', or leave it out and give ph in base"
        )
    values = keys["values"]
    names = keys.get("names") or [_point_name(base, axis, value) for value in values]
    if len(names) != len(values):
        raise section.error("names", f"{len(names)} for {len(values)} values; give one name a value")
    cases = []
    for value, name in zip(values, names, strict=True):
        try:
            problem = _swept(base, axis, value, is_same_padded="padding" in keys).replace(label=name)
        except ConvError as error:
            raise section.error("values", f"{value} does not fit base {keys['base']!r}: {error}") from error
        cases.append(Case(problem=problem, suite=suite, group=keys["group"], axis=axis, axis_value=float(value)))
    return cases


def table_cases(section: Section, suite: str, folder: Path | None) -> list[Case]:
    """The cases of a `[[tables]]` section; `folder` is where relative paths start, None for a suite of ours.

    Raises:
        WorkloadError: The table is missing or malformed, a pattern matches nothing, or no row is left.
    """
    keys = section.keys
    rows = _table_rows(section, folder)
    if "match" in keys:
        rows = _matching(section, "match", rows, lambda row: row.name)
    if "source_match" in keys:
        rows = _matching(section, "source_match", rows, lambda row: row.source)
    cases = row_cases(
        rows, suite=suite, group=keys.get("group"), fallback_group=Path(keys["file"]).stem, N=keys.get("N")
    )
    ndim, max_macs = keys.get("ndim"), keys.get("max_macs", math.inf)
    kept = [case for case in cases if ndim in (None, case.problem.ndim) and case.problem.macs_nominal <= max_macs]
    if not kept:
        limits = [key for key in ("match", "source_match", "ndim", "max_macs") if key in keys]
        remedy = f"widen {' or '.join(limits)}" if limits else "add rows to it"
        raise section.error("file", f"no row of {keys['file']!r} is left; {remedy}")
    return kept


def row_cases(
    rows: Sequence[shape_tables.Row], *, suite: str, group: str | None, fallback_group: str, N: int | None = None
) -> list[Case]:
    """Rows as cases under the given group, else each under its own, its source's or the fallback.

    Raises:
        WorkloadError: A row is malformed.
    """
    groups: dict[str, list[tuple[object, ConvProblem]]] = {}
    for row in rows:
        listed = row.problem()
        problem = listed if N is None else listed.replace(N=N)
        heading = group or row.group or row.source or fallback_group
        groups.setdefault(heading, []).append(((row.source, listed), problem))
    return [
        Case(problem=problem, suite=suite, group=heading)
        for heading, layers in groups.items()
        for problem in _counted(layers)
    ]


def included_cases(section: Section, suite: str, load: Callable[[str], Suite]) -> list[Case]:
    """The cases of an `[[include]]` section, as cases of this suite.

    Raises:
        WorkloadError: There is no such suite, or a pattern matches nothing.
    """
    try:
        cases = list(load(section.keys["suite"]).cases)
    except WorkloadError as error:
        raise section.error("suite", str(error)) from error
    if "match" in section.keys:
        cases = _matching(section, "match", cases, lambda case: case.problem.label)
    return [dataclasses.replace(case, suite=suite) for case in cases[: section.keys.get("limit")]]


def _parsed(section: Section, key: str, text: str) -> ConvProblem:
    try:
        return ConvProblem.parse(text)
    except ConvError as error:
        raise section.error(key, f"{text!r}: {error}") from error


def _require_fit(section: Section, problem: ConvProblem, picture: str) -> None:
    height, width = _PICTURE_SIZES[picture]
    is_fit = problem.x_shape == (1, 1, height, width) and problem.weight_shape == _EDGE_WEIGHTS
    if not is_fit or problem.bias:
        raise section.error(
            "data",
            f"{picture!r} does not fit {str(problem)!r}: it is one channel of {height}{_TIMES}{width} under two"
            f" 3{_TIMES}3 kernels without bias; start from ic1ih{height}iw{width}oc2kh3kw3, or leave data out",
        )


def _counted(layers: Iterable[tuple[object, ConvProblem]]) -> list[ConvProblem]:
    """Each problem once. Problems that share their identity as well are one layer again, and their counts are added."""
    first: dict[ConvProblem, object] = {}
    counts: dict[ConvProblem, int] = {}
    for identity, problem in layers:
        if problem not in first:
            first[problem], counts[problem] = identity, problem.count
        elif first[problem] == identity:
            counts[problem] += problem.count
    return [problem.replace(count=counts[problem]) for problem in first]


def _swept(base: ConvProblem, axis: str, value: int, *, is_same_padded: bool) -> ConvProblem:
    changes: dict[str, Any] = {axis: (value,) * base.ndim}
    if axis == "N":
        changes = {"N": value}
    if axis == "channels":
        changes = {"C_in": value, "C_out": value, "groups": value if base.is_depthwise else base.groups}
    if is_same_padded:
        kernel, dilation = changes.get("kernel", base.kernel), changes.get("dilation", base.dilation)
        changes["padding"] = padding_pairs("same", kernel, (1,) * base.ndim, dilation)
    return base.replace(**changes)


def _point_name(base: ConvProblem, axis: str, value: int) -> str:
    """What is varied and its value on every axis, after the base's own name if it has one."""
    if axis in ("channels", "N"):
        point = f"{axis} {value}"
    else:
        word = _INPUT_WORDS[base.ndim] if axis == "spatial" else axis
        point = f"{word} {_TIMES.join([str(value)] * base.ndim)}"
    return f"{base.label} {point}".strip()


def _table_rows(section: Section, folder: Path | None) -> list[shape_tables.Row]:
    name, shipped = section.keys["file"], shape_tables.shipped_tables()
    if name in shipped:
        return shape_tables.read_rows(shape_tables.shipped_table(name))
    path = folder / name if folder is not None else None
    if path is None or not path.is_file():
        where = f" and {path} is no file" if path is not None else ""
        raise section.error("file", f"no shipped table is called {name!r}{where}{did_you_mean(name, shipped)}")
    return shape_tables.read_rows(path)


def _matching(section: Section, key: str, items: Sequence[Any], text_of: Callable[[Any], str]) -> list[Any]:
    """The items whose text fits one of the patterns, in their own order."""
    patterns, texts = section.keys[key], [text_of(item) for item in items]
    for pattern in patterns:
        if not any(fnmatchcase(text, pattern) for text in texts):
            raise section.error(key, f"{pattern!r} matches nothing{did_you_mean(pattern, dict.fromkeys(texts))}")
    return [item for item, text in zip(items, texts, strict=True) if any(fnmatchcase(text, p) for p in patterns)]
