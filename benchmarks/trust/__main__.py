"""Carries out every script, each in a process of its own, and writes one page of what they found.

An outcome that is in the folder of results already is kept: a script that failed to run can be repeated alone. All
together take about two hours; --quick is a smoke run of a few minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.trust.neighbour import ROOT
from benchmarks.trust.outcome import Outcome
from benchmarks.trust.page import page
from harness.store import write_atomically

SCRIPTS = (
    "known_duration",
    "false_alarms",
    "true_slowdown",
    "against_others",
    "own_cost",
    "budget_kept",
    "startup",
)
EXIT_CLAIM_FAILS = 1
# Far beyond what any script takes with its defaults; each bounds its own steps.
_LIMIT_S = 3 * 3600.0


def main() -> int:
    """Run what is missing, write the page, and return 0 if every claim holds."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.trust",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="where outcomes are kept, as JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page to write, such as docs/trust.md")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS, metavar="NAME", help="some of them")
    parser.add_argument("--again", action="store_true", help="measure also what there is an outcome of")
    parser.add_argument("--quick", action="store_true", help="smoke runs: far too little to support the claims")
    chosen = parser.parse_args()
    chosen.results.mkdir(parents=True, exist_ok=True)
    for name in chosen.only:
        saved = _saved(chosen.results, name)
        if chosen.again or not saved.exists():
            saved.unlink(missing_ok=True)
            print(f"== {name}", file=sys.stderr, flush=True)
            _carry_out(name, saved, is_quick=chosen.quick)
    outcomes = [
        Outcome.of_json(json.loads(path.read_text()))
        for path in (_saved(chosen.results, name) for name in SCRIPTS)
        if path.exists()
    ]
    if chosen.out is not None:
        write_atomically(chosen.out, page(outcomes))
    missing = [name for name in chosen.only if not _saved(chosen.results, name).exists()]
    for name in missing:
        print(f"{name} ended without an outcome; see its message above, and run it alone", file=sys.stderr)
    return 0 if not missing and all(outcome.holds for outcome in outcomes) else EXIT_CLAIM_FAILS


def _carry_out(name: str, saved: Path, *, is_quick: bool) -> None:
    quick = ["--quick"] if is_quick else []
    command = [sys.executable, "-m", f"benchmarks.trust.{name}", "--json", str(saved.absolute()), *quick]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            print(f"{name} took longer than {_LIMIT_S / 3600:g} hours and is ended", file=sys.stderr)
        finally:
            process.terminate()  # lets it end what it started; nothing where it has ended already


def _saved(results: Path, name: str) -> Path:
    return results / f"{name}.json"


if __name__ == "__main__":
    sys.exit(main())
