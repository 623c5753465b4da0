"""Writes docs/sabotage.md: which named check fails on which deliberately broken backend, found by running all pairs.

Run by `make sabotage-table`, which sets the paths.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import faulty
import winograd
from test_conformance import CAUGHT_BY

from backends import ConvBackend
from harness import conformance

_HEAD = """# Who catches whom

Every deliberately broken backend of the tests (`tests/support/faulty`) against every named check of
`harness.conformance`, float32. A cross is a check that fails; a cross in brackets is the check whose name says what is
wrong, which the tests demand; ! is a backend that raises there. Written by `make sabotage-table`, which runs all pairs.
"""


def page() -> str:
    """The whole page, in Markdown."""
    checks = conformance.checks()
    lines = [_HEAD]
    for number, check in enumerate(checks, 1):
        by = f", by {' and '.join(check.probes)}" if check.probes else ""
        lines.append(f"{number}. **{check.name}**: {len(check.problems)} problems{by}")
    lines += ["", _row("broken backend", "what it does", *map(str, range(1, len(checks) + 1)))]
    lines.append("|---|---|" + ":-:|" * len(checks))
    named: dict[str, set[str]] = {"Correct": set()}
    for fault, name in CAUGHT_BY:
        named.setdefault(fault, set()).add(name)
    for fault, names in named.items():
        kind = getattr(faulty, fault, None) or getattr(winograd, fault)
        cells = (_cell(check, kind(), is_named=check.name in names) for check in checks)
        lines.append(_row(fault, _first_line(kind), *cells))
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(check: conformance.ConformanceCheck, backend: ConvBackend, *, is_named: bool) -> str:
    try:
        fails = conformance.run_check(check, backend, "float32").failure is not None
    except Exception:  # a broken backend may raise where it is not looked at
        return "!"
    return ("[✗]" if is_named else "✗") if fails else ""


def _first_line(kind: type) -> str:
    words = kind.__doc__ if "__doc__" in vars(kind) else None
    return (inspect.cleandoc(words).splitlines()[0] if words else "").rstrip(".")


if __name__ == "__main__":
    # Only whether a check fails is asked, not why.
    conformance.explain = lambda *_, **__: None  # type: ignore[assignment]
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
