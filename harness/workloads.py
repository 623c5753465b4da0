"""Suites by name or file: what there is to measure.

    suite_names()                   # ["default", "smoke", ...]: shipped, without reading a table
    load_suite("resnet50").cases
    load_suite("mine.toml").cases   # the grammar is in `suite_grammar`
    load_suite("mine.csv").cases    # the columns are in `shape_tables`

Inside one group the same problem on the same data is one case, with the label and count of its first mention; counts
are added up only where `suite_sections` says. Two groups may share a problem: each curve keeps its points and each
network its layers, and the runner measures it once for all of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from harness import shape_tables
from harness.cases import PICTURES, Case, Suite, WorkloadError, did_you_mean
from harness.suite_grammar import Section, budget_of, description_of, sections_of
from harness.suite_sections import included_cases, problem_cases, row_cases, sweep_cases, table_cases

if TYPE_CHECKING:
    from backends.problem import ConvProblem

__all__ = ["PICTURES", "Case", "Suite", "WorkloadError", "load_suite", "suite_description", "suite_names"]

# General before special before everything; the others are in alphabetical order.
_FIRST, _LAST = ("default", "smoke", "conformance", "edges"), ("all",)


def suite_names() -> list[str]:
    """The shipped suites: general ones first, networks and sweeps by name, everything last."""
    names = sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml"))
    return sorted(names, key=lambda name: (name in _LAST, _FIRST.index(name) if name in _FIRST else len(_FIRST)))


def suite_description(name: str) -> str:
    """One line on a shipped suite; no table is read.

    Raises:
        WorkloadError: There is no such suite.
    """
    file = _shipped(name)
    return description_of(_toml(file), file.name)


def load_suite(name_or_path: str) -> Suite:
    """A shipped suite by its name, or a user's by the path of its .toml or .csv file.

    Raises:
        WorkloadError: There is no such suite or file, or something in it is wrong.
    """
    path = Path(name_or_path)
    if name_or_path in suite_names() or path.suffix.lower() not in (".toml", ".csv"):
        return _load_shipped(name_or_path)
    if not path.is_file():
        names = [*suite_names(), *_suite_files(path.parent)]
        raise WorkloadError(f"suite {name_or_path!r}: there is no such file{did_you_mean(path.name, names)}")
    if path.suffix.lower() == ".toml":
        return _suite_of(path, name=path.stem, folder=path.parent)
    cases = row_cases(shape_tables.read_rows(path), suite=path.stem, group=None, fallback_group=path.stem)
    return _suite(path, name=path.stem, description=f"problems of {path.name}", cases=cases)


def _load_shipped(name: str) -> Suite:
    return _suite_of(_shipped(name), name=name, folder=None)


def _shipped(name: str) -> Traversable:
    names = suite_names()
    if name not in names:
        raise WorkloadError(f"no suite is called {name!r}{did_you_mean(name, names)}; or give a .toml or .csv file")
    return _folder() / f"{name}.toml"


def _suite_of(file: Traversable, *, name: str, folder: Path | None) -> Suite:
    data = _toml(file)
    description = description_of(data, file.name)
    cases = [case for section in sections_of(data, file.name) for case in _section_cases(section, name, folder)]
    suite = _suite(file, name=name, description=description, cases=cases)
    return replace(suite, budget_s=budget_of(data, file.name))


def _section_cases(section: Section, suite: str, folder: Path | None) -> list[Case]:
    if section.kind == "problems":
        return problem_cases(section, suite)
    if section.kind == "sweeps":
        return sweep_cases(section, suite)
    if section.kind == "tables":
        return table_cases(section, suite, folder)
    return included_cases(section, suite, _load_shipped)


def _suite(file: Traversable, *, name: str, description: str, cases: Iterable[Case]) -> Suite:
    first: dict[tuple[str, ConvProblem, str | None], Case] = {}
    for case in cases:
        first.setdefault((case.group, case.problem, case.data), case)
    if not first:
        raise WorkloadError(
            f"{file.name}: no problems; add a [[problems]], [[sweeps]], [[tables]] or [[include]] section"
        )
    return Suite(name=name, description=description, cases=tuple(first.values()))


def _toml(file: Traversable) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WorkloadError(f"{file.name}: cannot be read as TOML: {error}") from error


def _suite_files(folder: Path) -> list[str]:
    try:
        return sorted(file.name for file in folder.iterdir() if file.suffix.lower() in (".toml", ".csv"))
    except OSError:
        return []


def _folder() -> Traversable:
    return resources.files("harness") / "suites"
