"""The frame of each script: options that all have, the printed table, the file of results, the exit code."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.trust.neighbour import ROOT, USUAL, Manner
from benchmarks.trust.outcome import Outcome, as_text
from harness import environment
from harness.store import write_atomically

EXIT_CLAIM_FAILS = 1


def main(
    name: str,
    description: str | None,
    measure: Callable[[argparse.Namespace], Outcome],
    options: Callable[[argparse.ArgumentParser], None],
    arguments: Sequence[str] | None = None,
) -> int:
    """Measure a claim, print what was found, and return the exit code: 0 if it holds, else 1.

    Args:
        name: Of the script, as in `python -m benchmarks.trust.NAME`.
        description: The script's docstring: claim, method, how long it takes.
        measure: Carries out the measurement.
        options: Adds the script's own options.
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.trust.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: far too little to support the claim")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    options(parser)
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = parser.parse_args(given)
    # Workers find the controlled backends, wherever the script is started.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    for ending in (signal.SIGTERM, signal.SIGHUP):
        # Like Ctrl-C: whatever was started is ended on the way out.
        signal.signal(ending, signal.default_int_handler)
    # The load of a busy machine belongs beside what was measured there.
    machine, start = machine_line(), time.monotonic()
    shown = [word for place, word in enumerate(given) if word != "--json" and given[max(0, place - 1)] != "--json"]
    outcome = dataclasses.replace(
        measure(chosen),
        is_quick=chosen.quick,
        machine=machine,
        command=shlex.join(["python", "-m", f"benchmarks.trust.{name}", *shown]),
        wall_s=time.monotonic() - start,
    )
    print(as_text(outcome))
    if chosen.json is not None:
        write_atomically(chosen.json, json.dumps(outcome.as_json(), indent=1) + "\n")
    return 0 if outcome.holds else EXIT_CLAIM_FAILS


def add_neighbours_option(parser: argparse.ArgumentParser) -> None:
    """The option that says in which surroundings to measure."""
    parser.add_argument(
        "--neighbours",
        nargs="+",
        choices=[manner.value for manner in Manner],
        default=[manner.value for manner in USUAL],
        metavar="MANNER",
        help=f"surroundings: {', '.join(m.value for m in Manner)} [{' '.join(m.value for m in USUAL)}]",
    )


def machine_line() -> str:
    """The machine in one line: processor, cores, whether virtual, memory, system, commit, and how busy it is."""
    facts = environment.machine()
    memory = round(int(facts["memory_bytes"] or 0) / 2**30)
    virtual = ", virtual" if facts["is_virtual"] else ""
    return (
        f"{facts['cpu']}, {facts['cores_available']} cores{virtual}, {memory} GiB, {facts['system']},"
        f" Python {facts['python']}, commit {environment.commit() or 'unknown'},"
        f" load {os.getloadavg()[0]:.1f} before"
    )


def progress(text: str) -> None:
    """One line on stderr, so that a long measurement is seen to go on."""
    print(text, file=sys.stderr, flush=True)
