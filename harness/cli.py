"""The command line: arguments in, tables and messages out, one exit code. Only the cli modules print or exit.

Exit codes: 0 all well, 2 a wrong result, 3 incomplete (crash, timeout, out of memory, interrupted, or nothing decided),
4 usage.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from backends import ConvError, DtypeMismatch
from harness.errors import UserError
from harness.probes import EVERY_PROBE
from harness.records import CacheState

EXIT_WRONG, EXIT_INCOMPLETE, EXIT_USAGE = 2, 3, 4

_LONGEST_LINE = 600
# Each job has a process for every backend.
_MOST_JOBS = 64
_DTYPES = ("f32", "f64", "f16", "bf16", "float32", "float64", "float16", "bfloat16")
_Command = Callable[..., Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; every mistake of the caller's is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows no "×" gets a "?", not a traceback.
            stream.reconfigure(errors="replace")
    sys.exit(_exit_code(arguments))


def _exit_code(arguments: Sequence[str] | None) -> int:
    try:
        code = commands.main(args=arguments, prog_name="python -m harness", standalone_mode=False)
    except click.exceptions.Abort:
        _complain("interrupted")
        return EXIT_INCOMPLETE
    except click.UsageError as error:
        where = f"; see {error.ctx.command_path} --help" if error.ctx else ""
        _complain(error.format_message().rstrip(".") + where)
        return EXIT_USAGE
    except (UserError, ConvError, DtypeMismatch) as error:
        _complain(str(error))
        return EXIT_USAGE
    except BrokenPipeError:
        # The reader, such as head, has seen enough. Python would complain again while it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _complain(f"{error.filename or 'a file'}: {error.strerror or error}; check the path, its rights and free space")
        return EXIT_USAGE
    return code if isinstance(code, int) else 0


def _complain(message: str) -> None:
    """One line, whatever text of others is in it."""
    line = " ".join(message.split())
    click.echo(f"error: {line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + '...'}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def commands() -> None:
    """Which way of computing a convolution is right, and which is fastest on this machine.

    \b
    Start here:
      python -m harness run            the default suite; a table, plots and a report
      python -m harness list suites    what else can be measured
      python -m harness doctor         what will spoil a measurement here
    """  # noqa: D301  # click reads the backspace, which keeps the lines below it apart


class _Folder(click.Path):
    """A folder's path; an empty one, as an unset shell variable gives, is not taken for the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == "":
            self.fail("'' is no folder; give a path, or leave the option out", param, ctx)
        return super().convert(value, param, ctx)


def _selecting(command: _Command) -> _Command:
    """The options that say what a run or check works on, and under which limits."""
    options = (
        click.option(
            "--suite",
            "suites",
            multiple=True,
            metavar="NAME|FILE",
            help="A shipped suite, or a .toml or .csv file; repeatable. [default: default; check adds conformance]",
        ),
        click.option(
            "--problem",
            "problems",
            multiple=True,
            metavar="DESCRIPTOR",
            help="One convolution as benchdnn writes it, or a line of oneDNN verbose output; repeatable.",
        ),
        click.option(
            "--backend",
            "backends",
            multiple=True,
            metavar="SPEC",
            help="NAME, NAME[option=value,...] or module:attr; repeatable. [default: all that load here]",
        ),
        click.option("--dtype", type=click.Choice(_DTYPES), help="Use this type instead of the problems' own."),
        click.option("--threads", type=int, metavar="N", help="Threads per backend. [default: all usable cores]"),
        click.option(
            "--budget",
            metavar="TIME",
            help="Wall time for everything. [default to run: the suite's own, or 5m; to check: none]",
        ),
        click.option(
            "--sample",
            type=click.IntRange(min=1),
            metavar="N",
            help="Only so many of the problems, every kind among them; another --seed draws others.",
        ),
        click.option(
            "--out",
            type=_Folder(),
            metavar="DIR",
            help="New folder for the results. [default to run: results/<utc>-<machine>-<commit>]",
        ),
        click.option("--resume", is_flag=True, help="Finish the run in --out; other options default to that run's."),
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of data, order and sample."
        ),
        click.option(
            "--case-timeout", default="30s", show_default=True, metavar="TIME", help="Limit of a cell's steps."
        ),
        click.option(
            "--prepare-timeout",
            default="120s",
            show_default=True,
            metavar="TIME",
            help="Limit of preparing a cell, which may compile.",
        ),
        click.option(
            "--memory-limit",
            metavar="SIZE",
            help="What a backend may allocate, such as 4GB. [default: 80 % of what is available]",
        ),
        click.option("--quiet", is_flag=True, help="No progress and no tables; messages and the exit code stay."),
    )
    for option in reversed(options):
        command = option(command)
    return click.pass_context(command)


