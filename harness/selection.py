"""What a command is to work on: cases from suites, files and descriptors, and backends from specs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backends import ConvProblem
from backends.descriptor import DTYPES
from backends.registry import default_specs
from backends.spec import parse_spec
from harness.errors import UserError
from harness.workloads import Case, Suite, load_suite

DEFAULT_SUITE = "default"
COMMAND_LINE = "command line"

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.IGNORECASE)


_LONGEST_S = 30 * 86400


class SelectionError(UserError):
    """An option's value that cannot be used; the message says what would be."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What to measure, with what."""

    cases: tuple[Case, ...]
    backends: tuple[str, ...]
    budget_s: float | None
    """What the suites ask for together, where each of them asks for something and there is nothing else to measure."""


def select(suites: Sequence[str], problems: Sequence[str], backends: Sequence[str], dtype: str | None) -> Selection:
    """The cases and backends asked for; the default suite and every backend that loads where nothing is asked.

    Raises:
        SelectionError: Two suites have one name.
        ValueError: A suite, file, descriptor or spec that cannot be used (one of its own subclasses).
        TypeError: A dtype that is not supported.
    """
    names = suites or (() if problems else (DEFAULT_SUITE,))
    loaded = _loaded(names, is_problem_given=bool(problems))
    cases = [case for suite in loaded for case in suite.cases]
    budgets = [suite.budget_s for suite in loaded if suite.budget_s is not None]
    is_budgeted = bool(loaded) and len(budgets) == len(loaded) and not problems
    for text in problems:
        problem = ConvProblem.parse(text)
        cases.append(Case(problem=problem, suite=COMMAND_LINE, group="problems given"))
    if dtype is not None:
        wanted = DTYPES.get(dtype, dtype)
        cases = [dataclasses.replace(case, problem=case.problem.replace(dtype=wanted)) for case in cases]
    return Selection(cases=_unique(cases), backends=_specs(backends), budget_s=sum(budgets) if is_budgeted else None)


def _loaded(names: Sequence[str], *, is_problem_given: bool) -> list[Suite]:
    """Each suite once. Cells are told apart by its name, which for a file is the stem, so no two may share it."""
    loaded: dict[str, tuple[str, Suite]] = {}
    for name in dict.fromkeys(names):
        suite = load_suite(name)
        earlier, _ = loaded.setdefault(suite.name, (name, suite))
        if earlier != name and not _is_same_file(earlier, name):
            raise SelectionError(
                f"--suite {earlier} and --suite {name} would both be shown as {suite.name!r}; rename one of the files"
            )
    if is_problem_given and COMMAND_LINE in loaded:
        raise SelectionError(f"a suite called {COMMAND_LINE!r} cannot be told from --problem; rename the file")
    return [suite for _, suite in loaded.values()]


def _is_same_file(one: str, other: str) -> bool:
    return Path(one).exists() and Path(other).exists() and Path(one).samefile(other)


def _unique(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Cases without repetition inside one group: a suite named twice is run once."""
    seen: dict[tuple[ConvProblem, str | None, str, str], Case] = {}
    for case in cases:
        seen.setdefault((case.problem, case.data, case.suite, case.group), case)
    return tuple(seen.values())


def _specs(backends: Sequence[str]) -> tuple[str, ...]:
    # "torch[layout=channels_last,tune=on],numba" is two specs: commas inside brackets belong to the options.
    specs = [part.strip() for text in backends for part in re.split(r",(?![^\[]*\])", text)]
    if any(not spec for spec in specs):
        raise SelectionError(f"--backend {','.join(backends)!r} has an empty spec; name a backend, see `list backends`")
    for spec in specs:
        parse_spec(spec)
    repeated = {spec for spec in specs if specs.count(spec) > 1}
    if repeated:
        raise SelectionError(f"--backend names {', '.join(sorted(repeated))} twice; keep one")
    return tuple(specs or default_specs())


def seconds(text: str, option: str) -> float:
    """A duration such as "90", "30s", "5m", "1h30m" in seconds.

    Raises:
        SelectionError: It is none, or not positive.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    parts = match.groupdict() if match else {}
    if not any(parts.values()):
        raise SelectionError(f"{option} {text!r} is no duration; write 30s, 5m or 1h30m")
    value = sum(float(parts[unit] or 0) * scale for unit, scale in (("h", 3600), ("m", 60), ("s", 1)))
    if value <= 0:
        raise SelectionError(f"{option} {text!r} is not positive; write 30s, 5m or 1h30m")
    if value > _LONGEST_S:
        raise SelectionError(f"{option} {text!r} is more than 30 days; write 30s, 5m or 1h30m")
    return value


def size_bytes(text: str, option: str) -> int:
    """A size such as "4GB", "512MiB" in bytes; decimal and binary units.

    Raises:
        SelectionError: It is none, or not positive.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise SelectionError(f"{option} {text!r} is no size; write 512MB or 4GB")
    number, prefix, binary = match.groups()
    value = int(float(number) * (1024 if binary else 1000) ** " KMGT".index(prefix.upper() or " "))
    if value < 1:
        raise SelectionError(f"{option} {text!r} is not positive; write 512MB or 4GB")
    return value