@commands.command(
    epilog="""\b
Examples:
  python -m harness run --suite resnet50 --threads 1 --budget 5m
  python -m harness run --problem ic64ih56oc64oh56kh3ph1 --backend numba,torch --out results/mine
  python -m harness run --backend 'mypackage.kernels:Tiled[block=64]' --suite smoke
  python -m harness run --resume --out results/mine

Ctrl-C once lets the problem in flight be finished, reports and says how to go on; twice stops at once.

\b
Exit codes: 0 all well, 2 a backend is wrong, 3 some cells crashed, timed out or ran out of memory, or every cell
was skipped, or the run was interrupted, 4 usage."""
)
@click.option(
    "--cache",
    type=click.Choice([state.value for state in CacheState]),
    default=CacheState.HOT.value,
    show_default=True,
    help="What the processor's caches hold when a timed call starts: its operands, or nothing of it.",
)
@_selecting
def run(context: click.Context, /, **options: Any) -> int:
    """Check every backend, time those that are right, and write a report."""
    from harness import cli_asked, cli_run

    return cli_run.carry_out(cli_asked.Asked(is_timed=True, given=_given(context), **options))


@commands.command(
    epilog="""\b
Examples:
  python -m harness check --backend mypackage.kernels:Tiled
  python -m harness check --backend mypackage.kernels:Tiled --suite edges --dtype f64
  python -m harness check --problem g32mb2ic64ih7oc64oh4kh3sh2ph1 --backend fft
  python -m harness check --suite all --sample 300 --jobs 2

\b
Exit codes: 0 nothing wrong, 2 a backend is wrong, 3 some cells crashed, timed out or ran out of memory, or a backend
has no cell that was decided, 4 usage. Cells that are skipped or mistrusted are counted at the end; alone they do not
make it 3."""
)
@click.option(
    "--probe",
    type=click.Choice(EVERY_PROBE),
    multiple=True,
    metavar="NAME",
    help=f"Only this probe; repeatable: {', '.join(EVERY_PROBE)}. [default: all]",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=_MOST_JOBS),
    metavar="N",
    help="Problems checked at a time, each with its share of the cores. [default: 1]",
)
@_selecting
def check(context: click.Context, /, **options: Any) -> int:
    """Check every backend against the float64 reference, without timing.

    A failure is shrunk to the smallest problem that still shows it, and explained. What each probe promises, and how to
    run the same as tests of your own, is in harness/conformance.py and in the report.
    """
    from harness import cli_asked, cli_run

    return cli_run.carry_out(cli_asked.Asked(is_timed=False, given=_given(context), **options))


def _given(context: click.Context) -> frozenset[str]:
    """Names of the options that stand on the command line."""
    return frozenset(
        name for name in context.params if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    )


@commands.command(
    epilog="""\b
Examples:
  python -m harness report results/20260101T120000Z-amd-epyc-2c-0123456789ab
  python -m harness report results/*"""
)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN_DIR...")
@click.option("--quiet", is_flag=True, help="Write the files and print only where they are.")
def report(folders: Sequence[Path], quiet: bool) -> int:
    """Rebuild tables, plots and reports of RUN_DIR... from the stored samples."""
    from harness import cli_run

    return cli_run.report_again(folders, is_quiet=quiet)


@commands.command(
    name="list",
    epilog="""\b
Examples:
  python -m harness list backends
  python -m harness list suites
  python -m harness list problems --suite default""",
)
@click.argument("what", type=click.Choice(["backends", "suites", "problems"]))
@click.option("--suite", "suites", multiple=True, metavar="NAME|FILE", help="Whose problems. [default: default]")
def list_(what: str, suites: Sequence[str]) -> int:
    """List what can be measured: backends, suites, or the problems of a suite."""
    from harness import cli_list

    if what == "problems":
        cli_list.print_problems(suites)
    elif suites:
        raise click.UsageError(f"--suite goes with 'list problems', not with 'list {what}'")
    elif what == "suites":
        cli_list.print_suites()
    else:
        cli_list.print_backends()
    return 0


@commands.command(
    epilog="""\b
Example:
  python -m harness doctor"""
)
def doctor() -> int:
    """Say what on this machine will spoil a measurement, and how to mend it."""
    from harness import cli_list

    cli_list.print_findings()
    return 0
